"""Ingestion: documents in, searchable chunks out, at the speed of the encoder."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence, Set, Sized
from contextlib import aclosing
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from trivium_serving.errors import FailedPrecondition, InvalidField, TooLarge, TriviumError

from trivium_gateway.domain.dates import HOW_DATES_ARE_WRITTEN
from trivium_gateway.domain.ids import forms_of_id
from trivium_gateway.domain.limits import GatewayLimits, check_document_count
from trivium_gateway.domain.metadata import MetadataKind, flat_metadata, kind_of
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.cutting import CutDocument, DocumentCutter
from trivium_gateway.ingestion.expanding import DocumentExpander
from trivium_gateway.ingestion.extraction import ExtractionSettings, Extractor
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.preparation import DocumentPreparer, PreparedDocument
from trivium_gateway.ingestion.windows import windows_of
from trivium_gateway.ingestion.writing import DocumentWriter
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import DocumentResult, DocumentStatus, NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import DocumentVersions, content_hash_of
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.request.admission import QuestionAdmission

__all__ = ["Ingester"]

_CONTAINERS_PER_CALL = 1000
_WINDOWS_AHEAD = 3
"""One is parsed and cut, and one is written, while a third one keeps the encoder busy."""


@dataclass(slots=True)
class _Job:
    """A document on its way.

    Attributes:
        id: Its id.
        document: As it arrived.
        container: Id of the document that it is in; empty if it is in none.
        prepared: Once it is parsed.
        cut: Once it is cut; stays None if it is unchanged.
        status: The outcome, unless `error` is set.
        chunk_count: Number of its chunks.
        token_count: Tokens that are embedded for it.
        content_hash: Of what is stored of it.
        error: Why it failed.
    """

    id: str
    document: NewDocument
    container: str = ""
    prepared: PreparedDocument | None = None
    cut: CutDocument | None = None
    status: DocumentStatus = DocumentStatus.INDEXED
    chunk_count: int = 0
    token_count: int = 0
    content_hash: str = ""
    error: TriviumError | None = None

    def result(self, parts: Sequence["_Job"] = ()) -> DocumentResult:
        if self.error is not None:
            # What cannot be an id may not even be text.
            printable = self.id.encode(errors="replace").decode()
            return DocumentResult(printable, DocumentStatus.FAILED, 0, self.error)
        return DocumentResult(
            self.id,
            self.status,
            self.chunk_count,
            token_count=self.token_count,
            content_hash=self.content_hash,
            parts=tuple(part.result() for part in parts),
        )


class Ingester:
    """Writes documents into collections.

    Documents go through in windows of some hundred kilobytes, several at a time: while the chunks of one are embedded,
    in batches that do not heed the borders between documents, the next one is parsed, compared and cut, and the one
    before is written.

    Args:
        collections: Indexes metadata keys.
        chunks: Where chunks are written to.
        embed: Tokenizes and embeds.
        locks: One writer at a time for each document.
        limits: What is allowed.
        registry: Where metrics are registered.
        admission: Lets questions go before each piece of the work.
        chunking: How long chunks are.
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
        chunking: ChunkingSettings | None = None,
        extraction: ExtractionSettings | None = None,
    ) -> None:
        chunking = chunking or ChunkingSettings()
        self._collections = collections
        self._chunks = chunks
        self._embed = embed
        self._locks = locks
        self._metrics = IngestMetrics(registry)
        self._extractor = Extractor(limits, registry, extraction)
        self._expander = DocumentExpander(self._extractor, limits)
        self._preparer = DocumentPreparer(DocumentParser(self._extractor, limits), limits, chunking)
        self._cutter = DocumentCutter(embed, chunking, limits.max_chunks_per_document)
        self._writer = DocumentWriter(chunks, embed, self._metrics, admission)
        self._admission = admission

    async def ingest(
        self,
        collection: ResolvedCollection,
        documents: AsyncIterable[NewDocument] | Iterable[NewDocument],
        *,
        max_documents: int,
        tenant: str,
    ) -> list[DocumentResult]:
        """Add or replace documents. Each fails alone; what is reported as written is durable.

        Args:
            collection: Where to write.
            documents: The documents; read ahead of the work only as far as keeps the encoder busy.
            max_documents: Most documents in one call: `GatewayLimits.max_documents_per_request` or `..._per_stream`.
            tenant: Whose documents.

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
        model = await self._embed.model()
        if model.fingerprint != collection.model_fingerprint:
            raise FailedPrecondition(
                f"The collection {collection.name!r} holds vectors of {collection.model} (fingerprint "
                f"{collection.model_fingerprint[:12]}), but the embed service runs {model.name} "
                f"({model.fingerprint[:12]}) now. Start it with that model again, or create a new collection and "
                "ingest the documents into it.",
                reason="MODEL_CHANGED",
            )
        jobs: list[_Job] = []
        count = 0
        renamed: dict[str, str] = {}
        too_many = False
        running: set[asyncio.Task[None]] = set()
        try:
            async with aclosing(windows_of(self._expander.expanded(documents))) as windows:
                async for documents_ahead in windows:
                    ahead = [
                        _Job(document_id, document, document.container) for document_id, document in documents_ahead
                    ]
                    window = _at_most(ahead, max_documents - count)
                    too_many = len(window) < len(ahead)
                    count += sum(not job.container for job in window)
                    jobs += window
                    # Windows take their locks in order, so that of two versions in one call the second one wins.
                    locked = asyncio.Event()
                    task = asyncio.create_task(self._ingest_window(collection, window, tenant, renamed, locked))
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
        await self._delete_former_parts(collection, jobs, tenant)
        return _results(jobs)

    async def close(self) -> None:
        """End the processes that parse files."""
        await self._extractor.close()

    async def _delete_former_parts(self, collection: ResolvedCollection, jobs: Sequence[_Job], tenant: str) -> None:
        """Delete what was in earlier versions of documents, and is in them no more."""
        updated = {
            job.id: job for job in jobs if not job.container and job.status is DocumentStatus.UPDATED and not job.error
        }
        kept = {job.id for job in jobs if job.container}
        ids = list(updated)
        for start in range(0, len(ids), _CONTAINERS_PER_CALL):
            some = ids[start : start + _CONTAINERS_PER_CALL]
            try:
                await self._delete_parts(collection, some, kept, tenant)
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
            await self._chunks.delete_versions(collection, dead, tenant)

    async def _ingest_window(
        self,
        collection: ResolvedCollection,
        jobs: Sequence[_Job],
        tenant: str,
        renamed: dict[str, str],
        locked: asyncio.Event,
    ) -> None:
        """Take some documents, no two of the same id, all the way."""
        await self._identify(collection, jobs, tenant, renamed)
        async with self._locks.hold((collection.physical, tenant, job.id) for job in jobs):
            locked.set()
            await asyncio.gather(*(self._prepare(collection, job, tenant) for job in jobs if job.error is None))
            await self._store(collection, [job for job in jobs if job.error is None], tenant)
        for job in jobs:  # of a long stream, only the outcomes are kept
            job.content_hash = job.prepared.content_hash if job.prepared else ""
            job.prepared = job.cut = None

    async def _identify(
        self, collection: ResolvedCollection, jobs: Sequence[_Job], tenant: str, renamed: dict[str, str]
    ) -> None:
        """Give documents that have no id of their own that of the one that comes from the same place.

        Args:
            collection: Where they go.
            jobs: The documents.
            tenant: Whose they are.
            renamed: Takes note of the new ids; what is in such a document, here or in a later call, follows it.
        """
        open_jobs = [job for job in jobs if not job.document.id and job.document.default_id]
        uris = [job.document.uri for job in open_jobs if job.document.uri and job.document.uri.isprintable()]
        try:
            known = await patiently(lambda: self._chunks.ids_of_uris(collection, uris, tenant))
        except TriviumError as error:
            for job in open_jobs:
                job.error = error
            return
        taken = {job.id for job in jobs}
        for job in open_jobs:
            ids = known.get(job.document.uri, [job.id])
            if job.id not in ids and (free := min((one for one in ids if one not in taken), default="")):
                taken.add(free)
                renamed[job.id] = free
                job.id, job.document = free, replace(job.document, id=free)
        for job in jobs:
            if container := renamed.get(job.container):
                part_id = container + job.id.removeprefix(job.container)
                job.id, job.container = part_id, container
                job.document = replace(job.document, id=part_id, container=container)

    async def _store(self, collection: ResolvedCollection, jobs: Sequence[_Job], tenant: str) -> None:
        """Write some prepared documents, and again if the collection was made anew elsewhere meanwhile."""
        while True:
            await self._compare_and_write(collection, jobs, tenant)
            now = await self._moved(collection, jobs)
            if now.physical == collection.physical:
                return
            collection = now
            for job in jobs:
                job.error, job.status = None, DocumentStatus.INDEXED

    async def _moved(self, collection: ResolvedCollection, jobs: Sequence[_Job]) -> ResolvedCollection:
        try:
            return await patiently(lambda: self._collections.moved(collection))
        except TriviumError as error:  # nobody knows whether it counts
            for job in jobs:
                job.error = job.error or error
            return collection

    async def _compare_and_write(self, collection: ResolvedCollection, jobs: Sequence[_Job], tenant: str) -> None:
        try:
            versions = await self._compare(collection, jobs, tenant)
            await self._cut(collection, [job for job in jobs if _is_changed(job)])
        except TriviumError as error:
            for job in jobs:
                job.error = job.error or error
            return
        changed = [(job, job.cut) for job in jobs if job.error is None and job.cut is not None]
        errors = await self._writer.write(collection, [cut for _, cut in changed], versions, tenant)
        for (job, _), failure in zip(changed, errors, strict=True):
            job.error = failure
        done = [form for job in jobs if job.error is None for form in forms_of_id(job.id)[1:]]
        same = [version for form in done if form in versions for version in versions[form].dead()]
        await self._writer.delete_dead(collection, same, tenant)

    async def _prepare(self, collection: ResolvedCollection, job: _Job, tenant: str) -> None:
        try:
            if job.document.failure is not None:
                raise job.document.failure
            async with self._admission.bulk():
                pass  # parsing has processes of its own; here it only waits for its turn
            with self._metrics.stage("parse"):
                job.prepared = await self._preparer.prepare(
                    job.document, tenant=tenant, model_fingerprint=collection.model_fingerprint
                )
        except (InvalidField, TooLarge) as error:
            job.error = error
        job.document = NewDocument()  # its content is no longer needed

    async def _compare(
        self, collection: ResolvedCollection, jobs: Sequence[_Job], tenant: str
    ) -> dict[str, DocumentVersions]:
        """Find out what is stored, and which documents are not changed; tidy up behind writes that broke off."""
        prepared = [job for job in jobs if job.prepared is not None]
        ids = [form for job in prepared for form in forms_of_id(job.id)]
        ids += [job.prepared.moved_from for job in prepared if job.prepared and job.prepared.moved_from]
        with self._metrics.stage("lookup"):
            versions = await patiently(lambda: self._chunks.versions(collection, ids, tenant))
        dead: list[str] = []
        for job in prepared:
            stored = versions.get(job.id, DocumentVersions())
            current = stored.current()
            if current is None:
                continue
            content_hash = job.prepared.content_hash if job.prepared else ""
            if content_hash_of(current) == content_hash and stored.is_whole(current):
                job.status, job.chunk_count = DocumentStatus.UNCHANGED, stored.chunk_counts[current]
                dead += [version for version in stored.dead() if version != current]
            else:
                job.status = DocumentStatus.UPDATED
        await self._writer.delete_dead(collection, dead, tenant)
        return versions

    async def _cut(self, collection: ResolvedCollection, jobs: Sequence[_Job]) -> None:
        """Check the metadata of changed documents against the collection's, and cut them."""
        await self._check_metadata_kinds(collection, jobs)
        accepted = [(job, job.prepared) for job in jobs if job.error is None and job.prepared is not None]
        if not accepted:
            return
        with self._metrics.stage("tokenize"):
            async with self._admission.bulk():
                cuts = await patiently(lambda: self._cutter.cut([prepared for _, prepared in accepted]))
        for (job, _), cut in zip(accepted, cuts, strict=True):
            if isinstance(cut, CutDocument):
                job.cut, job.chunk_count, job.token_count = cut, len(cut.spans), cut.token_count
            else:
                job.error = cut

    async def _check_metadata_kinds(self, collection: ResolvedCollection, jobs: Sequence[_Job]) -> None:
        """See to it that each metadata key is indexed before data that has it, and has one kind in all documents."""
        kinds_of = {job.id: _kinds_of(job.prepared) for job in jobs if job.prepared is not None}
        known = await patiently(lambda: self._collections.metadata_kinds(collection))
        wanted: dict[str, MetadataKind] = {}
        for kinds in kinds_of.values():
            for key, kind in kinds.items():
                if not _takes(known.get(key), kind) and (key not in wanted or kind.takes(wanted[key])):
                    wanted[key] = kind
        if wanted:
            known = await patiently(lambda: self._collections.index_keys(collection, wanted))
        for job in jobs:
            for key, kind in kinds_of.get(job.id, {}).items():
                if not _takes(known.get(key), kind):
                    _refuse(job, key, _kind_error(key, kind, known.get(key)))


