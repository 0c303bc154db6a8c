"""Builds search indexes (HNSW) in the background, while the collection serves and takes writes.

A copy of the collection's files is optimized in a child process; the writes made meanwhile are applied to it; then it
takes the collection's place. Until the catalog names the copy it is nothing: a crash at any point leaves the old data,
complete.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_qdrant_edge.data_folder import building_path, copy_tree, remove_tree, size_on_disk
from trivium_qdrant_edge.digests import digest_sealed

if TYPE_CHECKING:
    from pathlib import Path

    import qdrant_edge

    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.database import Database
    from trivium_qdrant_edge.metrics import EngineMetrics

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_BUSY_DIVISOR = 8
_QUIET_DIVISOR = 2
_FREE_SPACE_FACTOR = 3  # the copy, and the index built beside it
_TRY_AGAIN_SECONDS = 300.0


class OptimizationFailed(TriviumError):
    """The child process could not optimize the copy."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """The last one at a collection.

    Attributes:
        outcome: `done`, `abandoned` because too much was written meanwhile, or `failed`.
        ended_at: When, on the monotonic clock.
        unindexed: How many points it left without an index.
    """

    outcome: str
    ended_at: float
    unindexed: int

    def left_over(self, *, is_quiet: bool) -> int:
        """How many points without an index are no reason for another attempt.

        After one that is done these are what the engine leaves so, small segments and points without a vector. One that
        was abandoned would be so again while as much is written; one that failed may succeed later.
        """
        if self.outcome == "abandoned" and is_quiet:
            return 0
        if self.outcome == "failed" and time.monotonic() - self.ended_at >= _TRY_AGAIN_SECONDS:
            return 0
        return self.unindexed


class Optimizer:
    """Optimizes one collection at a time.

    Args:
        database: The collections.
        metrics: Where the work is counted.
        from_points: How many points without an index are worth the work.
        quiet_seconds: How long a collection must not have changed to be taken for settled.
    """

    def __init__(self, database: Database, metrics: EngineMetrics, *, from_points: int, quiet_seconds: float) -> None:
        self._database = database
        self._metrics = metrics
        self._from_points = from_points
        self._quiet_seconds = quiet_seconds
        self._attempts: dict[str, _Attempt] = {}

    async def run_forever(self) -> None:
        """Looks for collections to optimize, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for collection in self._database.collections():
                try:
                    if await self.is_due(collection):
                        await self.optimize(collection)
                except (TriviumError, OSError) as error:
                    _logger.error("cannot optimize collection %s: %s", collection.name, error)

    async def is_due(self, collection: Collection) -> bool:
        """Whether the collection has enough points without an index.

        Each of them is compared with each query, so that a long ingestion is not waited for: once an eighth of the
        points has none, the index is built anew. The less is left when it is quiet, the less is searched without.
        """
        unindexed, count = await _unindexed_count(collection), collection.points_count()
        enough = max(self._from_points, count // _BUSY_DIVISOR)
        is_quiet = time.monotonic() - collection.durability.changed_at >= self._quiet_seconds
        if is_quiet:
            enough = self._from_points // _QUIET_DIVISOR if unindexed < count else self._from_points
        last = self._attempts.get(collection.entry.id)
        return unindexed - (last.left_over(is_quiet=is_quiet) if last else 0) >= enough

    async def optimize(self, collection: Collection) -> None:
        """Builds the collection's search index now.

        Raises:
            OptimizationFailed: It could not be built; the collection is as it was.
        """
        started = time.monotonic()
        outcome = "failed"
        try:
            with self._metrics.optimizing(collection.name):
                outcome = "done" if await self._replace_by_optimized_copy(collection) else "abandoned"
        finally:
            self._metrics.optimizations.labels(outcome).inc()
            self._attempts[collection.entry.id] = _Attempt(
                outcome, time.monotonic(), await _unindexed_count(collection)
            )
        seconds = time.monotonic() - started
        self._metrics.optimization_seconds.observe(seconds)
        _logger.info("optimized collection %s in %.1f s: %s", collection.name, seconds, outcome)

    async def _replace_by_optimized_copy(self, collection: Collection) -> bool:
        """Returns whether the copy took the collection's place; not so if too much was written meanwhile."""
        source = collection.path
        building = building_path(source)
        await asyncio.to_thread(_check_space, source)
        try:
            await collection.copy(lambda: copy_tree(source, building))
            await _run_child(building)
            if not await collection.catch_up(building):
                return False
            sealed = await asyncio.to_thread(digest_sealed, building)
            return await self._database.adopt(collection, building, sealed)
        finally:
            collection.forget_copy()
            await asyncio.to_thread(remove_tree, building)


async def _unindexed_count(collection: Collection) -> int:
    """How many points have no search index for a dense vector, if each has all vectors of the collection.

    The engine counts indexed vectors, the sparse among them, which always are.
    """

    def count(shard: qdrant_edge.EdgeShard) -> int:
        info, schema = shard.info(), collection.entry.schema
        vector_count = info.points_count * (len(schema.dense) + len(schema.sparse))
        return (vector_count - info.indexed_vectors_count) // max(len(schema.dense), 1)

    return await collection.read(count)


def _check_space(source: Path) -> None:
    used = size_on_disk(source)
    free = shutil.disk_usage(source).free
    if free < _FREE_SPACE_FACTOR * used:
        raise OptimizationFailed(
            f"building the index needs up to {_FREE_SPACE_FACTOR * used >> 20} MiB beside {source}, but only "
            f"{free >> 20} MiB are free. Searches stay exact, and slower."
        )


async def _run_child(shard: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trivium_qdrant_edge.optimize_shard", str(shard), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        status = await child.wait()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if status != 0:
        raise OptimizationFailed(f"the process that builds the index ended with status {status}")
