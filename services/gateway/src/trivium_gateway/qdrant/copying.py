"""Copies points from one physical collection to another, with the words' vectors made anew and token codes added.

It is of whole collections, whoever's the points are, so that these requests alone have no tenant.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.readers import Readers
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.learned import LEARNED, sparse_vector, sparse_weights
from trivium_gateway.qdrant.points import (
    BM25,
    TOKEN_CODES,
    chunk_from_payload,
    token_codes_from,
    token_codes_payload,
)

__all__ = ["PointCopier", "SeenPoint"]

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SeenPoint:
    """A chunk's point, as far as it tells whether it is the same elsewhere.

    Attributes:
        id: Its id.
        version: The version of the document that it belongs to.
        is_head: Whether it is chunk 0, which commits the version.
        readers: Who may read it.
    """

    id: str
    version: str
    is_head: bool
    readers: Readers


class PointCopier:
    """Every step may be repeated.

    Args:
        connection: To Qdrant.
        source: The physical collection that is read.
        target: The one that is written; it has the same vectors.
        words_of: Makes the vector of a chunk's words.
        codes_of: Makes the token codes of chunks that have none; None to leave them without.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        source: str,
        target: str,
        words_of: Callable[[Chunk], qdrant.Vector | None],
        codes_of: Callable[[Sequence[Chunk]], Awaitable[Sequence[bytes]]] | None = None,
    ) -> None:
        self._connection = connection
        self.source = source
        self.target = target
        self._words_of = words_of
        self._codes_of = codes_of

    async def page(self, offset: str, limit: int) -> tuple[list[SeenPoint], str]:
        """See some points of the source, in the order of their ids.

        Args:
            offset: The point to begin at; empty for the first.
            limit: Most points.

        Returns:
            The points, and where the next page begins, empty after the last.
        """
        request = qdrant.ScrollPoints(
            collection_name=self.source,
            limit=limit,
            with_payload=_FACTS,
            with_vectors=qdrant.WithVectorsSelector(enable=False),
            offset=qdrant.PointId(uuid=offset) if offset else None,
        )
        reply = await self._connection.call(self._connection.points.Scroll, request, timeout_seconds=_TIMEOUT_SECONDS)
        following = reply.next_page_offset.uuid if reply.HasField("next_page_offset") else ""
        return [_seen(point) for point in reply.result], following

    async def pages(self, limit: int) -> AsyncIterator[list[SeenPoint]]:
        """See all points of the source, page by page."""
        points, offset = await self.page("", limit)
        yield points
        while offset:
            points, offset = await self.page(offset, limit)
            yield points

    async def seen(self, collection: str, ids: Collection[str]) -> Mapping[str, SeenPoint]:
        """See some points, by their ids; those that are not there are missing."""
        points = await self._get(collection, ids, _FACTS, with_vectors=False)
        return {point.id.uuid: _seen(point) for point in points}

    async def copy(self, ids: Collection[str]) -> None:
        """Copy points; they are durable when this returns. What the source has no more is then in neither."""
        everything = qdrant.WithPayloadSelector(enable=True)
        read = await self._get(self.source, ids, everything, with_vectors=True)
        points = [self._copy_of(point) for point in read]
        await self._add_codes(points)
        if points:
            request = qdrant.UpsertPoints(
                collection_name=self.target,
                wait=True,
                points=points,
                ordering=qdrant.WriteOrdering(type=qdrant.WriteOrderingType.Medium),
            )
            await self._connection.call(self._connection.points.Upsert, request, timeout_seconds=_TIMEOUT_SECONDS)
        # Who deletes does so in the source first and then in the target: what was deleted before this look is deleted
        # here, and what is deleted after it is deleted by them.
        left = await self.seen(self.source, ids)
        gone = [one for one in ids if one not in left]
        # So it is with who changes who may read them.
        changed = [one.id for one in map(_seen, read) if one.id in left and left[one.id].readers != one.readers]
        if changed:
            await self.copy(changed)
        if gone:
            those = qdrant.PointsIdsList(ids=[qdrant.PointId(uuid=one) for one in gone])
            delete = qdrant.DeletePoints(
                collection_name=self.target, wait=True, points=qdrant.PointsSelector(points=those)
            )
            await self._connection.call(self._connection.points.Delete, delete, timeout_seconds=_TIMEOUT_SECONDS)

    async def _get(
        self, collection: str, ids: Collection[str], payload: qdrant.WithPayloadSelector, *, with_vectors: bool
    ) -> Sequence[qdrant.RetrievedPoint]:
        request = qdrant.GetPoints(
            collection_name=collection,
            ids=[qdrant.PointId(uuid=one) for one in ids],
            with_payload=payload,
            with_vectors=qdrant.WithVectorsSelector(enable=with_vectors),
        )
        reply = await self._connection.call(self._connection.points.Get, request, timeout_seconds=_TIMEOUT_SECONDS)
        points: Sequence[qdrant.RetrievedPoint] = reply.result
        return points

    async def _add_codes(self, points: Sequence[qdrant.PointStruct]) -> None:
        lacking = [point for point in points if TOKEN_CODES not in point.payload]
        codes = {point.id.uuid: token_codes_from(point.payload) for point in points}
        if self._codes_of is not None and lacking:
            made = await self._codes_of([chunk_from_payload(point.payload) for point in lacking])
            codes |= {point.id.uuid: code for point, code in zip(lacking, made, strict=True)}
        for point in points:
            if codes[point.id.uuid]:
                for key, value in token_codes_payload(codes[point.id.uuid]).items():
                    point.payload[key].CopyFrom(value)

    def _copy_of(self, point: qdrant.RetrievedPoint) -> qdrant.PointStruct:
        chunk = chunk_from_payload(point.payload)
        stored = point.vectors.vectors.vectors
        vectors = {
            name: qdrant.Vector(dense=qdrant.DenseVector(data=vector.dense.data or vector.data))
            for name, vector in stored.items()
            if name not in (BM25, LEARNED)
        }
        if LEARNED in stored:
            vectors[LEARNED] = qdrant.Vector(sparse=sparse_vector(sparse_weights(stored[LEARNED])))
        words = self._words_of(chunk)
        if words is not None:
            vectors[BM25] = words
        return qdrant.PointStruct(
            id=point.id,
            payload=point.payload,
            vectors=qdrant.Vectors(vectors=qdrant.NamedVectors(vectors=vectors)),
        )


_FACTS = qdrant.WithPayloadSelector(
    include=qdrant.PayloadIncludeSelector(fields=("document_id", "chunk_index", "content_hash", "tenant"))
)


def _seen(point: qdrant.RetrievedPoint) -> SeenPoint:
    chunk = chunk_from_payload(point.payload)
    return SeenPoint(point.id.uuid, chunk.version, chunk.index == 0, chunk.readers)
