"""Sends documents by the workers of a Ray cluster: `trivium ingest --engine ray`."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Trivium
from trivium_client._counting import counted
from trivium_client.bulk import BulkReport, Workers, ingest_parts, parts_of
from trivium_client.bulk.manifest import Manifest
from trivium_client.cli.output import fail, print_json, stderr, stdout, warn
from trivium_client.cli.standard_input import FROM_STANDARD_INPUT
from trivium_client.sync import SourceUnavailable

_LEAST_SCHEME = 2
"""A single letter is a disk of Windows."""


def address_of(path: Path) -> str:
    """What was typed for a path: `s3://bucket` is no path, and loses a slash as one."""
    scheme, _, rest = str(path).partition(":/")
    return f"{scheme}://{rest}" if is_address(path) else str(path)


def is_address(path: Path) -> bool:
    """Whether a path is an address that another library than this machine's file system opens."""
    scheme, colon, rest = str(path).partition(":/")
    return bool(colon) and len(scheme) >= _LEAST_SCHEME and scheme.isalnum() and not rest.startswith("/")


def ingest_on_ray(
    paths: Sequence[Path],
    workers: Workers,
    *,
    collection: str,
    metadata: Mapping[str, Any],
    readers: Sequence[str],
    as_json: bool,
) -> None:
    """Has workers read and send what some addresses hold.

    Raises:
        typer.Exit: Something failed.
    """
    addresses = [address_of(path) for path in paths]
    if FROM_STANDARD_INPUT in addresses:
        raise typer.BadParameter("standard input cannot be read by many workers: name a folder", param_hint="PATH")
    try:
        parts, skipped = parts_of(addresses, metadata=metadata, readers=readers)
    except SourceUnavailable as problem:
        raise typer.BadParameter(str(problem), param_hint="PATH") from None
    manifest = Manifest.of([*addresses, repr(sorted(metadata.items())), *readers], collection)
    with Trivium(workers.gateway) as trivium:  # what was sent before is worth nothing if it has been deleted
        if manifest.done and (collection or "default") not in {one.name for one in trivium.list_collections()}:
            manifest.forget()
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task("ingesting", total=sum(part.count for part in parts))
    if manifest.done:
        warn(f"going on with a run that broke off: {counted(len(manifest.done), 'part')} of it are in")
        bar.advance(task, sum(part.count for part in parts if part.stamp in manifest.done))
    with closing(manifest), bar, redirect_stdout(sys.stderr):  # Ray prints what happens to its nodes
        report = ingest_parts(
            parts, manifest, workers, collection=collection, on_progress=lambda _, count: bar.advance(task, count)
        )
    if not report.broken and not report.failures:
        manifest.forget()
    _tell(report, skipped, as_json=as_json)


def _tell(report: BulkReport, skipped: Mapping[str, int], *, as_json: bool) -> None:
    if as_json:
        failed = [{"name": name, "reason": error.reason, "message": error.message} for name, error in report.failures]
        print_json({"documents": dict(report.counts), "parts": report.parts, "done": report.done, "failed": failed})
    else:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(report.counts.items()))
        spared = f"; {counted(report.spared, 'part')} were in before" if report.spared else ""
        stdout().print(f"{counts or 'no documents'} in {counted(report.parts, 'part')}{spared}", soft_wrap=True)
    if skipped:
        kinds = ", ".join(f"{count} {ending}" for ending, count in sorted(skipped.items())[:8])
        warn(f"passed over {counted(sum(skipped.values()), 'file')} of other types: {kinds}")
    for name, error in report.failures:
        fail(f"{name}: {error.message} ({error.reason})")
    for why in sorted(set(report.broken)):
        fail(f"{counted(report.broken.count(why), 'part')} broke off: {why}. Run it again to go on")
    if report.failures or report.broken:
        raise typer.Exit(1)
