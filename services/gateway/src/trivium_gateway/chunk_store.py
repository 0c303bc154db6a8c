"""Reads and writes the chunks of documents in Qdrant, many documents per call."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import grpc as qdrant

from trivium_gateway.collections import ResolvedCollection
from trivium_gateway.qdrant_connection import QdrantConnection
from trivium_gateway.qdrant_points import (
    StoredChunk,
    chunk_from_payload,
    integer_condition,
    keyword_condition,
    scoped_filter,
)

__all__ = ["ChunkStore", "DocumentVersions"]

_READ_TIMEOUT_SECONDS = 30.0
_WRITE_TIMEOUT_SECONDS = 120.0
_SCROLL_PAGE = 256

_HEAD_FIELDS = ("document_id", "chunk_index", "title", "uri", "content_hash", "metadata")


@dataclass(slots=True)
class DocumentVersions:
    """What is stored of one document. More than one version is left where a write broke off, or two gateways met.

    Attributes:
        heads: Chunk 0 of each version, by content hash. A version without one was never finished.
        chunk_counts: Number of chunks of each version, by content hash, unfinished ones included.
    """

    heads: dict[str, StoredChunk] = field(default_factory=dict)
    chunk_counts: dict[str, int] = field(default_factory=dict)

    def current(self) -> str | None:
        """Give the content hash of the version to show, one that all gateways agree on; None if there is none."""
        return max(self.heads, default=None)


class ChunkStore:
    """The chunks of all collections.

    Args:
        connection: Where they are.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

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
            versions.heads[head.content_hash] = head
            versions.chunk_counts[head.content_hash] = counts.pop(head.content_hash, 1)
        if counts:
            await self._add_unfinished(collection, counts, found, tenant)
        return found

    async def upsert(self, collection: ResolvedCollection, points: Sequence[qdrant.PointStruct]) -> None:
        """Write points; they are durable when this returns."""
        await self._connection.call(
            self._connection.points.Upsert,
            qdrant.UpsertPoints(collection_name=collection.physical, wait=True, points=points),
            timeout_seconds=_WRITE_TIMEOUT_SECONDS,
        )

    async def delete_versions(self, collection: ResolvedCollection, content_hashes: Sequence[str], tenant: str) -> None:
        """Delete all chunks of some versions of documents."""
        await self._delete(collection, scoped_filter(tenant, [keyword_condition("content_hash", content_hashes)]))

    async def delete_documents(self, collection: ResolvedCollection, document_ids: Sequence[str], tenant: str) -> None:
        """Delete all chunks of some documents, whatever their version."""
        await self._delete(collection, scoped_filter(tenant, [keyword_condition("document_id", document_ids)]))

    async def read_document(
        self, collection: ResolvedCollection, document_id: str, tenant: str
    ) -> dict[str, list[StoredChunk]]:
        """Read all chunks of one document.

        Returns:
            The chunks of each version, by content hash, in their order.
        """
        filter_ = scoped_filter(tenant, [keyword_condition("document_id", [document_id])])
        by_version: dict[str, list[StoredChunk]] = {}
        for chunk in await self._scroll(collection, filter_, fields=None):
            by_version.setdefault(chunk.content_hash, []).append(chunk)
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

    async def _delete(self, collection: ResolvedCollection, filter_: qdrant.Filter) -> None:
        request = qdrant.DeletePoints(
            collection_name=collection.physical, wait=True, points=qdrant.PointsSelector(filter=filter_)
        )
        await self._connection.call(self._connection.points.Delete, request, timeout_seconds=_WRITE_TIMEOUT_SECONDS)

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
            versions.chunk_counts[chunk.content_hash] = counts[chunk.content_hash]

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
        self, collection: ResolvedCollection, filter_: qdrant.Filter, fields: Iterable[str] | None = _HEAD_FIELDS
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
        fields: Iterable[str] | None,
        limit: int,
        offset: str,
    ) -> tuple[list[StoredChunk], Any]:
        payload = (
            qdrant.WithPayloadSelector(enable=True)
            if fields is None
            else qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=fields))
        )
        request = qdrant.ScrollPoints(
            collection_name=collection.physical,
            filter=filter_,
            limit=limit,
            with_payload=payload,
            with_vectors=qdrant.WithVectorsSelector(enable=False),
            offset=qdrant.PointId(uuid=offset) if offset else None,
        )
        reply = await self._connection.call(
            self._connection.points.Scroll, request, timeout_seconds=_READ_TIMEOUT_SECONDS
        )
        following = reply.next_page_offset if reply.HasField("next_page_offset") else None
        return [chunk_from_payload(point.payload) for point in reply.result], following
