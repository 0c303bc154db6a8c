"""Counts what each tenant has stored, in Qdrant itself, so that no crash makes it wrong."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from trivium_serving.errors import NotFound, TriviumError

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.names import DEFAULT_TENANT, name_and_tenant
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.documents import text_of
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.metrics import StoredMetrics
from trivium_gateway.library.versions import current_version
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.totals import QdrantTotals

__all__ = ["Totals"]

_COUNTS_AT_ONCE = 5
_VERSIONS_AT_A_TIME = 32
_FOLLOW_SECONDS, _RETRY_SECONDS = 60.0, 5.0
_IDLE_SHARE = 20
"""It counts at most a twentieth of the time."""


class Totals:
    """Counts the documents that are stored, and the bytes of their texts.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection
        self._totals = QdrantTotals(connection)
        self._lookup = CollectionLookup(QdrantCollections(connection))

    async def count(self, tenant: str | None) -> dict[str, Stored]:
        """Count what is stored now. Collections that Qdrant cannot read are left out.

        Args:
            tenant: Whose; None for everybody's.

        Returns:
            By tenant; those without a collection are missing, unless they were asked for.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        at_once = asyncio.Semaphore(_COUNTS_AT_ONCE)

        async def count_one(alias: str, own: OwnCollection) -> tuple[str, Stored]:
            whose = name_and_tenant(alias)[1]
            async with at_once:
                try:
                    return whose, await self._count(own, whose)
                except NotFound:  # deleted since
                    return whose, Stored()

        found = (await self._lookup.all(tenant)).items()
        counted = await asyncio.gather(
            *(count_one(alias, own) for alias, own in found if isinstance(own, OwnCollection))
        )
        totals: dict[str, Stored] = {} if tenant is None else {tenant: Stored()}
        for whose, stored in counted:
            totals[whose] = totals.get(whose, Stored()) + stored
        return totals

    async def follow(self, metrics: StoredMetrics) -> None:
        """Counts what everybody has stored, now and then, until cancelled."""
        while True:
            began, pause = time.monotonic(), _RETRY_SECONDS
            with suppress(TriviumError):
                metrics.set({DEFAULT_TENANT: Stored(), **await self.count(None)})
                pause = _FOLLOW_SECONDS
            await asyncio.sleep(max(pause, _IDLE_SHARE * (time.monotonic() - began)))

    async def _count(self, own: OwnCollection, tenant: str) -> Stored:
        reader = whole(tenant)
        measured, unmeasured = await self._totals.count(own.physical, own.described, reader)
        return measured + await self._measure(own.physical, tenant) if unmeasured else measured

    async def _measure(self, physical: str, tenant: str) -> Stored:
        """Count the documents that an earlier version of Trivium wrote, which did not say how long their texts are."""
        chunks = QdrantChunks(self._connection, physical, whole(tenant))
        heads: defaultdict[str, list[str]] = defaultdict(list)
        for head in await self._totals.unmeasured(physical, whole(tenant)):
            heads[head.document_id].append(head.version)
        versions = [current_version(found) or "" for found in heads.values()]
        size = 0
        for start in range(0, len(versions), _VERSIONS_AT_A_TIME):
            some = versions[start : start + _VERSIONS_AT_A_TIME]
            size += _text_bytes(
                await chunks.read(("content_hash", "chunk_index", "text", "start", "end"), versions=some)
            )
        return Stored(len(versions), size)


def _text_bytes(chunks: Iterable[Chunk]) -> int:
    """Give the bytes of the texts that some versions have."""
    of_version: defaultdict[str, list[Chunk]] = defaultdict(list)
    for chunk in sorted(chunks, key=lambda one: one.index):
        of_version[chunk.version].append(chunk)
    return sum(len(text_of(version).encode()) for version in of_version.values())
