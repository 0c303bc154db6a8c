"""What is checked before anything is started: ports and installed packages. Everything wrong is told at once."""

import importlib.util
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from trivium_client.stack.ports import holder, is_free
from trivium_client.stack.services import SERVICES, Layout, Port

_FIND_MODULE = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"


def port_problems(layout: Layout) -> list[str]:
    """Says, for each port that cannot be had, who wants it, who has it, and which setting changes it."""
    problems = []
    wanted: dict[int, str] = {}
    for name, addresses in layout.addresses.items():
        for port in SERVICES[name].ports:
            address = addresses[port.use]
            if not address.port:  # the service chooses one itself
                continue
            what = f"{name} ({port.use})"
            if address.port in wanted:
                problem = f"port {address.port} is wanted twice: by {wanted[address.port]} and by {what}"
                problems.append(f"{problem}; set {port.variable} to another")
                continue
            wanted[address.port] = what
            try:
                free = is_free(address)
            except OSError as error:
                problems.append(f"{what} cannot listen at {address}: {error.strerror}; set {port.variable} to another")
                continue
            if not free:
                who = holder(address.port)
                problem = f"port {address.port}, which {what} wants, is taken" + (f" by {who}" if who else "")
                problems.append(f"{problem}; stop that, or {_way_out(name, port)}")
    return problems


def package_problems(services: Collection[str], interpreters: Mapping[str, str]) -> list[str]:
    """Says which services are not installed.

    Args:
        services: The services to start.
        interpreters: The Python that runs each.
    """
    problems = []
    for name in services:
        service = SERVICES[name]
        python = interpreters[name]
        if python == sys.executable:
            found = importlib.util.find_spec(service.module) is not None
        elif not Path(python).is_file():
            problems.append(f"{python}, which is to run {name}, does not exist")
            continue
        else:
            found = subprocess.run([python, "-c", _FIND_MODULE, service.module], check=False).returncode == 0
        if not found:
            problems.append(
                f"{name} is not installed ({python} has no module {service.module}); it needs {service.requirements}: "
                "run `make setup` in Trivium's folder"
            )
    return problems


def _way_out(name: str, port: Port) -> str:
    example = port.default + 10_000
    value = str(example) if port.number_only else f"127.0.0.1:{example}"
    ways = [f"set {port.variable}={value}", "use --port-offset or --free-ports"]
    if name == "qdrant":
        ways.append("--without qdrant if it is a Qdrant that you want to use")
    return ", or ".join(ways)
