"""`trivium version`."""

import platform
from importlib.metadata import version as installed_version

import typer

from trivium_client.cli.options import JsonOption
from trivium_client.cli.output import echo, print_json


def version(as_json: JsonOption = False) -> None:
    """Print the version of this command, and of the Python that runs it. `trivium --version` is the same.

    **Examples**

        trivium version

        trivium version --json
    """
    facts = {
        "trivium": installed_version("trivium-client"),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    if as_json:
        print_json(facts)
    else:
        echo(f"trivium {facts['trivium']} (Python {facts['python']}, {facts['platform']})")


def print_version(wanted: bool) -> None:
    """Callback of `--version`."""
    if wanted:
        version()
        raise typer.Exit
