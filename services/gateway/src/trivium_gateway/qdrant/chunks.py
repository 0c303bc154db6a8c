"""Calls that read and write chunks, whatever they are for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from trivium_gateway.qdrant.embedded import embedded_from, vectors_of_models
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.owners import owners_payload
from trivium_gateway.qdrant.points import (
    CHUNK_FIELDS,
    TOKEN_CODES,
    EmbeddedChunk,
    Point,
    Scope,
    chunk_from_payload,
    integer_condition,
    keyword_condition,
    narrowed,
    scoped_filter,
    token_codes_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.readers import Reader, Readers
    from trivium_gateway.qdrant.connection import QdrantConnection

_READ_TIMEOUT_SECONDS = 30.0
_WRITE_TIMEOUT_SECONDS = 120.0
_SCROLL_PAGE = 256
_IDS_PER_CALL = 1000
_TEXT_FIELDS = ("title", "text", "table_header")
_FOUND_PER_CALL = 250
"""With their token codes, some 10 kB each."""


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that a search has found.

    Attributes:
        chunk: The chunk.
        token_codes: The packed vectors of its tokens, empty if it was stored without; None if nobody asked for them.
    """

    chunk: Chunk
    token_codes: bytes | None


async def upsert(connection: QdrantConnection, physical: str, points: Sequence[Point]) -> None:
    """Write points into a physical collection; they are durable when this returns."""
    request = qdrant.UpsertPoints(
        collection_name=physical,
        wait=True,
        points=points,
        # Two gateways may write the same chunk 0: all copies of a shard must see both in the same order.
        ordering=qdrant.WriteOrdering(type=qdrant.WriteOrderingType.Medium),
    )
    await connection.call(connection.points.Upsert, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)


