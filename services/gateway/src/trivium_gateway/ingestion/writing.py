"""Embeds and writes the chunks of some documents, so that each is there whole or not at all."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from qdrant_client import grpc as qdrant
from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.chunk_store import ChunkStore, DocumentVersions
from trivium_gateway.clients.embed import EmbedClient
from trivium_gateway.collections import ResolvedCollection
from trivium_gateway.ingestion.chunking import ChunkSpan
from trivium_gateway.ingestion.cutting import CutDocument
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.qdrant_points import StoredChunk, point_of
from trivium_gateway.store import indexed_text

__all__ = ["DocumentWriter"]

_BATCH_TEXTS = 64
_BATCHES_IN_FLIGHT = 6
_BATCHES_PER_WRITE = 4
_EMBED_TIMEOUT_SECONDS = 120.0
_ATTEMPTS = 3


@dataclass(slots=True)
class _Writing:
    """A document that is being written.

    Attributes:
        cut: The document and its chunks.
        head: The point of chunk 0, once embedded. Writing it makes the document exist.
        is_there: Whether chunk 0 was written.
        error: Why it failed.
    """

    cut: CutDocument
    head: qdrant.PointStruct | None = None
    is_there: bool = False
    error: TriviumError | None = None

    @property
    def content_hash(self) -> str:
        return self.cut.document.content_hash


@dataclass(frozen=True, slots=True)
class _Piece:
    """One chunk to embed and write."""

    writing: _Writing
    index: int
    span: ChunkSpan

    def text(self) -> str:
        document = self.writing.cut.document
        return indexed_text(self.writing.cut.heading, document.text[self.span.start : self.span.end])


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to write."""

    collection: ResolvedCollection
    tenant: str
    versions: dict[str, DocumentVersions] = field(default_factory=dict)


