"""Reads and writes the chunks of documents in Qdrant, many documents per call."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from qdrant_client import grpc as qdrant

from trivium_gateway.library.collections import ResolvedCollection
from trivium_gateway.library.heads import DocumentHeads
from trivium_gateway.library.versions import DocumentVersions, is_abandoned
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.points import (
    CHUNK_FIELDS,
    StoredChunk,
    chunk_from_payload,
    integer_condition,
    keyword_condition,
    scoped_filter,
)

__all__ = ["ChunkStore"]

_READ_TIMEOUT_SECONDS = 30.0
_WRITE_TIMEOUT_SECONDS = 120.0
_SCROLL_PAGE = 256

_SWEEP_PAGE = 1000

_HEAD_FIELDS = ("document_id", "chunk_index", "title", "uri", "content_hash", "chunk_count", "metadata")


class ChunkStore:
    """The chunks of all collections.

    Args:
        connection: Where they are.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection
        self._heads = DocumentHeads(connection)

    async def versions(
        self, collection: ResolvedCollection, document_ids: Sequence[str], tenant: str
    ) -> dict[str, DocumentVersions]:
        """Find what is stored of some documents, in two calls.

        Returns:
            One entry for each document of which anything is stored.
        """
        if not document_ids:
            return {}
        of_documents = keyword_condition("document_id", document_ids)
        heads, counts = await asyncio.gather(
            self._scroll(collection, scoped_filter(tenant, [of_documents, integer_condition("chunk_index", 0)])),
            self._count_by(collection, "content_hash", scoped_filter(tenant, [of_documents]), len(document_ids)),
        )
        found: dict[str, DocumentVersions] = {}
        for head in heads:
            versions = found.setdefault(head.document_id, DocumentVersions())
            versions.heads[head.version] = head
            versions.chunk_counts[head.version] = counts.pop(head.version, 1)
        if counts:
            await self._add_unfinished(collection, counts, found, tenant)
        return found

    async def current(self, collection: ResolvedCollection, document_ids: Iterable[str], tenant: str) -> dict[str, str]:
        """Give the versions of some documents that count, as far as they were written by this version of Trivium."""
        return await self._heads.current(
            collection, [(document_id, "") for document_id in document_ids], tenant, _READ_TIMEOUT_SECONDS
        )

    async def upsert(self, collection: ResolvedCollection, points: Sequence[qdrant.PointStruct]) -> None:
        """Write points; they are durable when this returns."""
        request = qdrant.UpsertPoints(
            collection_name=collection.physical,
            wait=True,
            points=points,
            # Two gateways may write the same chunk 0: all copies of a shard must see both in the same order.
            ordering=qdrant.WriteOrdering(type=qdrant.WriteOrderingType.Medium),
        )
        await self._connection.call(self._connection.points.Upsert, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)

    async def delete_versions(self, collection: ResolvedCollection, versions: Sequence[str], tenant: str) -> None:
        """Delete all chunks of some versions of documents."""
        request = qdrant.DeletePoints(
            collection_name=collection.physical,
            wait=True,
            points=qdrant.PointsSelector(filter=scoped_filter(tenant, [keyword_condition("content_hash", versions)])),
        )
        await self._connection.call(self._connection.points.Delete, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)

    async def abandoned(self, collection: ResolvedCollection, tenant: str) -> AsyncIterator[list[str]]:
        """Look through all chunks for versions that no chunk 0 names, and that nobody can be writing any more."""
        following: Any = None
        while True:
            chunks, following = await self._scroll_page(
                collection,
                scoped_filter(tenant),
                ("document_id", "content_hash"),
                _SWEEP_PAGE,
                following.uuid if following is not None else "",
            )
            suspects = {(chunk.document_id, chunk.version) for chunk in chunks if is_abandoned(chunk.version)}
            current = await self._heads.current(collection, suspects, tenant, _READ_TIMEOUT_SECONDS)
            yield [version for document_id, version in suspects if current.get(document_id) != version]
            if following is None:
                return

    async def read_document(
        self, collection: ResolvedCollection, document_id: str, tenant: str
    ) -> dict[str, list[StoredChunk]]:
        """Read all chunks of one document.

        Returns:
            The chunks of each version, in their order.
        """
        filter_ = scoped_filter(tenant, [keyword_condition("document_id", [document_id])])
        by_version: dict[str, list[StoredChunk]] = {}
        for chunk in await self._scroll(collection, filter_, fields=CHUNK_FIELDS):
            by_version.setdefault(chunk.version, []).append(chunk)
        return {version: sorted(chunks, key=lambda chunk: chunk.index) for version, chunks in by_version.items()}

    async def page_of_heads(
        self, collection: ResolvedCollection, *, offset: str, limit: int, tenant: str
    ) -> tuple[list[StoredChunk], str]:
        """Read chunk 0 of some documents, in the order of their points' ids.

        Args:
            collection: Whose documents.
            offset: The point to begin at; empty for the first.
            limit: Most chunks.
            tenant: Whose chunks.

        Returns:
            The chunks without their texts, and the point at which the next page begins, empty after the last.
        """
        filter_ = scoped_filter(tenant, [integer_condition("chunk_index", 0)])
        chunks, following = await self._scroll_page(collection, filter_, _HEAD_FIELDS, limit, offset)
        return chunks, following.uuid if following is not None else ""

    async def _add_unfinished(
        self,
        collection: ResolvedCollection,
        counts: Mapping[str, int],
        found: dict[str, DocumentVersions],
        tenant: str,
    ) -> None:
        """Add versions that have no chunk 0. It takes reading all their chunks, but they are rare."""
        filter_ = scoped_filter(tenant, [keyword_condition("content_hash", sorted(counts))])
        for chunk in await self._scroll(collection, filter_, fields=("document_id", "content_hash")):
            versions = found.setdefault(chunk.document_id, DocumentVersions())
            versions.chunk_counts[chunk.version] = counts[chunk.version]

    async def _count_by(
        self, collection: ResolvedCollection, key: str, filter_: qdrant.Filter, expected: int
    ) -> dict[str, int]:
        """Count points by the values of a field, all values of it."""
        limit = 4 * expected + 16
        while True:
            request = qdrant.FacetCounts(
                collection_name=collection.physical, key=key, filter=filter_, limit=limit, exact=True
            )
            reply = await self._connection.call(
                self._connection.points.Facet, request, timeout_seconds=_READ_TIMEOUT_SECONDS
            )
            if len(reply.hits) < limit:
                return {hit.value.string_value: hit.count for hit in reply.hits}
            limit *= 4

    async def _scroll(
        self, collection: ResolvedCollection, filter_: qdrant.Filter, fields: Iterable[str] = _HEAD_FIELDS
    ) -> list[StoredChunk]:
        """Read all chunks that match, page by page."""
        chunks, following = await self._scroll_page(collection, filter_, fields, _SCROLL_PAGE, "")
        while following is not None:
            page, following = await self._scroll_page(collection, filter_, fields, _SCROLL_PAGE, following.uuid)
            chunks += page
        return chunks

    async def _scroll_page(
        self,
        collection: ResolvedCollection,
        filter_: qdrant.Filter,
        fields: Iterable[str],
        limit: int,
        offset: str,
    ) -> tuple[list[StoredChunk], Any]:
        request = qdrant.ScrollPoints(
            collection_name=collection.physical,
            filter=filter_,
            limit=limit,
            with_payload=qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=fields)),
            with_vectors=qdrant.WithVectorsSelector(enable=False),
            offset=qdrant.PointId(uuid=offset) if offset else None,
        )
        reply = await self._connection.call(
            self._connection.points.Scroll, request, timeout_seconds=_READ_TIMEOUT_SECONDS
        )
        following = reply.next_page_offset if reply.HasField("next_page_offset") else None
        return [chunk_from_payload(point.payload) for point in reply.result], following
