"""`trivium ingest`."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from trivium_client import DocumentError, DocumentResult, NewDocument, Trivium
from trivium_client._counting import counted
from trivium_client._files import Unreadable
from trivium_client.cli.options import (
    CollectionOption,
    GatewayOption,
    JsonOption,
    MetadataOption,
    ReadersOption,
    StrictOption,
    parse_metadata,
)
from trivium_client.cli.output import fail, print_json, stderr, stdout, warn
from trivium_client.cli.sending import passed_over, start_job
from trivium_client.cli.sources import Sources
from trivium_client.cli.standard_input import FROM_STANDARD_INPUT


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="Files and folders; - reads lines of JSON from standard input.",
            show_default=False,
        ),
    ],
    collection: CollectionOption = "",
    metadata: MetadataOption = None,
    readers: ReadersOption = None,
    strict: StrictOption = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Have the gateway add them by itself; prints the id of the job.")
    ] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add files to the documents that questions are answered from.

    From folders, all files of known formats are taken, those in folders within included. A document's id is its path
    in the folder that was named, its uri the file's path; a file that is stored already keeps its id, whichever way it
    comes. In a .jsonl file each line is a document: `{"id": "a", "title": "A", "text": "...", "uri": "...", "metadata":
    {"year": 2024}}`; only text is needed. Facts about `manual.pdf` may stand beside it, in `manual.pdf.metadata.json`.

    Ingesting again is safe: what did not change costs nothing, what changed is replaced. A document that fails leaves
    the others alone; at the end each failure is named, and the exit status is 1.

    With --no-wait the gateway takes the documents, and adds them by itself, behind everything else; `trivium jobs` says
    how far it is. What it has taken survives a crash.

    **Examples**

        trivium ingest manual.pdf notes/

        trivium ingest --metadata team=service --metadata year=2026 manuals/

        trivium ingest --readers user:ann --readers group:hr contracts/

        trivium ingest --collection papers papers.jsonl

        trivium ingest --no-wait archive/

        jq -c '{id: .key, title: .summary, text: .body}' tickets.json | trivium ingest -
    """
    for path in paths:
        if str(path) != FROM_STANDARD_INPUT and not path.exists():
            raise typer.BadParameter(f"there is no file or folder {path}", param_hint="PATH")
    sources = Sources(paths, parse_metadata(metadata), readers or ())
    if strict and sources.skipped:
        raise typer.BadParameter(f"{passed_over(sources.skipped)}, and --strict forbids that", param_hint="PATH")
    if no_wait:
        start_job(sources, collection, gateway, as_json=as_json)
        return
    run = IngestRun(sources)
    try:
        with Trivium(gateway) as trivium, run.shown():
            run.send(trivium, collection)
    except KeyboardInterrupt:
        warn(f"interrupted after {counted(run.done_count, 'document')}; run it again to go on, those will cost nothing")
        raise
    if as_json:
        print_json({"documents": run.results})
    else:
        run.summarise(stdout())
    run.tell_failures()
    if run.failures:
        raise typer.Exit(1)


@dataclass(slots=True)
class IngestRun:
    """An ingestion of the documents of the command line."""

    sources: Sources
    results: list[DocumentResult] = field(default_factory=list)
    failures: list[tuple[str, DocumentError]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    progress: Progress = field(default_factory=lambda: _progress())
    began: float = field(default_factory=time.monotonic)

    @property
    def done_count(self) -> int:
        return self.counts.total()

    def shown(self) -> Progress:
        """The progress bar; it shows where standard error is a terminal."""
        self.progress.add_task("ingesting", total=self.sources.count(), failed=0)
        return self.progress

    def send(self, trivium: Trivium, collection: str) -> None:
        """Reads and sends all documents."""
        waiting: deque[tuple[str, DocumentResult | None]] = deque()  # in order; with a result where none will be sent
        for result in trivium.ingest_stream(self._read(waiting), collection=collection):
            self._take_refused(waiting)
            name, _ = waiting.popleft()
            self._take(name, result)
        self._take_refused(waiting)

    def summarise(self, console: Console) -> None:
        """Prints what became of the documents, in a line."""
        seconds = time.monotonic() - self.began
        parts = ", ".join(f"{self.counts[status]} {status}" for status in _STATUSES if self.counts[status])
        rate = f", {self.done_count / seconds:.0f} documents/s" if seconds > 1 else ""
        console.print(f"{parts or 'no documents'} in {seconds:.1f} s{rate}", soft_wrap=True)

    def tell_failures(self) -> None:
        """Names everything that failed, and why, and what was passed over."""
        if self.sources.skipped:
            warn(passed_over(self.sources.skipped))
        for name, error in self.failures:
            fail(f"{name}: {error.message} ({error.reason})")

    def _read(self, waiting: deque[tuple[str, DocumentResult | None]]) -> Iterator[NewDocument]:
        for source in self.sources:
            try:
                document = source.read()
            except Unreadable as problem:
                error = DocumentError(problem.reason, problem.message)
                waiting.append((source.name, DocumentResult("", "failed", 0, error)))
            else:
                waiting.append((source.name, None))
                yield document

    def _take_refused(self, waiting: deque[tuple[str, DocumentResult | None]]) -> None:
        while waiting and (refused := waiting[0][1]) is not None:
            self._take(waiting.popleft()[0], refused)

    def _take(self, name: str, result: DocumentResult) -> None:
        self.results.append(result)
        self.counts[result.status] += 1
        if result.error is not None:
            self.failures.append((name, result.error))
        for task in self.progress.task_ids:
            self.progress.update(task, advance=1, failed=len(self.failures))


_STATUSES = ("indexed", "updated", "unchanged", "failed")


class _Rate(ProgressColumn):
    """Documents per second, over the whole time: they come in batches."""

    def render(self, task: Task) -> Text:
        rate = task.completed / task.elapsed if task.elapsed else 0.0
        return Text(f"{rate:.0f} documents/s" if rate else "", style="cyan")


class _Failed(ProgressColumn):
    """How many failed, once one did."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['failed']} failed" if task.fields["failed"] else "", style="bold red")


def _progress() -> Progress:
    console = stderr()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        _Failed(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