class QdrantChunks:
    """The chunks in a physical collection that somebody may read.

    Args:
        connection: To Qdrant.
        physical: The collection's name in Qdrant.
        reader: As whom they are read, or written.
    """

    def __init__(self, connection: QdrantConnection, physical: str, reader: Reader) -> None:
        self._connection = connection
        self._physical = physical
        self._reader = reader

    async def delete(self, versions: Sequence[str]) -> None:
        """Delete all chunks of some versions of documents."""
        request = qdrant.DeletePoints(
            collection_name=self._physical, wait=True, points=qdrant.PointsSelector(filter=self._filter((), versions))
        )
        await self._connection.call(self._connection.points.Delete, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)

    async def permit(self, versions: Sequence[str], readers: Readers, *, heads: bool) -> None:
        """Say who may read some versions of documents: their chunks 0, or all the others. Vectors stay as they are."""
        is_head = [integer_condition("chunk_index", 0)]
        own = [keyword_condition("content_hash", versions)]
        scope = scoped_filter(self._reader, [*own, *is_head] if heads else own, without=[] if heads else is_head)
        request = qdrant.SetPayloadPoints(
            collection_name=self._physical,
            wait=True,
            payload=owners_payload(self._reader.tenant, readers),
            points_selector=qdrant.PointsSelector(filter=scope),
            ordering=qdrant.WriteOrdering(type=qdrant.WriteOrderingType.Medium),
        )
        await self._connection.call(self._connection.points.SetPayload, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)

    async def count_by_version(self, document_ids: Sequence[str]) -> dict[str, int]:
        """Count the chunks of each version of some documents."""
        limit = 4 * len(document_ids) + 16
        while True:
            request = qdrant.FacetCounts(
                collection_name=self._physical,
                key="content_hash",
                filter=self._filter(document_ids),
                limit=limit,
                exact=True,
            )
            reply = await self._connection.call(
                self._connection.points.Facet, request, timeout_seconds=_READ_TIMEOUT_SECONDS
            )
            if len(reply.hits) < limit:
                return {hit.value.string_value: hit.count for hit in reply.hits}
            limit *= 4

    async def by_ids(
        self, ids: Sequence[str], fields: Sequence[str], timeout_seconds: float = _READ_TIMEOUT_SECONDS
    ) -> list[Chunk]:
        """Read the chunks with some ids, which takes no search; those that do not exist are missing."""
        return [chunk_from_payload(point.payload) for point in await self._points(ids, fields, timeout_seconds)]

    async def token_codes(self, ids: Sequence[str], timeout_seconds: float) -> list[bytes]:
        """Read the packed token vectors of the chunks with some ids, in their order; empty where there are none."""
        points = await self._points(ids, (TOKEN_CODES,), timeout_seconds)
        codes = await self._connection.beside(
            lambda: {point.id.uuid: token_codes_from(point.payload) for point in points}
        )
        return [codes.get(one, b"") for one in ids]

    async def found(
        self, ids: Sequence[str], scope: Scope | None, *, with_codes: bool, timeout_seconds: float
    ) -> dict[str, FoundChunk]:
        """Read the chunks that a search has found, by their ids.

        Args:
            ids: Their ids.
            scope: What they still have to be in, which takes twice as long; None if who reads them still has to be
                allowed to, and no more. Those whose document changed so meanwhile are missing.
            with_codes: Whether to read the vectors of their tokens, too.
            timeout_seconds: For each call.
        """
        fields = (*CHUNK_FIELDS, TOKEN_CODES) if with_codes else CHUNK_FIELDS
        chunks: dict[str, FoundChunk] = {}
        for start in range(0, len(ids), _FOUND_PER_CALL):
            some = ids[start : start + _FOUND_PER_CALL]
            points = await self._points(some, fields, timeout_seconds, scope)
            chunks |= await self._connection.beside(partial(_found_chunks, points, with_codes=with_codes))
        if scope is not None:
            return chunks
        return {one: found for one, found in chunks.items() if self._reader.may_read(found.chunk.readers)}

    async def read(
        self,
        fields: Sequence[str],
        *,
        document_ids: Sequence[str] = (),
        versions: Sequence[str] = (),
        uris: Sequence[str] = (),
        containers: Sequence[str] = (),
        heads_only: bool = False,
    ) -> list[Chunk]:
        """Read all chunks that match; see `page`."""
        chunks: list[Chunk] = []
        offset = ""
        while True:
            page, offset = await self.page(
                fields,
                document_ids=document_ids,
                versions=versions,
                uris=uris,
                containers=containers,
                heads_only=heads_only,
                limit=_SCROLL_PAGE,
                offset=offset,
            )
            chunks += page
            if not offset:
                return chunks

    async def embedded(self, versions: Sequence[str], *, with_learned: bool) -> list[tuple[Chunk, EmbeddedChunk]]:
        """Read the chunks of some versions of documents, with what models made of them."""
        request = qdrant.ScrollPoints(
            collection_name=self._physical,
            filter=self._filter((), versions),
            limit=_SCROLL_PAGE,
            with_payload=_payload((*_TEXT_FIELDS, TOKEN_CODES)),
            with_vectors=vectors_of_models(with_learned=with_learned),
        )
        found: list[tuple[Chunk, EmbeddedChunk]] = []
        while True:
            reply = await self._connection.call(
                self._connection.points.Scroll, request, timeout_seconds=_READ_TIMEOUT_SECONDS
            )
            for point in reply.result:
                embedded = embedded_from(point, with_learned=with_learned)
                found.append((chunk_from_payload(point.payload), embedded))
            if not reply.HasField("next_page_offset"):
                return found
            request.offset.CopyFrom(reply.next_page_offset)

    async def page(
        self,
        fields: Sequence[str],
        *,
        document_ids: Sequence[str] = (),
        versions: Sequence[str] = (),
        uris: Sequence[str] = (),
        containers: Sequence[str] = (),
        heads_only: bool = False,
        limit: int,
        offset: str,
    ) -> tuple[list[Chunk], str]:
        """Read some chunks, in the order of their points' ids.

        Args:
            fields: What to read of each.
            document_ids: Of these documents; of all if there are none.
            versions: Of these versions; of all if there are none.
            uris: Of documents that come from there; of all if there are none.
            containers: Of documents that are in these; of all if there are none.
            heads_only: Chunks 0 only.
            limit: Most chunks.
            offset: The point to begin at; empty for the first.

        Returns:
            The chunks, and the point at which the next page begins, empty after the last.
        """
        request = qdrant.ScrollPoints(
            collection_name=self._physical,
            filter=self._filter(document_ids, versions, uris, containers, heads_only=heads_only),
            limit=limit,
            with_payload=_payload(fields),
            with_vectors=qdrant.WithVectorsSelector(enable=False),
            offset=qdrant.PointId(uuid=offset) if offset else None,
        )
        reply = await self._connection.call(
            self._connection.points.Scroll, request, timeout_seconds=_READ_TIMEOUT_SECONDS
        )
        following = reply.next_page_offset.uuid if reply.HasField("next_page_offset") else ""
        return [chunk_from_payload(point.payload) for point in reply.result], following

    async def _points(
        self, ids: Sequence[str], fields: Sequence[str], timeout_seconds: float, scope: Scope | None = None
    ) -> list[Any]:
        points, calls = self._connection.points, self._connection.call
        read: dict[str, Any] = {
            "collection_name": self._physical,
            "with_payload": _payload(fields),
            "with_vectors": qdrant.WithVectorsSelector(enable=False),
        }
        found: list[Any] = []
        for start in range(0, len(ids), _IDS_PER_CALL):
            some = ids[start : start + _IDS_PER_CALL]
            if scope is None:
                get = qdrant.GetPoints(ids=[qdrant.PointId(uuid=one) for one in some], **read)
                found += (await calls(points.Get, get, timeout_seconds=timeout_seconds)).result
            else:
                scroll = qdrant.ScrollPoints(filter=narrowed(scope, some), limit=len(some), **read)
                found += (await calls(points.Scroll, scroll, timeout_seconds=timeout_seconds)).result
        return found

    def _filter(
        self,
        document_ids: Sequence[str] = (),
        versions: Sequence[str] = (),
        uris: Sequence[str] = (),
        containers: Sequence[str] = (),
        *,
        heads_only: bool = False,
    ) -> qdrant.Filter:
        conditions = []
        if document_ids:
            conditions.append(keyword_condition("document_id", document_ids))
        if versions:
            conditions.append(keyword_condition("content_hash", versions))
        if uris:
            conditions.append(keyword_condition("uri", uris))
        if containers:
            conditions.append(keyword_condition("container", containers))
        if heads_only:
            conditions.append(integer_condition("chunk_index", 0))
        return scoped_filter(self._reader, conditions)


def _payload(fields: Sequence[str]) -> qdrant.WithPayloadSelector:
    return qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=fields))


def _found_chunks(points: Iterable[Any], *, with_codes: bool) -> dict[str, FoundChunk]:
    return {
        point.id.uuid: FoundChunk(
            chunk_from_payload(point.payload), token_codes_from(point.payload) if with_codes else None
        )
        for point in points
    }
