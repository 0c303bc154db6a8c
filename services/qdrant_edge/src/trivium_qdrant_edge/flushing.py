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

_logger = logging.getLogger(__name__)


async def flush_forever(database: Database, metrics: EngineMetrics, interval_seconds: float) -> None:
    """Flushes each changed collection at an interval, and takes the reserve of room again, until cancelled.

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
                if await collection.flush():
                    metrics.flush_seconds.observe(time.perf_counter() - started)
            except (TriviumError, OSError) as error:
                _logger.error("cannot flush collection %s: %s", collection.name, error)


async def keep_digests_forever(database: Database) -> None:
    """Keeps digests of each collection that has been quiet for a while, until cancelled.

    Args:
        database: The collections.
    """
    while True:
        await asyncio.sleep(_QUIET_SECONDS / 2)
        for collection in database.collections():
            if time.monotonic() - collection.changed_at < _QUIET_SECONDS:
                continue
            try:
                await collection.keep_digests()
            except (TriviumError, OSError) as error:
                _logger.error("cannot keep digests of collection %s: %s", collection.name, error)
