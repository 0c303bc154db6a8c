"""Counts what is stored in a physical collection."""

import asyncio

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.readers import Reader
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.qdrant.collections import PhysicalCollection
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.points import Scope, chunk_from_payload, empty_condition, integer_condition, scoped_filter
from trivium_gateway.qdrant.text_bytes import BASE, HIGH, LOW

__all__ = ["QdrantTotals"]

_TIMEOUT_SECONDS = 30.0
_DIFFERENT_VALUES = 10_000
_PAGE = 1_000


class QdrantTotals:
    """Counts by what chunks 0 say.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

    async def count(self, physical: str, described: PhysicalCollection, reader: Reader) -> tuple[Stored, int]:
        """Count the documents that somebody may read, and the bytes of their texts.

        Returns:
            Both of the documents whose chunk 0 says how long their text is; and how many others there are.
        """
        heads = scoped_filter(reader, [integer_condition("chunk_index", 0)])
        if not described.indexed_fields.issuperset((HIGH, LOW)):
            return Stored(), await self._count(physical, heads)
        high, low, unmeasured = await asyncio.gather(
            self._by_value(physical, HIGH, heads),
            self._by_value(physical, LOW, heads),
            self._count(physical, _unmeasured(reader)),
        )
        size = BASE * sum(value * count for value, count in high) + sum(value * count for value, count in low)
        return Stored(sum(count for _, count in low), size), unmeasured

    async def unmeasured(self, physical: str, reader: Reader) -> list[Chunk]:
        """Read document and version of the chunks 0 that do not say how long their document's text is."""
        request = qdrant.ScrollPoints(
            collection_name=physical,
            filter=_unmeasured(reader),
            limit=_PAGE,
            with_payload=qdrant.WithPayloadSelector(
                include=qdrant.PayloadIncludeSelector(fields=("document_id", "content_hash"))
            ),
            with_vectors=qdrant.WithVectorsSelector(enable=False),
        )
        found: list[Chunk] = []
        while True:
            reply = await self._connection.call(
                self._connection.points.Scroll, request, timeout_seconds=_TIMEOUT_SECONDS
            )
            found += [chunk_from_payload(point.payload) for point in reply.result]
            if not reply.HasField("next_page_offset"):
                return found
            request.offset.CopyFrom(reply.next_page_offset)

    async def _by_value(self, physical: str, field: str, scope: Scope) -> list[tuple[int, int]]:
        request = qdrant.FacetCounts(
            collection_name=physical, key=field, filter=scope, limit=_DIFFERENT_VALUES, exact=True
        )
        reply = await self._connection.call(self._connection.points.Facet, request, timeout_seconds=_TIMEOUT_SECONDS)
        return [(int(hit.value.integer_value), int(hit.count)) for hit in reply.hits]

    async def _count(self, physical: str, scope: Scope) -> int:
        request = qdrant.CountPoints(collection_name=physical, filter=scope, exact=True)
        reply = await self._connection.call(self._connection.points.Count, request, timeout_seconds=_TIMEOUT_SECONDS)
        return int(reply.result.count)


def _unmeasured(reader: Reader) -> Scope:
    return scoped_filter(reader, [integer_condition("chunk_index", 0), empty_condition(LOW)])
