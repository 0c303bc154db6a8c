"""`trivium export` and `trivium import`."""

import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from trivium_client import (
    DocumentResult,
    ExportedCollection,
    ExportedDocument,
    ExportMark,
    FailedPrecondition,
    InternalError,
    NotFound,
    Trivium,
    TriviumError,
)
from trivium_client._counting import counted
from trivium_client.cli.completion import complete_collections
from trivium_client.cli.failures import FAILED
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import echo, fail, is_interactive, print_json, stderr, warn
from trivium_client.cli.patience import patiently
from trivium_client.transfer.columns import ColumnsReader, ColumnsWriter
from trivium_client.transfer.lines import LinesReader, LinesWriter

_Writer = LinesWriter | ColumnsWriter
_Reader = LinesReader | ColumnsReader

_SECONDS = 3600.0
"""How long one call of an export may take; the next one goes on."""
_BATCH_BYTES, _BATCH_DOCUMENTS = 8 << 20, 512
_CALLS_AT_ONCE = 2
_PARTIAL = ".partial"
_STATUSES = ("indexed", "updated", "unchanged", "failed")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The file.", show_default=False, dir_okay=False)]
ExportedArgument = Annotated[
    str,
    typer.Argument(
        metavar="COLLECTION", help="The collection.", show_default=False, autocompletion=complete_collections
    ),
]


