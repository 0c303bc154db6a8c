"""What commands share that go on where a run of theirs broke off."""

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from trivium_client._counting import counted
from trivium_client.cli.output import warn
from trivium_client.evaluation.journal import Entry, Journal

JOURNAL_FILE = "questions.jsonl"
"""In the folder of --out: what was asked, and what was said."""

FreshOption = Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever an earlier run has left.")]

_EntryT = TypeVar("_EntryT", bound=Entry)


def go_on(journal: Journal[_EntryT], out: Path, *, fresh: bool) -> Journal[_EntryT]:
    """Reads what an earlier run left, or forgets it.

    Raises:
        typer.BadParameter: The folder has a run of something else.
    """
    if fresh:
        journal.begin_anew()
    elif different := journal.resume():
        raise typer.BadParameter(
            f"{out} has a run of something else ({'; '.join(different)}). Choose another folder, or begin anew with "
            "--fresh",
            param_hint="--out",
        )
    return journal


def tell_interrupted(journal: Journal[_EntryT]) -> None:
    """Says that nothing is lost."""
    warn(f"interrupted after {counted(len(journal.entries), 'question')}; run it again to go on")
