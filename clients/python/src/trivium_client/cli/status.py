"""`trivium status`."""

import typer
from rich.text import Text

from trivium_client import Trivium
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import print_json, stdout


def status(gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Show how each stage is. Exit status 0 if questions can be answered, even if some stages are missing.

    **Examples**

        trivium status

        until trivium status; do sleep 1; done
    """
    with Trivium(gateway) as trivium:
        now = trivium.status()
        address = trivium.address
    if as_json:
        print_json(now)
    else:
        console = stdout()
        missing = sum(not stage.ready for stage in now.stages)
        word = "not ready" if not now.ready else "ready" if not missing else f"ready, without {missing} of its stages"
        console.print(f"{address} is {word}", style="bold")
        for stage in now.stages:
            mark = ("ok     ", "green") if stage.ready else ("missing", "bold red")
            console.print(
                Text.assemble(mark, f"  {stage.stage:<9} {stage.model}  {stage.detail}".rstrip()), soft_wrap=True
            )
    if not now.ready:
        raise typer.Exit(1)