def export_collection(
    collection: ExportedArgument,
    file: FileArgument,
    form: Annotated[
        Literal["jsonl", "parquet"] | None,
        typer.Option("--format", help="What the file is.", show_default="as FILE ends, else jsonl"),
    ] = None,
    vectors: Annotated[bool, typer.Option("--vectors/--no-vectors", help="With the vectors, or without.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a collection to a file: its documents with titles, metadata and readers, its vectors, and its settings.

    It is there under its name once it is whole. As JSON lines, an export that broke off goes on where it was when it
    is run again; Parquet begins anew, and needs the extra trivium-client[parquet]. The files that documents came in are
    not part of it.

    **Examples**

        trivium export manuals manuals.jsonl

        trivium export manuals manuals.parquet

        trivium export manuals texts.jsonl --no-vectors
    """
    if file.exists() and not force:
        raise typer.BadParameter(f"{file} is there already; name a new file, or use --force", param_hint="FILE")
    partial = file.with_name(file.name + _PARTIAL)
    writer: _Writer = ColumnsWriter(partial) if _is_columns(file, form) else LinesWriter(partial)
    with Trivium(gateway) as trivium, _bar() as bar, closing(writer):
        task = bar.add_task("exporting", total=None)
        trivium.get_collection(collection)  # so that a gateway that goes away from now on is one that was there
        patiently(lambda: _export(trivium, collection, writer, bar, task, vectors=vectors))
        writer.finish()
    os.replace(partial, file)
    totals = writer.totals
    if as_json:
        print_json({"file": str(file), "documents": totals.documents, "pieces": totals.pieces, "vectors": vectors})
    else:
        what = f" with the vectors of {counted(totals.pieces, 'piece')}" if vectors else " without vectors"
        echo(f"wrote {counted(totals.documents, 'document')} to {file}{what}")


def _export(trivium: Trivium, collection: str, writer: _Writer, bar: Progress, task: TaskID, *, vectors: bool) -> None:
    """Writes documents until all are there, from where the file says."""
    with closing(trivium.export_documents(collection=collection, vectors=vectors)) as first:
        told = next(first)
    assert isinstance(told, ExportedCollection), "it comes first"
    writer.resume(told)
    parts = trivium.export_documents(
        collection=collection, vectors=vectors, page_token=writer.page_token, timeout_seconds=_SECONDS
    )
    done = False
    with closing(parts):
        for part in parts:
            if isinstance(part, ExportedDocument):
                writer.write(part)
                bar.update(task, completed=writer.totals.documents)
            elif isinstance(part, ExportMark) and part.done:
                done = True
            elif isinstance(part, ExportMark):
                writer.mark(part.page_token)
    if not done:
        raise InternalError("the gateway ended the export in the middle", reason="INCOMPLETE_RESPONSE")


def import_collection(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file.", show_default=False, exists=True, dir_okay=False)
    ],
    collection: ExportedArgument,
    embed: Annotated[
        bool, typer.Option("--embed", help="Embed the texts anew if the collection has another embedding model.")
    ] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the documents of a file that `trivium export` wrote. A collection that is not there is created.

    The whole file is checked first. Where the collection has the embedding model that the file's vectors are of,
    nothing is embedded; else it asks whether to embed the texts. Documents of the same ids are replaced, those that
    are the same already cost little, and all others stay: run it again if it broke off. A collection that has no
    settings of its own gets those in the file, if your key may change them.

    **Examples**

        trivium import manuals.jsonl manuals

        trivium import manuals.parquet manuals --embed
    """
    reader: _Reader = ColumnsReader(file) if _is_columns(file, None) else LinesReader(file)
    source = reader.collection
    outcomes: Counter[str] = Counter()
    with Trivium(gateway) as trivium:
        embed = _ready(trivium, collection, source, embed=embed)
        with _bar() as bar, ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
            task = bar.add_task("importing", total=reader.totals.documents)
            flying: deque[Future[list[DocumentResult]]] = deque()
            try:
                for batch in _batches(reader):
                    flying.append(threads.submit(_import, trivium, source, batch, collection, embed))
                    if len(flying) >= _CALLS_AT_ONCE:
                        _note(flying.popleft().result(), outcomes)
                        bar.update(task, completed=outcomes.total())
                while flying:
                    _note(flying.popleft().result(), outcomes)
                    bar.update(task, completed=outcomes.total())
            except BaseException:
                for one in flying:
                    one.cancel()
                raise
        _take_settings(trivium, collection, source)
    if as_json:
        print_json({"collection": collection, **outcomes, "documents": outcomes.total()})
    else:
        said = ", ".join(
            f"{outcomes[one]} {one}" for one in ("indexed", "updated", "unchanged", "failed") if outcomes[one]
        )
        echo(f"imported {counted(outcomes.total(), 'document')} into {collection}: {said or 'there were none'}")
    if outcomes["failed"]:
        raise typer.Exit(FAILED)


def _is_columns(file: Path, form: str | None) -> bool:
    return form == "parquet" or (form is None and file.suffix == ".parquet")


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = stderr()
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _ready(trivium: Trivium, name: str, source: ExportedCollection, *, embed: bool) -> bool:
    """Makes sure that there is a collection, and asks whether to embed the texts if its model is another one.

    Returns:
        Whether to embed them if so.

    Raises:
        typer.Exit: Nobody can be asked.
    """
    try:
        trivium.get_collection(name)
    except NotFound:
        trivium.create_collection(name)
        _take_settings(trivium, name, source)  # first, as they say how documents are cut and embedded
        _make_anew(trivium, name)
    try:
        trivium.import_documents(source, [], collection=name, embed=embed)
    except FailedPrecondition as error:
        if error.reason != "MODEL_DIFFERS":
            raise
        why = error.message.partition(". ")[0]
        if not is_interactive():
            fail(f"{why}. Use --embed to have the texts embedded anew")
            raise typer.Exit(FAILED) from None
        warn(why)
        typer.confirm("Embed the texts anew?", abort=True, err=True)
        return True
    return embed


def _batches(reader: _Reader) -> Iterator[list[ExportedDocument]]:
    """The documents in calls of some megabytes, each document with all that continues it."""
    batch: list[ExportedDocument] = []
    size = documents = 0
    for document in reader.documents():
        if not document.continues and (size > _BATCH_BYTES or documents >= _BATCH_DOCUMENTS):
            yield batch
            batch, size, documents = [], 0, 0
        batch.append(document)
        size += document.size_bytes
        documents += not document.continues
    if batch:
        yield batch


def _import(
    trivium: Trivium, source: ExportedCollection, batch: list[ExportedDocument], collection: str, embed: bool
) -> list[DocumentResult]:
    return patiently(lambda: trivium.import_documents(source, batch, collection=collection, embed=embed))


def _note(results: list[DocumentResult], outcomes: Counter[str]) -> None:
    for one in results:
        outcomes[one.status] += 1
        if one.error is not None:
            fail(f"{one.id}: {one.error.message} ({one.error.reason})")


def _make_anew(trivium: Trivium, name: str) -> None:
    """Has a collection that is still empty made as its settings say, as with learned sparse vectors."""
    if trivium.get_collection(name).needs_reindex:
        while not patiently(lambda: trivium.reindex_collection(name, timeout_seconds=_SECONDS)).done:
            pass
        trivium.discard_index(name)


def _take_settings(trivium: Trivium, name: str, source: ExportedCollection) -> None:
    """Gives a collection that has no settings those that the file says."""
    if not source.settings or trivium.get_collection(name).settings is not None:
        return
    try:
        trivium.update_collection(name, source.settings, note=f"imported with the documents of {source.name}")
    except TriviumError as error:
        warn(f"the settings of {source.name} are not taken over: {error.message}")
