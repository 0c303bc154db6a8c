"""Ingestion: documents in, searchable chunks out, at the speed of the encoder."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence, Set, Sized
from contextlib import aclosing, suppress

from prometheus_client import CollectorRegistry
from trivium_serving.errors import FailedPrecondition, NotFound, TriviumError

from trivium_gateway.domain.limits import GatewayLimits, check_document_count
from trivium_gateway.domain.readers import Reader
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.cutting import DocumentCutter
from trivium_gateway.ingestion.expanding import DocumentExpander
from trivium_gateway.ingestion.extraction import ExtractionSettings, Extractor
from trivium_gateway.ingestion.incoming import Incoming, at_most, results_of
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.pipeline import IngestionPipeline
from trivium_gateway.ingestion.preparation import DocumentPreparer
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.ingestion.transferring import DocumentTransfer
from trivium_gateway.ingestion.windows import windows_of
from trivium_gateway.ingestion.writing import DocumentWriter
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import DocumentResult, DocumentStatus, NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.permitting import Permissions
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.request.admission import QuestionAdmission

__all__ = ["Ingester"]

_CONTAINERS_PER_CALL = 1000
_WINDOWS_AHEAD = 3
"""One is parsed and cut, and one is written, while a third one keeps the encoder busy."""


class Ingester:
    """Writes documents into collections.

    Documents go through in windows of some hundred kilobytes, several at a time: while the chunks of one are embedded,
    in batches that do not heed the borders between documents, the next one is parsed, compared and cut, and the one
    before is written.

    Attributes:
        transfer: Takes what is stored in one index of a collection to another.
        extractor: Reads files, and draws their pages.

    Args:
        collections: Indexes metadata keys.
        chunks: Where chunks are written to.
        embed: Tokenizes and embeds.
        locks: One writer at a time for each document.
        limits: What is allowed.
        registry: Where metrics are registered.
        admission: Lets questions go before each piece of the work.
        room: Says what fits into what a tenant may have stored.
        chunking: How long chunks are.
        originals: Where the files are kept that documents come in.
        extraction: How much work there may be with HTML and PDF files.
    """

    def __init__(
        self,
        collections: Collections,
        chunks: ChunkStore,
        embed: EmbedClient,
        locks: KeyedLocks,
        limits: GatewayLimits,
        registry: CollectorRegistry,
        admission: QuestionAdmission,
        room: StorageRoom,
        originals: Originals,
        chunking: ChunkingSettings | None = None,
        extraction: ExtractionSettings | None = None,
    ) -> None:
        chunking = chunking or ChunkingSettings()
        self._chunks, self._originals = chunks, originals
        self._embed = embed
        self._locks = locks
        self._metrics = IngestMetrics(registry)
        self.extractor = Extractor(limits, registry, extraction)
        self._expander = DocumentExpander(self.extractor, limits)
        preparer = DocumentPreparer(DocumentParser(self.extractor, limits), limits, chunking)
        cutter = DocumentCutter(embed, chunking, limits.max_chunks_per_document)
        writer = DocumentWriter(chunks, embed, self._metrics, admission)
        self.transfer = DocumentTransfer(chunks, locks, preparer, cutter, writer)
        self._collections = collections
        self._pipeline = IngestionPipeline(
            collections,
            Permissions(collections, chunks, locks, limits),
            chunks,
            locks,
            preparer,
            cutter,
            writer,
            self._metrics,
            admission,
            room,
            originals,
        )

    async def ingest(
        self,
        collection: ResolvedCollection,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
        reader: Reader,
    ) -> list[DocumentResult]:
        """Add or replace documents. Each fails alone; what is reported as written is durable.

        Args:
            collection: Where to write.
            documents: The documents; read ahead of the work only as far as keeps the encoder busy.
            max_documents: Most documents in one call: `GatewayLimits.max_documents_per_request` or `..._per_stream`.
            reader: Whose documents, and as whom they are replaced.

        Returns:
            One result per document, in order, that of a mail or an archive with those of the files in it. A document
            that comes twice is written twice, in order.

        Raises:
            TooLarge: There are more documents than `max_documents` (TOO_MANY_DOCUMENTS). Of a stream, those before
                are written.
            FailedPrecondition: The collection belongs to another model than the embed service runs (MODEL_CHANGED).
            Overloaded: Too many calls wait to have the text of HTML or PDF files taken out.
            Unavailable: The embed service could not be reached at the start of the call. Later on, it is the documents
                that fail.
        """
        if isinstance(documents, Sized):
            check_document_count(len(documents), max_documents)
        await self._check_model(collection)
        sent: list[Incoming] = []
        count = 0
        renamed: dict[str, str] = {}
        too_many = False
        running: set[asyncio.Task[None]] = set()
        try:
            async with aclosing(windows_of(self._expander.expanded(documents))) as windows:
                async for ahead in windows:
                    window = at_most(list(map(_incoming, ahead)), max_documents - count)
                    too_many = len(window) < len(ahead)
                    count += sum(not one.container for one in window)
                    sent += window
                    # Windows take their locks in order, so that of two versions in one call the second one wins.
                    locked = asyncio.Event()
                    task = asyncio.create_task(self._pipeline.run(collection, window, reader, renamed, locked))
                    self._metrics.track(task, len(window))
                    running.add(task)
                    await _until(locked, running)
                    while len(running) >= _WINDOWS_AHEAD:
                        await _settle(running, asyncio.FIRST_COMPLETED)
                    if too_many:
                        break
            await _settle(running, asyncio.ALL_COMPLETED)
            if too_many:
                check_document_count(max_documents + 1, max_documents)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await self._delete_former_parts(collection, sent, reader.tenant)
        return results_of(sent)

    async def _check_model(self, collection: ResolvedCollection) -> None:
        model = await (await self._embed.of(collection.embedded_by)).model()
        if model.fingerprint != collection.embedded_by:
            raise FailedPrecondition(
                f"The collection {collection.name!r} holds vectors of {collection.made.model} (fingerprint "
                f"{collection.made.fingerprint[:12]}), but the embed service runs {model.name} "
                f"({model.fingerprint[:12]}) now. Start it with that model again, or name a service that "
                "does in TRIVIUM_GATEWAY_EMBED_TARGETS.",
                reason="MODEL_CHANGED",
            )

    async def close(self) -> None:
        """End the processes that parse files."""
        await self.extractor.close()

    async def _delete_former_parts(self, collection: ResolvedCollection, sent: Sequence[Incoming], tenant: str) -> None:
        """Delete what was in earlier versions of documents, and is in them no more."""
        updated = {
            one.id: one
            for one in sent
            if not one.container and not one.is_carried and one.status is DocumentStatus.UPDATED and not one.error
        }
        kept = {one.id for one in sent if one.container}
        ids = list(updated)
        for start in range(0, len(ids), _CONTAINERS_PER_CALL):
            some = ids[start : start + _CONTAINERS_PER_CALL]
            try:
                now = await patiently(lambda: self._collections.moved(collection))
                await self._delete_parts(now, some, kept, tenant)
                for place in now.places()[1:]:
                    with suppress(NotFound):  # it is not there yet, or not any more
                        await self._delete_parts(place, some, kept, tenant)
            except TriviumError as error:  # sent again, the documents are unchanged, and would hide what is left
                for one in some:
                    updated[one].error = error

    async def _delete_parts(
        self, collection: ResolvedCollection, containers: Sequence[str], kept: Set[str], tenant: str
    ) -> None:
        within = await patiently(lambda: self._chunks.within(collection, containers, tenant))
        gone = [one for one in within if one not in kept]
        if not gone:
            return
        async with self._locks.hold((collection.physical, tenant, one) for one in gone):
            stored = await self._chunks.versions(collection, gone, tenant)
            dead = [version for versions in stored.values() for version in versions.dead()]
            await self._originals.forget(collection, gone)
            await self._chunks.delete_versions(collection, dead, tenant)


def _incoming(ahead: tuple[str, NewDocument]) -> Incoming:
    document_id, document = ahead
    return Incoming(document_id, document, document.container, is_carried=document.carried is not None)


async def _until(event: asyncio.Event, running: set[asyncio.Task[None]]) -> None:
    """Wait for an event that one of some tasks sets, unless that one breaks."""
    waiter = asyncio.create_task(event.wait())
    try:
        while not waiter.done():
            await asyncio.wait({waiter, *running}, return_when=asyncio.FIRST_COMPLETED)
            _collect(running)
    finally:
        waiter.cancel()


async def _settle(running: set[asyncio.Task[None]], return_when: str) -> None:
    if running:
        await asyncio.wait(running, return_when=return_when)
        _collect(running)


def _collect(running: set[asyncio.Task[None]]) -> None:
    """Take away tasks that ended, and raise what one of them raised."""
    for task in [task for task in running if task.done()]:
        running.remove(task)
        task.result()
