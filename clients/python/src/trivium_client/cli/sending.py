"""Sends documents to a job of the gateway: `trivium ingest --no-wait`."""

from collections import Counter
from collections.abc import Iterator

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Job, NewDocument, Trivium
from trivium_client._counting import counted
from trivium_client._files import Unreadable
from trivium_client.cli.output import echo, fail, print_json, stderr, warn
from trivium_client.cli.sources import Sources


def start_job(sources: Sources, collection: str, gateway: str | None, *, as_json: bool) -> None:
    """Has the gateway take documents over, and prints the id of their job.

    Raises:
        typer.Exit: If some could not be read.
    """
    unreadable: list[tuple[str, Unreadable]] = []
    taken: list[Job] = []
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    task = progress.add_task("sending", total=sources.count())

    def took(job: Job) -> None:
        taken.append(job)
        progress.update(task, completed=job.total + len(unreadable))

    try:
        with Trivium(gateway) as trivium, progress:
            job = trivium.start_job(_read(sources, unreadable), collection=collection, on_progress=took)
    except BaseException:
        if taken:
            warn(
                f"broke off; the gateway goes on with {counted(taken[-1].total, 'document')} that it has taken, job "
                f"{taken[-1].id}. Run it again to send all: those that are in cost nothing"
            )
        raise
    if sources.skipped:
        warn(passed_over(sources.skipped))
    for name, problem in unreadable:
        fail(f"{name}: {problem.message} ({problem.reason})")
    if as_json:
        print_json({"job": job.id})
    else:
        echo(job.id)
        console.print(f"The gateway adds {counted(job.total, 'document')}. See: trivium jobs show {job.id} --follow")
    if unreadable:
        raise typer.Exit(1)


def passed_over(skipped: Counter[str]) -> str:
    """Says what was passed over in folders."""
    kinds = ", ".join(f"{count} {ending}" for ending, count in skipped.most_common(8))
    return f"passed over {counted(skipped.total(), 'file')} of other types: {kinds}"


def _read(sources: Sources, unreadable: list[tuple[str, Unreadable]]) -> Iterator[NewDocument]:
    for source in sources:
        try:
            yield source.read()
        except Unreadable as problem:
            unreadable.append((source.name, problem))
