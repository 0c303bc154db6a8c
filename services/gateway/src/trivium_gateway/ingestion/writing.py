"""Embeds and writes the chunks of some documents, so that each is there whole or not at all."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.ingestion.cutting import CutDocument
from trivium_gateway.ingestion.embedding import PieceEmbedder
from trivium_gateway.ingestion.finishing import to_the_end
from trivium_gateway.ingestion.late_chunking import whole_runs
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.pieces import Piece, Writing, pieces_of
from trivium_gateway.ingestion.reuse import embeddings_carried, embeddings_known
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import ABANDONED_SECONDS, DocumentVersions, age_seconds
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.points import EmbeddedChunk, Point
from trivium_gateway.request.admission import QuestionAdmission

__all__ = ["DocumentWriter"]

_BATCH_TEXTS = 64
_BATCHES_PER_WRITE = 4
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to write."""

    collection: ResolvedCollection
    tenant: str
    versions: dict[str, DocumentVersions] = field(default_factory=dict)
    known: Mapping[str, EmbeddedChunk] = field(default_factory=dict)


class DocumentWriter:
    """Writes documents.

    Args:
        chunks: Where they are written to.
        embed: Embeds them.
        metrics: Where chunks and times are counted.
        admission: Lets questions go before each batch.
    """

    def __init__(
        self,
        chunks: ChunkStore,
        embed: EmbedClient,
        metrics: IngestMetrics,
        admission: QuestionAdmission,
    ) -> None:
        self._chunks = chunks
        self._embed = embed
        self._metrics = metrics
        self._admission = admission
        self._embedder = PieceEmbedder(embed, metrics, admission)

    async def write(
        self,
        collection: ResolvedCollection,
        documents: Sequence[CutDocument],
        versions: dict[str, DocumentVersions],
        tenant: str,
    ) -> list[TriviumError | None]:
        """Embed and write some documents, and delete what they replace.

        All chunks but the first of each document are written first, while others are still being embedded. Then the
        first chunks are written, all together: with it a document's new version counts, and the one before no more. At
        last what was replaced is deleted. What another gateway may be writing is left alone. If the caller leaves, or
        a document fails, what was written of it is deleted; what a crash leaves, `Sweeper` finds.

        Args:
            collection: Where to.
            documents: Changed documents, no two of the same id.
            versions: What was stored of them, of others, and of what they were before they were moved.
            tenant: Whose they are.

        Returns:
            For each document why it failed; None if it is durable.
        """
        if not documents:
            return []
        async with contextlib.AsyncExitStack() as change:
            try:
                changing = self._chunks.contents.changing
                await patiently(lambda: change.enter_async_context(changing(collection.physical)))
            except TriviumError as error:
                return [error] * len(documents)
            return await self._write(collection, documents, versions, tenant)

    async def _write(
        self,
        collection: ResolvedCollection,
        documents: Sequence[CutDocument],
        versions: dict[str, DocumentVersions],
        tenant: str,
    ) -> list[TriviumError | None]:
        writings = [Writing(cut) for cut in documents]
        known: dict[str, EmbeddedChunk] = {}
        if not collection.made.late_chunking:  # a piece's text alone does not say what was made of it
            prepared = [cut.document for cut in documents]
            known = await embeddings_known(self._chunks, self._embed, collection, prepared, versions, tenant)
            known |= embeddings_carried(pieces_of(writings))
        target = _Target(collection, tenant, versions, known)
        pending = writings
        try:
            for _ in range(_ATTEMPTS):
                for writing in pending:
                    writing.begin()
                await self._write_chunks(target, pending)
                await to_the_end(self._commit(target, [one for one in pending if one.error is None]))
                pending = await self._incomplete(target, [one for one in pending if one.error is None])
                if not pending:
                    break
            for writing in pending:
                writing.give_up()
        finally:
            await to_the_end(self._discard(target, [one for one in writings if not one.may_be_committed]))
        return [writing.error for writing in writings]

    async def delete_dead(self, collection: ResolvedCollection, versions: Sequence[str], tenant: str) -> None:
        """Delete versions that count no more, if that is possible now; nobody reads them, and `Sweeper` finds them."""
        if versions:
            with self._metrics.stage("write"), contextlib.suppress(TriviumError):
                await patiently(lambda: self._chunks.delete_versions(collection, versions, tenant))

    async def _write_chunks(self, target: _Target, writings: Sequence[Writing]) -> None:
        """Embed all chunks, and write all but the first of each document."""
        pieces = pieces_of(writings)
        if target.collection.made.late_chunking:
            batches = whole_runs(pieces, _BATCH_TEXTS)
        else:
            batches = iter([pieces[start : start + _BATCH_TEXTS] for start in range(0, len(pieces), _BATCH_TEXTS)])

        async def work() -> None:
            for batch in batches:
                await self._embed_and_write(target, batch)

        # Never all batches at once: they would stand before those of other calls in the line for the encoder.
        async with asyncio.TaskGroup() as workers:
            for _ in range(_BATCHES_PER_WRITE):
                workers.create_task(work())

    async def _commit(self, target: _Target, writings: Sequence[Writing]) -> None:
        """Write the first chunks, and delete what they replace."""
        for writing in writings:
            if age_seconds(writing.version) > ABANDONED_SECONDS / 2:
                writing.give_up()
        writings = [writing for writing in writings if writing.error is None]
        if not writings:
            return
        ids = [writing.id for writing in writings]
        try:
            with self._metrics.stage("lookup"):
                replaced = await patiently(lambda: self._chunks.current(target.collection, ids, target.tenant))
            for writing in writings:
                writing.may_be_committed = True
            await self._upsert(target, [writing.head for writing in writings if writing.head is not None])
        except TriviumError as error:
            for writing in writings:
                writing.error = error
            return
        before = [version for one in ids if (stored := target.versions.get(one)) for version in stored.dead()]
        dead = {*before, *replaced.values()} - {writing.version for writing in writings}
        await self.delete_dead(target.collection, sorted(dead), target.tenant)

    async def _embed_and_write(self, target: _Target, batch: Sequence[Piece]) -> None:
        batch = [piece for piece in batch if piece.writing.error is None]
        if not batch:
            return
        try:
            points = await self._embedder.points_of(batch, target.collection, target.known, target.tenant)
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

    async def _upsert(self, target: _Target, points: Sequence[Point]) -> None:
        if points:
            async with self._admission.bulk():
                # A call that was given up may still be done, and after what was to be deleted with it.
                with self._metrics.stage("write"):
                    await patiently(lambda: to_the_end(self._chunks.upsert(target.collection, points)))

    async def _incomplete(self, target: _Target, writings: Sequence[Writing]) -> list[Writing]:
        """Find committed documents that lack chunks: the collection was deleted, or somebody took them for remains."""
        several = [writing for writing in writings if len(writing.cut.spans) > 1]
        try:
            stored = await patiently(
                lambda: self._chunks.versions(target.collection, [writing.id for writing in several], target.tenant)
            )
        except TriviumError as error:
            for writing in several:
                writing.error = error
            return []
        incomplete, replaced = [], []
        for writing in several:
            versions = stored.get(writing.id, DocumentVersions())
            if writing.version not in versions.heads:  # a later write has replaced it
                replaced.append(writing.version)
            elif not versions.is_whole(writing.version):
                incomplete.append(writing)
        await self.delete_dead(target.collection, replaced, target.tenant)
        return incomplete

    async def _discard(self, target: _Target, writings: Sequence[Writing]) -> None:
        """Delete what was written of documents that are not committed, if that is possible."""
        versions = [writing.version for writing in writings if writing.version]
        if versions:
            with contextlib.suppress(TriviumError):
                await self._chunks.delete_versions(target.collection, versions, target.tenant)


def _fail(batch: Sequence[Piece], error: TriviumError) -> None:
    for piece in batch:
        piece.writing.error = error