def _at_most(jobs: Sequence[_Job], count: int) -> Sequence[_Job]:
    """Give the first documents, up to so many, each with what is in it."""
    for place, job in enumerate(jobs):
        if not job.container:
            if not count:
                return jobs[:place]
            count -= 1
    return jobs


def _results(jobs: Sequence[_Job]) -> list[DocumentResult]:
    """Give a result for each document that was sent, with those of what is in it, which stand behind it."""
    together: list[tuple[_Job, list[_Job]]] = []
    for job in jobs:
        if job.container:
            together[-1][1].append(job)
        else:
            together.append((job, []))
    return [job.result(parts) for job, parts in together]


def _is_changed(job: _Job) -> bool:
    return job.error is None and job.status is not DocumentStatus.UNCHANGED


def _kinds_of(prepared: PreparedDocument) -> dict[str, MetadataKind]:
    kinds = ((key, kind_of(value)) for key, value in flat_metadata(prepared.metadata).items())
    return {key: kind for key, kind in kinds if kind is not None}


def _takes(known: MetadataKind | None, kind: MetadataKind) -> bool:
    return known is not None and known.takes(kind)


def _refuse(job: _Job, key: str, error: TriviumError) -> None:
    """Leave out a fact that a document states about itself; what its sender says of it is an error."""
    if job.prepared is None or key not in job.prepared.own_keys:
        job.error = error
        return
    kept = {name: value for name, value in job.prepared.metadata.items() if name != key}
    job.prepared = replace(job.prepared, metadata=kept)


def _kind_error(key: str, kind: MetadataKind, known: MetadataKind | None) -> TriviumError:
    field = f"metadata.{key}"
    if known is None:
        return TooLarge(
            f"The collection has as many metadata keys as it may have, and {key!r} is not one of them.",
            reason="TOO_MANY_METADATA_KEYS",
            field=field,
        )
    how = f"write it as {HOW_DATES_ARE_WRITTEN}" if known is MetadataKind.DATE else "convert the value"
    return InvalidField(
        field,
        f"{field} is of kind {kind.value} here, and of kind {known.value} in this collection. A key has one kind in "
        f"all documents of a collection: {how}, or use another key.",
        reason="METADATA_TYPE_CONFLICT",
    )


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
