"""Forces changes to the disk, and keeps digests of what is there, again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

if TYPE_CHECKING:
    from trivium_qdrant_edge.database import Database
    from trivium_qdrant_edge.metrics import EngineMetrics

# How long a collection must not have changed before its files are worth a digest.
_QUIET_SECONDS = 10.0

# The engine stops the whole process while it flushes: with hundreds of collections it would do little else.
_FLUSHING_SHARE = 0.2

_logger = logging.getLogger(__name__)


async def flush_forever(database: Database, metrics: EngineMetrics, interval_seconds: float) -> None:
    """Forces changes to the disk at an interval, flushes where it is due, and keeps the reserve, until cancelled.

    Args:
        database: The collections.
        metrics: Where the time it takes is counted.
        interval_seconds: How long to wait between rounds.
    """
    while True:
        await asyncio.sleep(interval_seconds)
        if not database.is_read_only:
            await asyncio.to_thread(database.room.keep)
        for collection in database.collections():
            started = time.perf_counter()
            try:
                if await collection.sync():
                    metrics.flush_seconds.observe(time.perf_counter() - started)
            except (TriviumError, OSError) as error:
                _logger.error("cannot force collection %s to the disk: %s", collection.name, error)
        await _flush_those_due(database, _FLUSHING_SHARE * interval_seconds)


async def _flush_those_due(database: Database, seconds: float) -> None:
    """Flushes one collection after the other until the time is over; the others have their turn in the next round."""
    until = time.monotonic() + seconds
    for collection in sorted(database.collections(), key=lambda one: one.durability.changed_at):
        if not collection.durability.is_flush_due:
            continue
        try:
            await collection.flush()
        except (TriviumError, OSError) as error:
            _logger.error("cannot flush collection %s: %s", collection.name, error)
        if time.monotonic() >= until:
            return


async def keep_digests_forever(database: Database) -> None:
    """Keeps digests of each collection that has been quiet for a while, until cancelled.

    Args:
        database: The collections.
    """
    while True:
        await asyncio.sleep(_QUIET_SECONDS / 2)
        for collection in database.collections():
            if time.monotonic() - collection.durability.changed_at < _QUIET_SECONDS:
                continue
            try:
                await collection.keep_digests()
            except (TriviumError, OSError) as error:
                _logger.error("cannot keep digests of collection %s: %s", collection.name, error)