class DocumentWriter:
    """Writes documents. One for all calls, so that all together keep the encoder busy, and no busier.

    Args:
        chunks: Where they are written to.
        embed: Embeds them.
        metrics: Where chunks and times are counted.
    """

    def __init__(self, chunks: ChunkStore, embed: EmbedClient, metrics: IngestMetrics) -> None:
        self._chunks = chunks
        self._embed = embed
        self._metrics = metrics
        self._encoder = asyncio.Semaphore(_BATCHES_IN_FLIGHT)

    async def write(
        self,
        collection: ResolvedCollection,
        documents: Sequence[CutDocument],
        versions: dict[str, DocumentVersions],
        tenant: str,
    ) -> list[TriviumError | None]:
        """Embed and write some documents, and delete what they replace.

        All chunks but the first of each document are written first, while others are still being embedded. Then the
        first chunks are written, all together: only with its first chunk a document is there. At last what was stored
        before is deleted, but nothing that came meanwhile: a gateway that writes the same document at the same time
        leaves its version beside this one until the next write, and neither loses chunks.

        Args:
            collection: Where to.
            documents: Changed documents, no two of the same id.
            versions: What was stored of them, and of others, before.
            tenant: Whose they are.

        Returns:
            For each document why it failed; None if it is durable.
        """
        target = _Target(collection, tenant, versions)
        writings = [_Writing(cut) for cut in documents]
        pending = writings
        for _ in range(_ATTEMPTS):
            await self._write_once(target, pending)
            pending = await self._incomplete(target, [writing for writing in pending if writing.error is None])
            if not pending:
                break
        await self._discard_failed(target, [writing for writing in writings if writing.error is not None])
        return [writing.error for writing in writings]

    async def delete_stale(self, collection: ResolvedCollection, content_hashes: Sequence[str], tenant: str) -> None:
        """Delete versions of documents that a write that broke off has left.

        Raises:
            TriviumError: Qdrant cannot do it now.
        """
        if content_hashes:
            with self._metrics.stage("write"):
                await patiently(lambda: self._chunks.delete_versions(collection, content_hashes, tenant))

    async def _write_once(self, target: _Target, writings: Sequence[_Writing]) -> None:
        pieces = [_Piece(writing, index, span) for writing in writings for index, span in enumerate(writing.cut.spans)]
        batches = iter([pieces[start : start + _BATCH_TEXTS] for start in range(0, len(pieces), _BATCH_TEXTS)])

        async def work() -> None:
            for batch in batches:
                await self._embed_and_write(target, batch)

        # Never all batches at once: they would stand before those of other calls in the line for the encoder.
        async with asyncio.TaskGroup() as workers:
            for _ in range(_BATCHES_PER_WRITE):
                workers.create_task(work())
        embedded = [writing for writing in writings if writing.error is None]
        heads = [writing.head for writing in embedded if writing.head is not None]
        stale = [
            old
            for writing in embedded
            if (stored := target.versions.get(writing.cut.document.id))
            for old in stored.chunk_counts
            if old != writing.content_hash
        ]
        try:
            await self._upsert(target, heads)
            for writing in embedded:
                writing.is_there = True
            await self.delete_stale(target.collection, stale, target.tenant)
        except TriviumError as error:
            for writing in embedded:
                writing.error = error

    async def _embed_and_write(self, target: _Target, batch: Sequence[_Piece]) -> None:
        batch = [piece for piece in batch if piece.writing.error is None]
        if not batch:
            return
        try:
            points = await self._points_of(target, batch)
        except (InvalidField, TooLarge) as error:
            # One text is to blame: let its document fail alone.
            if len({id(piece.writing) for piece in batch}) == 1:
                batch[0].writing.error = error
                return
            for writing in {id(piece.writing): piece.writing for piece in batch}.values():
                await self._embed_and_write(target, [piece for piece in batch if piece.writing is writing])
            return
        except TriviumError as error:
            _fail(batch, error)
            return
        rest = []
        for piece, point in zip(batch, points, strict=True):
            if piece.index:
                rest.append(point)
            else:
                piece.writing.head = point
        try:
            await self._upsert(target, rest)
        except TriviumError as error:
            _fail(batch, error)
        else:
            self._metrics.count_chunks(len(batch))

    async def _points_of(self, target: _Target, batch: Sequence[_Piece]) -> list[qdrant.PointStruct]:
        texts = [piece.text() for piece in batch]
        async with self._encoder:
            with self._metrics.stage("embed"):
                vectors = await patiently(
                    lambda: self._embed.embed_documents(
                        texts,
                        expected_fingerprint=target.collection.model_fingerprint,
                        timeout_seconds=_EMBED_TIMEOUT_SECONDS,
                    )
                )
        return [
            point_of(_stored_chunk(piece), vector, text, target.tenant)
            for piece, vector, text in zip(batch, vectors.tolist(), texts, strict=True)
        ]

    async def _upsert(self, target: _Target, points: Sequence[qdrant.PointStruct]) -> None:
        if points:
            with self._metrics.stage("write"):
                await patiently(lambda: self._chunks.upsert(target.collection, points))

    async def _incomplete(self, target: _Target, writings: Sequence[_Writing]) -> list[_Writing]:
        """Find documents of which another gateway, which saw them half written, has deleted chunks."""
        several = [writing for writing in writings if len(writing.cut.spans) > 1]
        try:
            stored = await patiently(
                lambda: self._chunks.versions(
                    target.collection, [writing.cut.document.id for writing in several], target.tenant
                )
            )
        except TriviumError as error:
            for writing in several:
                writing.error = error
            return []
        counts = [
            stored.get(writing.cut.document.id, DocumentVersions()).chunk_counts.get(writing.content_hash, 0)
            for writing in several
        ]
        # None left means that a later version has replaced this one.
        return [writing for writing, count in zip(several, counts, strict=True) if 0 < count < len(writing.cut.spans)]

    async def _discard_failed(self, target: _Target, failed: Sequence[_Writing]) -> None:
        """Delete what was written of documents that failed, if that is possible; else their next write does it."""
        # What is there stays, even if what it replaces could not be deleted: that may be gone all the same.
        hashes = [writing.content_hash for writing in failed if not writing.is_there]
        if hashes:
            with contextlib.suppress(TriviumError):
                await self._chunks.delete_versions(target.collection, hashes, target.tenant)


def _stored_chunk(piece: _Piece) -> StoredChunk:
    document = piece.writing.cut.document
    return StoredChunk(
        document_id=document.id,
        index=piece.index,
        title=document.title,
        uri=document.uri,
        text=document.text[piece.span.start : piece.span.end],
        start=piece.span.start,
        end=piece.span.end,
        content_hash=document.content_hash,
        metadata=document.metadata,
    )


def _fail(batch: Sequence[_Piece], error: TriviumError) -> None:
    for piece in batch:
        piece.writing.error = error
