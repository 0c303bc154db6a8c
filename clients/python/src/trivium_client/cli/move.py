"""`trivium move`."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from trivium_client._counting import counted
from trivium_client.cli.options import JsonOption
from trivium_client.cli.output import echo, print_json, print_row, stderr, warn
from trivium_client.moving.engine import Engine
from trivium_client.moving.running import move
from trivium_client.moving.snapshot import SUFFIX, Snapshot


def move_collections(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            help="The Qdrant to read: http://HOST:PORT of its gRPC; or a file.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The Qdrant to write; or FILE.snapshot.", show_default=False)
    ],
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", metavar="NAME", help="Only this one; may be repeated.", show_default="all"),
    ] = None,
    source_key: Annotated[
        str,
        typer.Option(
            "--from-key", metavar="KEY", envvar="TRIVIUM_MOVE_FROM_KEY", help="FROM's API key.", show_default=False
        ),
    ] = "",
    target_key: Annotated[
        str,
        typer.Option("--to-key", metavar="KEY", envvar="TRIVIUM_MOVE_TO_KEY", help="TO's API key.", show_default=False),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Copy all that is in one Qdrant into another: the embedded engine to a server, back, or one to one of its kind.
    Or into a file, FILE.snapshot, as a backup, and from there into any of them.

    It copies collections with their points, vectors, indexes, settings and aliases, of all tenants, then reads both
    sides once more and compares them: how many points there are, a checksum of their payloads, and every vector. It
    deletes nothing. Stop what writes to FROM before, the gateway or its ingestions. Where it breaks off, run it again:
    what is there already is only compared. While one of the two restarts it waits, for up to five minutes.

    **Examples**

        trivium move http://127.0.0.1:6334 http://qdrant.internal:6334

        trivium move http://127.0.0.1:6334 http://127.0.0.1:7334 --collection manuals

        trivium move http://127.0.0.1:6334 monday.snapshot

        trivium move monday.snapshot http://127.0.0.1:6334
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = stderr()
    tasks: dict[str, TaskID] = {}
    with (
        closing(_side(source, source_key, is_new=False)) as read,
        closing(_side(target, target_key, is_new=True)) as written,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        moved = move(read, written, collection or [], show)
    for one in moved:
        for lack in one.left_out:
            warn(f"{one.name}: {target} does not know {lack}, which is left out")
    if as_json:
        print_json({"collections": moved})
        return
    for one in moved:
        print_row(one.name, f"{one.points} points", f"{one.written} written", f"checksum {one.checksum}")
    echo(f"moved {counted(len(moved), 'collection')}: both sides are the same")


def _side(name: str, key: str, *, is_new: bool) -> Engine | Snapshot:
    is_file = name.endswith(SUFFIX) or (not is_new and "://" not in name)
    return Snapshot(Path(name), is_new=is_new) if is_file else Engine(name, key)
