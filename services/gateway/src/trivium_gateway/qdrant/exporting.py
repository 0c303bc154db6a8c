"""Reads chunks with what the embedding model made of them, by their places in their documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.qdrant.embedded import embedded_from, vectors_of_models
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.point_ids import earlier_head_id, head_id, point_id
from trivium_gateway.qdrant.points import (
    CHUNK_FIELDS,
    TOKEN_CODES,
    EmbeddedChunk,
    chunk_from_payload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["ChunkPlace", "PlacedChunks"]

_TIMEOUT_SECONDS = 60.0
_NONE = EmbeddedChunk((), b"")

ChunkPlace = tuple[str, str, int]
"""Which chunk: its document's id and version, and its number there."""


class PlacedChunks:
    """The chunks in a physical collection that somebody may read.

    Args:
        connection: To Qdrant.
        physical: The collection's name in Qdrant.
        reader: As whom they are read.
        with_learned: Whether they have learned sparse vectors.
    """

    def __init__(
        self, connection: QdrantConnection, physical: str, reader: Reader, *, with_learned: bool = False
    ) -> None:
        self._with_learned = with_learned
        self._connection = connection
        self._physical = physical
        self._reader = reader

    async def read(
        self, places: Sequence[ChunkPlace], *, with_vectors: bool
    ) -> dict[ChunkPlace, tuple[Chunk, EmbeddedChunk]]:
        """Read some chunks in one call; those that are not there, or not for the reader, are missing.

        Args:
            places: Which chunks.
            with_vectors: Whether to read their vectors and token codes, too; without, these are empty.
        """
        tenant = self._reader.tenant
        ids = {_point_of(tenant, *place) for place in places}
        fields = (*CHUNK_FIELDS, TOKEN_CODES) if with_vectors else CHUNK_FIELDS
        vectors = vectors_of_models(with_learned=self._with_learned)
        request = qdrant.GetPoints(
            collection_name=self._physical,
            ids=[qdrant.PointId(uuid=one) for one in ids],
            with_payload=qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=fields)),
            with_vectors=vectors if with_vectors else qdrant.WithVectorsSelector(enable=False),
        )
        reply = await self._connection.call(self._connection.points.Get, request, timeout_seconds=_TIMEOUT_SECONDS)
        found: dict[ChunkPlace, tuple[Chunk, EmbeddedChunk]] = {}
        for point in reply.result:
            chunk = chunk_from_payload(point.payload)
            if self._reader.may_read(chunk.readers):
                embedded = embedded_from(point, with_learned=self._with_learned) if with_vectors else _NONE
                found[chunk.document_id, chunk.version, chunk.index] = chunk, embedded
        return found


def _point_of(tenant: str, document_id: str, version: str, index: int) -> str:
    if index:
        return point_id(tenant, document_id, index, version)
    return head_id(tenant, document_id) if "." in version else earlier_head_id(tenant, document_id, version)
