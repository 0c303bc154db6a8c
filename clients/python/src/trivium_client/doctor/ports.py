"""The ports that a stack wants: whether they are free, and who holds them if not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trivium_client.doctor.findings import Finding, ok, problem, skipped
from trivium_client.doctor.installation import Installation
from trivium_client.stack.ports import holder, is_free
from trivium_client.stack.services import SERVICES, layout_from_settings


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A port that a service wants.

    Attributes:
        service: The service.
        use: What for.
        number: The port.
        variable: The environment variable that sets it.
        free: Whether it can be had.
        holder: Who has it, as far as that can be known.
    """

    service: str
    use: str
    number: int
    variable: str
    free: bool
    holder: str = ""

    @property
    def is_own(self) -> bool:
        """Whether the service itself has it, or a Qdrant in the place of ours."""
        return SERVICES[self.service].module in self.holder or (
            self.service == "qdrant" and "qdrant" in self.holder.lower()
        )


def judge_ports(wanted: Sequence[WantedPort], *, stack_runs: bool) -> Iterator[Finding]:
    """What is wrong with each port, or that all are well.

    Args:
        wanted: The ports.
        stack_runs: Whether a gateway answers; whoever holds a port and cannot be seen is then a part of it.
    """
    foreign = [port for port in wanted if not port.free and not port.is_own and (port.holder or not stack_runs)]
    for port in foreign:
        yield problem(
            "ports",
            f"{port.number}, which {port.service} ({port.use}) wants, is taken by {port.holder or 'another program'}",
            f"stop that, set {port.variable} to another, or use `trivium up --port-offset` or `--free-ports`",
        )
    if not foreign:
        taken = [str(port.number) for port in wanted if not port.free]
        numbers = ", ".join(str(port.number) for port in wanted)
        yield ok("ports", f"{', '.join(taken)} are held by the running stack" if taken else f"{numbers} are free")


def ports(environment: dict[str, str], installed: Installation, *, stack_runs: bool) -> list[Finding]:
    if installed.is_client_only:
        return [skipped("ports", "no service is installed here that would want one")]
    try:
        layout = layout_from_settings(installed.services, environment, 0)
    except ValueError as error:
        return [problem("ports", str(error), "correct the variable: it must hold HOST:PORT")]
    wanted: list[WantedPort] = []
    for name, addresses in layout.addresses.items():
        for port in SERVICES[name].ports:
            address = addresses[port.use]
            if not address.port:
                continue
            try:
                free = is_free(address)
            except OSError as error:
                return [
                    problem("ports", f"{name} cannot listen at {address}: {error.strerror}", f"set {port.variable}")
                ]
            who = "" if free else holder(address.port)
            wanted.append(WantedPort(name, port.use, address.port, port.variable, free, who))
    return list(judge_ports(wanted, stack_runs=stack_runs))
