"""`trivium ingest`."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from trivium_client import DocumentError, DocumentResult, Trivium
from trivium_client._counting import counted
from trivium_client._sending import ingest_each
from trivium_client.bulk import Workers
from trivium_client.cli.bulk import address_of, ingest_on_ray, is_address
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
            help="Files and folders; - reads lines of JSON from standard input. With --engine ray s3:// and more.",
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
    engine: Annotated[
        Literal["here", "ray"], typer.Option(help="Who reads and sends: this process, or the workers of a Ray cluster.")
    ] = "here",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="With ray: how many at once.", show_default="as many as the cluster has processors"
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="With ray: the cluster.",
            show_default="one that is started on this machine",
        ),
    ] = None,
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

    With --engine ray the workers of a Ray cluster read and send, each a part at a time: folders, addresses of object
    stores, and Parquet files with the columns id, text, title, uri, metadata and readers; only text is needed.
    Run it again if it breaks off: parts that are in are not sent again. Each worker sends to the gateway that its own
    TRIVIUM_GATEWAY names, unless --gateway is given.

    **Examples**

        trivium ingest manual.pdf notes/

        trivium ingest --metadata team=service --metadata year=2026 manuals/

        trivium ingest --readers user:ann --readers group:hr contracts/

        trivium ingest --collection papers papers.jsonl

        trivium ingest --no-wait archive/

        trivium ingest --engine ray s3://bucket/manuals 's3://bucket/rows/*.parquet'

        jq -c '{id: .key, title: .summary, text: .body}' tickets.json | trivium ingest -
    """
    if engine == "ray":
        if no_wait or strict:
            raise typer.BadParameter("it goes neither with --no-wait nor with --strict", param_hint="--engine")
        ingest_on_ray(
            paths,
            Workers(ray_address or "", workers or 0, gateway),
            collection=collection,
            metadata=parse_metadata(metadata),
            readers=readers or (),
            as_json=as_json,
        )
        return
    for path in paths:
        if is_address(path):
            raise typer.BadParameter(
                f"{address_of(path)} is read by --engine ray, and kept up to date by trivium sync", param_hint="PATH"
            )
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
        for name, result in ingest_each(trivium, self.sources, collection=collection):
            self._take(name, result)

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
