"""`trivium reindex`."""

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Trivium
from trivium_client._counting import counted
from trivium_client.cli.collections import NameArgument
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import echo, print_json, stderr


def reindex(name: NameArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Make a collection anew from its stored text, with the analyzer of words that the gateway has.

    Collections that need it say so in `trivium collections get`. Questions are answered and documents taken all the
    while, vectors stay as they are, and nothing is sent again. Where it breaks off, run it again: it goes on. It needs
    room for a second index. Pieces without token vectors get them, also where nothing else is lacking, and then in
    place.

    **Examples**

        trivium reindex manuals
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = stderr()
    with Trivium(gateway) as trivium, Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reindexing", total=None)
        while not (progress := trivium.reindex_collection(name)).done:
            bar.update(task, completed=progress.done_count, total=progress.total_count)
    if as_json:
        print_json({"name": name, "pieces": progress.total_count})
    else:
        echo(f"reindexed {name}: {counted(progress.total_count, 'piece')}")
