"""Runs the parts on a Ray cluster by Ray Data, and notes which are in."""

import functools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from trivium_client._client import Trivium
from trivium_client._documents import DocumentError
from trivium_client._errors import InvalidRequest, TriviumError
from trivium_client._sending import ingest_each
from trivium_client.bulk.manifest import Manifest
from trivium_client.bulk.parts import Part

__all__ = ["BulkReport", "Workers", "ingest_parts", "outcome_of"]

_MOST_BLOCKS = 2000
"""Of parts that go to a worker together: Ray keeps a record of each."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who does the work.

    Attributes:
        address: Of a Ray cluster; empty for the one that the environment names (RAY_ADDRESS), else one on this machine.
        count: How many parts are in work at once; 0 for as many as the cluster has processors.
        gateway: Whom they send to; None for the one that each worker's environment names (TRIVIUM_GATEWAY).
    """

    address: str = ""
    count: int = 0
    gateway: str | None = None


@dataclass(slots=True)
class BulkReport:
    """What became of the documents.

    Attributes:
        counts: How many, by what became of them: `indexed`, `updated`, `unchanged` or `failed`.
        failures: Which failed, and why.
        broken: Why parts could not be sent to their end; another run goes on with them.
        parts: How many parts there are.
        done: How many of these are in, those of a run before included.
        spared: How many were in before.
    """

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, DocumentError]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    parts: int = 0
    done: int = 0
    spared: int = 0


def ingest_parts(
    parts: Sequence[Part],
    manifest: Manifest,
    workers: Workers,
    *,
    collection: str,
    on_progress: Callable[[BulkReport, int], None],
) -> BulkReport:
    """Has workers read and send parts, except those that are in.

    A worker that dies costs what it had begun: another one sends it again, and what was stored is unchanged.

    Args:
        parts: The parts.
        manifest: Which are in; takes note of the others.
        workers: Who does the work.
        collection: Where to; empty for `default`.
        on_progress: Called after each part, with the report so far and how many documents the part has.

    Raises:
        InvalidRequest: Ray is not installed (EXTRA_MISSING).
    """
    ray = _library()
    waiting = [part for part in parts if not part.stamp or part.stamp not in manifest.done]
    report = BulkReport(parts=len(parts), done=len(parts) - len(waiting), spared=len(parts) - len(waiting))
    if not waiting:
        return report
    # Large and small ones lie together, and the blocks would be uneven.
    random.Random(0).shuffle(waiting)
    ray.init(
        address=workers.address or None, ignore_reinit_error=True, log_to_driver=False, logging_level="ERROR",
        **({} if workers.address or os.environ.get("RAY_ADDRESS") else {"include_dashboard": False}),
    )  # fmt: skip
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    rows = [{"number": number, "part": ray.cloudpickle.dumps(part)} for number, part in enumerate(waiting)]
    sent = ray.data.from_items(rows, override_num_blocks=min(len(rows), _MOST_BLOCKS)).map_batches(
        _work,
        fn_kwargs={"gateway": workers.gateway, "collection": collection},
        batch_size=1,
        batch_format="numpy",
        compute=ray.data.TaskPoolStrategy(size=workers.count) if workers.count else None,
        num_cpus=1,
        max_retries=-1,  # of a worker that dies; what fails in a part is in its outcome
    )
    for row in sent.iter_rows():
        part, told = waiting[row["number"]], json.loads(row["outcome"])
        _take(report, told)
        if not told["broken"] and not told["failures"]:
            manifest.note(part.stamp)
        on_progress(report, part.count)
    return report


def outcome_of(part: Part, trivium: Trivium, collection: str) -> dict[str, Any]:
    """Reads and sends a part; says what became of its documents."""
    counts: Counter[str] = Counter()
    failures: list[tuple[str, str, str]] = []
    broken = ""
    try:
        for name, result in ingest_each(trivium, part.sources(), collection=collection):
            counts[result.status] += 1
            if result.error is not None:
                failures.append((name, result.error.reason, result.error.message))
    except TriviumError as error:
        broken = f"{error} ({error.reason})"
    except Exception as error:  # a store of files that is away: each of fsspec's libraries has kinds of its own
        broken = f"{type(error).__name__}: {error}"
    return {"counts": counts, "failures": failures, "broken": broken}


def _work(batch: dict[str, Any], gateway: str | None, collection: str) -> Iterator[dict[str, Any]]:
    """What a worker does with a part."""
    from ray import cloudpickle

    for number, pickled in zip(batch["number"], batch["part"], strict=True):
        outcome = outcome_of(cloudpickle.loads(pickled), _client(gateway), collection)
        yield {"number": [number], "outcome": [json.dumps(outcome)]}


@functools.cache
def _client(gateway: str | None) -> Trivium:
    """One connection for each process, which does one part after the other."""
    return Trivium(gateway)


def _take(report: BulkReport, told: dict[str, Any]) -> None:
    report.counts.update(told["counts"])
    report.failures += [(name, DocumentError(reason, message)) for name, reason, message in told["failures"]]
    if told["broken"]:
        report.broken.append(told["broken"])
    else:
        report.done += 1


def _library() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    try:
        import ray
        import ray.data
    except ImportError:
        raise InvalidRequest(
            "the engine ray needs the package ray: pip install 'trivium-client[ray]'", reason="EXTRA_MISSING"
        ) from None
    return ray
