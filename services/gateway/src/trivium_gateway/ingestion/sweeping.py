"""Deletes what crashes have left of documents that were never committed."""

import asyncio
import logging

from trivium_serving.errors import TriviumError

from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["Sweeper"]

_logger = logging.getLogger(__name__)

_FIRST_SECONDS = 60.0
_INTERVAL_SECONDS = 3600.0


class Sweeper:
    """Finds versions that no chunk 0 names. Nobody reads them; they only take room.

    Counting tells whether there can be any, so that a collection without costs next to nothing.

    Args:
        collections: All of them.
        chunks: Where their chunks are.
    """

    def __init__(self, collections: Collections, chunks: ChunkStore) -> None:
        self._collections = collections
        self._chunks = chunks

    async def run(self) -> None:
        """Sweep all collections some time after the start and then every hour, until cancelled."""
        pause_seconds = _FIRST_SECONDS
        while True:
            await asyncio.sleep(pause_seconds)
            pause_seconds = _INTERVAL_SECONDS
            try:
                await self.sweep()
            except TriviumError as error:
                _logger.warning("not all collections were swept, which is tried again in an hour: %s", error.message)

    async def sweep(self) -> int:
        """Sweep all collections once.

        Returns:
            How many versions were deleted.
        """
        swept = 0
        for collection in await self._collections.with_remains():
            deleted = await self._sweep_one(collection)
            swept += deleted
            if deleted:
                _logger.info(
                    "deleted what %d interrupted writes had left in the collection %s", deleted, collection.name
                )
        return swept

    async def _sweep_one(self, collection: ResolvedCollection) -> int:
        deleted: set[str] = set()
        async for versions in self._chunks.abandoned(collection, collection.tenant):
            if versions:
                await self._chunks.delete_versions(collection, versions, collection.tenant)
                deleted.update(versions)
        return len(deleted)
