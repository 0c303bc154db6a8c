"""Reads and writes the chunks of documents, many documents per call."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.readers import Reader, Readers, common, whole
from trivium_gateway.library.contents import Contents
from trivium_gateway.library.heads import DocumentHeads
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import DocumentVersions, is_abandoned
from trivium_gateway.qdrant import text_bytes
from trivium_gateway.qdrant.chunks import QdrantChunks, upsert
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.points import CHUNK_FIELDS, EmbeddedChunk, Point

__all__ = ["ChunkStore"]

_READ_TIMEOUT_SECONDS = 30.0
_SWEEP_PAGE = 1000

_HEAD_FIELDS = (
    *("document_id", "chunk_index", "title", "uri", "content_hash", "chunk_count"),
    *("metadata", "nested_metadata", "container", "tenant", text_bytes.HIGH, text_bytes.LOW),
)
_VERSION_FIELDS = ("document_id", "content_hash")
_SOURCE_FIELDS = ("document_id", "uri")


class ChunkStore:
    """The chunks of all collections. What has a tenant is for those who keep the documents; what has a reader asks.

    Attributes:
        contents: Says that they change, which each write does here; who makes several says it once for all of them.

    Args:
        connection: Where they are.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection
        self.contents = Contents(connection)
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
        chunks = self._of(collection, tenant)
        heads, counts = await asyncio.gather(
            chunks.read(_HEAD_FIELDS, document_ids=document_ids, heads_only=True),
            chunks.count_by_version(document_ids),
        )
        found: dict[str, DocumentVersions] = {}
        for head in heads:
            versions = found.setdefault(head.document_id, DocumentVersions())
            versions.heads[head.version] = head
            versions.chunk_counts[head.version] = counts.pop(head.version, 1)
        if counts:
            await _add_unfinished(chunks, counts, found)
        return found

    async def within(self, collection: ResolvedCollection, containers: Sequence[str], tenant: str) -> list[str]:
        """Give the ids of the documents that are in some documents; of none if there are none."""
        if not containers:
            return []
        heads = await self._of(collection, tenant).read(("document_id",), containers=containers, heads_only=True)
        return list(dict.fromkeys(head.document_id for head in heads))

    async def current(self, collection: ResolvedCollection, document_ids: Iterable[str], tenant: str) -> dict[str, str]:
        """Give the versions of some documents that count, as far as they were written by this version of Trivium."""
        return await self._heads.current(
            collection, [(document_id, "") for document_id in document_ids], whole(tenant), _READ_TIMEOUT_SECONDS
        )

    async def upsert(self, collection: ResolvedCollection, points: Sequence[Point]) -> None:
        """Write points; they are durable when this returns."""
        async with self.contents.changing(collection.physical):
            await upsert(self._connection, collection.physical, points)

    async def embedded(
        self, collection: ResolvedCollection, versions: Sequence[str], tenant: str
    ) -> list[tuple[Chunk, EmbeddedChunk]]:
        """Read the chunks of some versions, with what the embedding model made of them; none if there are none."""
        if not versions:
            return []
        return await self._of(collection, tenant).embedded(versions, with_learned=bool(collection.made.learned))

    async def ids_of_uris(
        self, collection: ResolvedCollection, uris: Sequence[str], reader: Reader
    ) -> dict[str, list[str]]:
        """Find the documents, of those that somebody may read, that come from some addresses.

        Returns:
            Their ids by uri; one that none comes from is missing.
        """
        found: dict[str, list[str]] = {}
        if uris:
            for head in await self._reading(collection, reader).read(_SOURCE_FIELDS, uris=uris, heads_only=True):
                found.setdefault(head.uri, []).append(head.document_id)
        return found

    async def delete_versions(self, collection: ResolvedCollection, versions: Sequence[str], tenant: str) -> None:
        """Delete all chunks of some versions of documents; of none if there are none."""
        if versions:
            async with self.contents.changing(collection.physical):
                await self._of(collection, tenant).delete(versions)

    async def abandoned(self, collection: ResolvedCollection, tenant: str) -> AsyncIterator[list[str]]:
        """Look through all chunks for versions that no chunk 0 names, and that nobody can be writing any more."""
        offset = ""
        while True:
            chunks, offset = await self._of(collection, tenant).page(_VERSION_FIELDS, limit=_SWEEP_PAGE, offset=offset)
            suspects = {(chunk.document_id, chunk.version) for chunk in chunks if is_abandoned(chunk.version)}
            current = await self._heads.current(collection, suspects, whole(tenant), _READ_TIMEOUT_SECONDS)
            yield [version for document_id, version in suspects if current.get(document_id) != version]
            if not offset:
                return

    async def read_document(
        self, collection: ResolvedCollection, document_id: str, reader: Reader
    ) -> dict[str, list[Chunk]]:
        """Read all chunks of one document that somebody may read. Without chunk 0 they may not read the document.

        Returns:
            The chunks of each version, in their order.
        """
        by_version: dict[str, list[Chunk]] = {}
        for chunk in await self._reading(collection, reader).read(CHUNK_FIELDS, document_ids=[document_id]):
            by_version.setdefault(chunk.version, []).append(chunk)
        return {version: sorted(chunks, key=lambda chunk: chunk.index) for version, chunks in by_version.items()}

    async def page_of_heads(
        self, collection: ResolvedCollection, *, offset: str, limit: int, reader: Reader
    ) -> tuple[list[Chunk], str]:
        """Read chunk 0 of some documents, in the order of their points' ids.

        Args:
            collection: Whose documents.
            offset: The point to begin at; empty for the first.
            limit: Most chunks.
            reader: As whom.

        Returns:
            The chunks without their texts, and the point at which the next page begins, empty after the last.
        """
        return await self._reading(collection, reader).page(_HEAD_FIELDS, heads_only=True, limit=limit, offset=offset)

    async def read_versions(
        self, collection: ResolvedCollection, versions: Sequence[str], tenant: str
    ) -> dict[str, list[Chunk]]:
        """Read all chunks of some versions of documents; of none if there are none.

        Returns:
            The chunks of each version of which there are any, in their order.
        """
        found: dict[str, list[Chunk]] = {}
        for chunk in await self._of(collection, tenant).read(CHUNK_FIELDS, versions=versions) if versions else ():
            found.setdefault(chunk.version, []).append(chunk)
        return {version: sorted(chunks, key=lambda chunk: chunk.index) for version, chunks in found.items()}

    async def permit(
        self, collection: ResolvedCollection, versions: Sequence[str], before: Readers, after: Readers, tenant: str
    ) -> None:
        """Change who may read the documents of some versions. It may be repeated wherever it broke off.

        A document is there for who may read its chunk 0, which comes first where readers go, and last where they come:
        nobody sees a part of it at any time.

        Args:
            collection: Where they are.
            versions: Those that count now, of documents that all have the same readers.
            before: These.
            after: Those that they shall have.
            tenant: Whose they are.
        """
        chunks = self._of(collection, tenant)
        async with self.contents.changing(collection.physical):
            await chunks.permit(versions, common(before, after), heads=True)
            await chunks.permit(versions, after, heads=False)
            await chunks.permit(versions, after, heads=True)

    def _of(self, collection: ResolvedCollection, tenant: str) -> QdrantChunks:
        return self._reading(collection, whole(tenant))

    def _reading(self, collection: ResolvedCollection, reader: Reader) -> QdrantChunks:
        return QdrantChunks(self._connection, collection.physical, reader)


async def _add_unfinished(chunks: QdrantChunks, counts: Mapping[str, int], found: dict[str, DocumentVersions]) -> None:
    """Add versions that have no chunk 0. It takes reading all their chunks, but they are rare."""
    for chunk in await chunks.read(_VERSION_FIELDS, versions=sorted(counts)):
        versions = found.setdefault(chunk.document_id, DocumentVersions())
        versions.chunk_counts[chunk.version] = counts[chunk.version]
