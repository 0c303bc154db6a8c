"""`trivium sync`."""

import dataclasses
import time
from collections import Counter
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Trivium, TriviumError
from trivium_client._counting import counted
from trivium_client.cli.failures import failure_text
from trivium_client.cli.options import (
    CollectionOption,
    GatewayOption,
    JsonOption,
    MetadataOption,
    ReadersOption,
    StrictOption,
    parse_metadata,
)
from trivium_client.cli.output import echo, fail, print_json, stderr, warn
from trivium_client.sync import (
    Deletions,
    Memory,
    Plan,
    Source,
    SourceUnavailable,
    Synchronizer,
    SyncReport,
    TooManyDeletions,
    open_source,
)

_DONE = ("new", "changed", "moved", "deleted", "unchanged", "kept", "failed")


def sync(
    address: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, or an address such as s3://bucket/manuals.",
            show_default=False,
        ),
    ],
    collection: CollectionOption = "",
    metadata: MetadataOption = None,
    readers: ReadersOption = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN", help="Files to leave out, as in .gitignore; may be repeated.", show_default=False
        ),
    ] = None,
    delete: Annotated[
        bool | None,
        typer.Option(
            "--delete/--keep",
            help="Delete all documents whose files are gone, or none. Without either they go, unless the source is "
            "empty or they are more than half.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and look for changes, until interrupted.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="How long --watch waits between two looks.")
    ] = 2.0,
    strict: StrictOption = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the documents equal to a folder: add what is new, replace what changed, delete what is gone.

    A file that did not change costs a look at its date. One that was moved keeps its vectors. It is safe to break off,
    to repeat, and to run twice at once. Documents that came from elsewhere are left alone.

    Hidden files and those of unknown formats are passed over; a file .triviumignore at the root of the source says, as
    .gitignore does, what else to leave out. `manual.pdf.metadata.json` beside `manual.pdf` holds facts about it.

    Addresses of object stores, web servers and repositories need `pip install "trivium-client[remote]"` and the library
    of fsspec for their kind, as s3fs for s3://.

    **Examples**

        trivium sync manuals

        trivium sync --dry-run --ignore drafts/ manuals

        trivium sync --readers group:hr contracts

        trivium sync --watch --collection notes ~/notes

        trivium sync s3://bucket/manuals
    """
    deletions = {None: Deletions.BOUNDED, True: Deletions.ALL, False: Deletions.NONE}[delete]
    try:
        source = open_source(address, ignore or (), parse_metadata(metadata), readers or ())
        with Trivium(gateway) as trivium:
            command = _Sync(trivium, source, collection, deletions, strict=strict, as_json=as_json)
            if dry_run:
                command.show(command.plan())
                return
            failed = command.run()
            while watch:
                command.wait(interval)
                failed = command.run_again()
    except (SourceUnavailable, TooManyDeletions, _Skipped) as problem:
        fail(str(problem))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        warn("interrupted; run it again to go on, what was done will cost nothing")
        raise
    if failed:
        raise typer.Exit(1)


class _Skipped(Exception):
    """Files would be passed over, and nobody wants that."""


class _Sync:
    """One source and where it is kept."""

    def __init__(
        self, trivium: Trivium, source: Source, collection: str, deletions: Deletions, *, strict: bool, as_json: bool
    ) -> None:
        self._trivium = trivium
        self._source = source
        self._collection = collection
        self._deletions = deletions
        self._strict = strict
        self._as_json = as_json
        self._seen: frozenset[tuple[str, int | None, str]] = frozenset()

    def plan(self) -> Plan:
        """Says what would be done."""
        with self._memory() as memory:
            return self._checked(self._synchronizer(memory).plan())

    def run(self) -> bool:
        """Does what has to be done, and says what that was; whether anything failed."""
        self._seen = self._looks()
        with self._memory() as memory:
            synchronizer = self._synchronizer(memory)
            plan = self._checked(synchronizer.plan())
            with _progress() as bar:
                task = bar.add_task("synchronizing", total=len(plan.sendings))
                report = synchronizer.run(
                    plan, lambda so_far: bar.update(task, completed=_sent_count(so_far, plan.unchanged_count))
                )
        self._tell(report)
        if memory.problem is not None:
            warn(f"what was seen cannot be remembered, and is read again the next time: {memory.problem}")
        return bool(report.failed)

    def wait(self, interval: float) -> None:
        """Waits until the source has changed since the last run began, and is quiet again."""
        while (now := self._looks_after(interval)) == self._seen:
            pass
        while now != (later := self._looks_after(interval)):
            now = later

    def run_again(self) -> bool:
        """As `run`; what keeps one run from its work is said, and does not end the watch."""
        try:
            return self.run()
        except (SourceUnavailable, TooManyDeletions) as problem:
            fail(str(problem))
        except TriviumError as error:
            fail(failure_text(error))
            self._seen = frozenset()  # so that it is tried again
        return True

    def show(self, plan: Plan) -> None:
        """Prints a plan."""
        if self._as_json:
            sendings = [
                {
                    "uri": one.file.uri,
                    "change": one.change,
                    "id": one.id or one.default_id,
                    "moved_from": one.moved_from,
                }
                for one in plan.sendings
            ]
            deleted = [{"id": one.id, "uri": one.uri} for one in plan.deletions]
            print_json({"send": sendings, "delete": deleted, "unchanged": plan.unchanged_count})
            return
        for one in plan.sendings:
            echo(f"{one.change}\t{one.file.key}" + (f"\tfrom {one.moved_from}" if one.moved_from else ""))
        for document in plan.deletions:
            echo(f"deleted\t{document.id}")
        echo(f"{plan.unchanged_count} unchanged")
        self._tell_passed_over(plan.skipped, plan.unseen)

    def _looks(self) -> frozenset[tuple[str, int | None, str]]:
        return frozenset((file.uri, file.size, file.stamp) for file in self._source.list().files)

    def _looks_after(self, interval: float) -> frozenset[tuple[str, int | None, str]]:
        time.sleep(interval)
        try:
            return self._looks()
        except SourceUnavailable:
            return self._seen  # what is not there has not changed

    def _memory(self) -> Memory:
        return Memory.of(self._source.uri, address=self._trivium.address, collection=self._collection)

    def _synchronizer(self, memory: Memory) -> Synchronizer:
        return Synchronizer(self._trivium, self._source, memory, collection=self._collection, deletions=self._deletions)

    def _checked(self, plan: Plan) -> Plan:
        if self._strict and (plan.skipped or plan.unseen):
            self._tell_passed_over(plan.skipped, plan.unseen)
            raise _Skipped("--strict forbids to pass over files; nothing was changed")
        return plan

    def _tell(self, report: SyncReport) -> None:
        if self._as_json:
            failed = [{"uri": uri, "error": dataclasses.asdict(error)} for uri, error in report.failed]
            counts = {name: report.counts[name] for name in _DONE}
            print_json({**counts, "failures": failed, "skipped": dict(report.skipped), "unseen": report.unseen})
        else:
            parts = [f"{report.counts[name]} {name}" for name in _DONE if report.counts[name]]
            echo(", ".join(parts) or "nothing there")
        self._tell_passed_over(report.skipped, report.unseen)
        for uri, error in report.failed:
            fail(f"{uri}: {error.message} ({error.reason})")

    def _tell_passed_over(self, skipped: Counter[str], unseen: list[str]) -> None:
        if skipped:
            kinds = ", ".join(f"{count} {ending}" for ending, count in skipped.most_common(8))
            warn(f"passed over {counted(skipped.total(), 'file')} of other types: {kinds}")
        for place in unseen:
            warn(f"{place} cannot be read; what is stored of it stays")


def _sent_count(report: SyncReport, unchanged_before: int) -> int:
    done = sum(report.counts[name] for name in ("new", "changed", "moved", "failed", "unchanged"))
    return done - unchanged_before


def _progress() -> Progress:
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
