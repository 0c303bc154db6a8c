"""What runs: the gateway with its stages."""

from dataclasses import dataclass

from trivium_client import GatewayUnreachable, Status, Trivium, TriviumError
from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning

_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What a gateway said of itself.

    Attributes:
        address: Where it is.
        status: How it is; None if it did not say.
        error: Why it did not say.
    """

    address: str
    status: Status | None
    error: TriviumError | None = None


def ask_gateway(address: str | None) -> GatewayAnswer:
    """Asks a gateway how it is."""
    try:
        with Trivium(address, timeout_seconds=_TIMEOUT_SECONDS) as trivium:
            try:
                return GatewayAnswer(trivium.address, trivium.status())
            except TriviumError as error:
                return GatewayAnswer(trivium.address, None, error)
    except TriviumError as error:  # the address, or the files for TLS
        return GatewayAnswer(address or "", None, error)


def judge_gateway(answer: GatewayAnswer, *, named: bool) -> list[Finding]:
    """How a gateway and its stages are.

    Args:
        answer: What it said.
        named: Whether somebody named its address; otherwise it need not run.
    """
    if answer.status is None:
        assert answer.error is not None
        if isinstance(answer.error, GatewayUnreachable) and not named:
            return [skipped("gateway", f"none runs at {answer.address}; `trivium up` starts one")]
        return [
            problem("gateway", answer.error.message, "see `trivium status`, and what the gateway printed or logged")
        ]
    missing = [stage for stage in answer.status.stages if not stage.ready]
    if not answer.status.ready:
        found = [problem("gateway", f"{answer.address} cannot answer yet", "wait, and look at the stages below")]
    else:
        found = [ok("gateway", f"{answer.address} answers questions")]
    for stage in missing:
        found.append(
            warning(
                "gateway",
                f"the stage {stage.stage} does not work{': ' + stage.detail if stage.detail else ''}",
                "look at the output of that service; until it is back, answers come by the next best means",
            )
        )
    if not missing:
        names = ", ".join(
            f"{stage.stage} ({stage.model})" if stage.model else stage.stage for stage in answer.status.stages
        )
        found.append(ok("stages", f"all work: {names}"))
    return found
