"""Finds chunks without token codes, and adds these to them where they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.domain.readers import whole
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.points import (
    CHUNK_FIELDS,
    TOKEN_CODES,
    chunk_from_payload,
    coded_condition,
    id_condition,
    keyword_condition,
    scoped_filter,
    token_codes_from,
    token_codes_payload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["ChunkCoder", "UncodedChunk"]

_TIMEOUT_SECONDS = 60.0
_WRITES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class UncodedChunk:
    """A chunk that nothing says of that it has token codes.

    Attributes:
        id: Its point's id.
        chunk: The chunk.
        token_codes: What it has of them all the same, as from before that was noted; empty for none.
    """

    id: str
    chunk: Chunk
    token_codes: bytes


class ChunkCoder:
    """The chunks of a tenant in a physical collection.

    Args:
        connection: To Qdrant.
        physical: The collection's name in Qdrant.
        tenant: Whose chunks.
    """

    def __init__(self, connection: QdrantConnection, physical: str, tenant: str) -> None:
        self._connection = connection
        self._physical = physical
        self._reader = whole(tenant)

    async def page(self, offset: str, limit: int) -> tuple[list[UncodedChunk], str]:
        """Read some chunks without codes, in the order of their points' ids.

        Args:
            offset: The point to begin at; empty for the first.
            limit: Most chunks.

        Returns:
            The chunks, and where the next page begins, empty after the last.
        """
        request = qdrant.ScrollPoints(
            collection_name=self._physical,
            filter=scoped_filter(self._reader, without=[coded_condition()]),
            limit=limit,
            with_payload=qdrant.WithPayloadSelector(
                include=qdrant.PayloadIncludeSelector(fields=(*CHUNK_FIELDS, TOKEN_CODES))
            ),
            with_vectors=qdrant.WithVectorsSelector(enable=False),
            offset=qdrant.PointId(uuid=offset) if offset else None,
        )
        reply = await self._connection.call(self._connection.points.Scroll, request, timeout_seconds=_TIMEOUT_SECONDS)
        found = [
            UncodedChunk(point.id.uuid, chunk_from_payload(point.payload), token_codes_from(point.payload))
            for point in reply.result
        ]
        return found, reply.next_page_offset.uuid if reply.HasField("next_page_offset") else ""

    async def add(self, chunks: Sequence[UncodedChunk], token_codes: Sequence[bytes]) -> None:
        """Add codes to chunks; to none whose document has changed since, and none where they are empty."""
        places = asyncio.Semaphore(_WRITES_AT_ONCE)

        async def add_one(one: UncodedChunk, codes: bytes) -> None:
            # Chunk 0 of the next version of the document has the same id.
            as_it_was = [id_condition([one.id]), keyword_condition("content_hash", [one.chunk.version])]
            request = qdrant.SetPayloadPoints(
                collection_name=self._physical,
                wait=True,
                payload=token_codes_payload(codes),
                points_selector=qdrant.PointsSelector(filter=scoped_filter(self._reader, as_it_was)),
                ordering=qdrant.WriteOrdering(type=qdrant.WriteOrderingType.Medium),
            )
            async with places:
                await self._connection.call(
                    self._connection.points.SetPayload, request, timeout_seconds=_TIMEOUT_SECONDS
                )

        await asyncio.gather(*(add_one(one, codes) for one, codes in zip(chunks, token_codes, strict=True) if codes))
