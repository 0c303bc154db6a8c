"""All checks, side by side: none waits for another but for what it needs of it."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from trivium_client.doctor import certificates, gpu, leftovers, machine, models, ports, qdrant, servers, variables
from trivium_client.doctor.findings import Finding, ok
from trivium_client.doctor.installation import Installation, find_installation

if TYPE_CHECKING:
    from collections.abc import Callable


def examine(gateway: str | None, environment: dict[str, str]) -> list[Finding]:
    """Looks at everything.

    Args:
        gateway: The gateway's address, if one was named.
        environment: The environment's variables.

    Returns:
        What was found, in the order in which a person would look.
    """
    installed = find_installation()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(servers.ask_gateway, gateway)
        alone: list[Callable[[], Finding | list[Finding]]] = [
            machine.python,
            lambda: _installed(installed),
            machine.processor,
            machine.cores,
            lambda: gpu.gpu(environment),
            lambda: machine.memory(stack_runs=asked.result().status is not None),
            lambda: machine.disk(environment),
            lambda: leftovers.leftovers(environment),
            machine.clock,
            lambda: ports.ports(environment, installed, stack_runs=asked.result().status is not None),
            lambda: models.models(environment, installed),
            lambda: variables.variables(environment),
            lambda: certificates.certificates(environment),
            lambda: qdrant.qdrant(environment, installed),
            lambda: servers.judge_gateway(asked.result(), named=bool(gateway)),
        ]
        results = [pool.submit(check) for check in alone]
        findings: list[Finding] = []
        for result in results:
            found = result.result()
            findings += found if isinstance(found, list) else [found]
        return findings


def _installed(installed: Installation) -> Finding:
    if installed.is_client_only:
        return ok("installed", "the client alone: what concerns services is left out here")
    return ok("installed", f"client, {', '.join(installed.services)}")
