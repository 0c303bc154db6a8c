"""Reads what stands beside chunks in their documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.point_ids import point_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.qdrant.connection import QdrantConnection


class Neighbours:
    """The chunks beside others.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

    async def of(
        self,
        collection: ResolvedCollection,
        chunks: Sequence[Chunk],
        distances: Sequence[int],
        *,
        timeout_seconds: float,
        reader: Reader,
    ) -> list[list[Chunk]]:
        """Read the chunks before and behind others of the same version, by their ids, which takes no search.

        Args:
            collection: Where they are.
            chunks: Each with its number and its version.
            distances: How far to go from each of them on both sides, in chunks.
            timeout_seconds: For each call.
            reader: As whom.

        Returns:
            For each chunk those around it without a gap, in their order, itself among them.

        Raises:
            TriviumError: Qdrant cannot give them now.
        """
        wanted = {
            (chunk.document_id, chunk.version, index)
            for chunk, distance in zip(chunks, distances, strict=True)
            for index in range(max(0, chunk.index - distance), chunk.index + distance + 1)
            if index < chunk.chunk_count or not chunk.chunk_count
        }
        known = {(chunk.version, chunk.index): chunk for chunk in chunks}
        ids = [
            point_id(reader.tenant, document_id, index, version)
            for document_id, version, index in sorted(wanted)
            if (version, index) not in known
        ]
        found = await QdrantChunks(self._connection, collection.physical, reader).found(
            ids, None, with_codes=False, timeout_seconds=timeout_seconds
        )
        # Chunk 0 may be another version's by now.
        known |= {(one.chunk.version, one.chunk.index): one.chunk for one in found.values()}
        return [_run(chunk, distance, known) for chunk, distance in zip(chunks, distances, strict=True)]


def _run(chunk: Chunk, distance: int, known: Mapping[tuple[str, int], Chunk]) -> list[Chunk]:
    first = last = chunk.index
    while first > chunk.index - distance and (chunk.version, first - 1) in known:
        first -= 1
    while last < chunk.index + distance and (chunk.version, last + 1) in known:
        last += 1
    return [known[chunk.version, index] for index in range(first, last + 1)]
