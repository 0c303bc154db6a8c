"""The steps that documents are taken through together: identified, parsed, compared, cut, embedded and written."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.domain.ids import forms_of_id
from trivium_gateway.domain.readers import EVERYONE, Reader
from trivium_gateway.ingestion.cutting import CutDocument, DocumentCutter
from trivium_gateway.ingestion.incoming import Incoming
from trivium_gateway.ingestion.metadata_keys import index_metadata_keys
from trivium_gateway.ingestion.metrics import IngestMetrics
from trivium_gateway.ingestion.patience import patiently
from trivium_gateway.ingestion.preparation import DocumentPreparer
from trivium_gateway.ingestion.readership import take_over_readers
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.ingestion.writing import DocumentWriter
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Original, Originals
from trivium_gateway.library.permitting import Permissions
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import DocumentVersions, content_hash_of
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.tally import count_read

__all__ = ["IngestionPipeline"]


class IngestionPipeline:
    """Takes windows of documents all the way into collections.

    Args:
        collections: Indexes metadata keys.
        permissions: Changes who may read documents.
        chunks: Where chunks are written to.
        locks: One writer at a time for each document.
        preparer: Checks and parses.
        cutter: Cuts into chunks.
        writer: Embeds and writes.
        metrics: Where times are counted.
        admission: Lets questions go before each piece of the work.
        room: Says what fits into what a tenant may have stored.
        originals: Where the files are kept that documents come in.
    """

    def __init__(
        self,
        collections: Collections,
        permissions: Permissions,
        chunks: ChunkStore,
        locks: KeyedLocks,
        preparer: DocumentPreparer,
        cutter: DocumentCutter,
        writer: DocumentWriter,
        metrics: IngestMetrics,
        admission: QuestionAdmission,
        room: StorageRoom,
        originals: Originals,
    ) -> None:
        self._collections = collections
        self._permissions = permissions
        self._chunks = chunks
        self._locks = locks
        self._preparer = preparer
        self._cutter = cutter
        self._writer = writer
        self._metrics = metrics
        self._admission = admission
        self._room = room
        self._originals = originals

    async def run(
        self,
        collection: ResolvedCollection,
        documents: Sequence[Incoming],
        reader: Reader,
        renamed: dict[str, str],
        locked: asyncio.Event,
    ) -> None:
        """Take some documents, no two of the same id, all the way. Each fails alone, and is told why.

        Args:
            collection: Where they go.
            documents: The documents.
            reader: Whose they are, and as whom they are replaced.
            renamed: The ids that documents of the call got from those that come from the same place, by their own.
            locked: Is set once nobody else can write these documents.
        """
        collection = await self._moved(collection, documents)  # a stream may go on for an hour
        await self._identify(collection, documents, reader, renamed)
        async with self._locks.hold((collection.physical, reader.tenant, one.id) for one in documents):
            locked.set()
            await asyncio.gather(*(self._prepare(collection, one) for one in documents if one.error is None))
            await self._store(collection, [one for one in documents if one.error is None], reader)
            await self._keep_files(collection, documents)
        for one in documents:  # of a long stream, only the outcomes are kept
            if one.error is None and one.cut is not None:
                pages = max((box.page for box in one.cut.document.boxes), default=0)
                count_read(pages=pages, text_bytes=one.cut.document.text_bytes)
            one.content_hash = one.prepared.content_hash if one.prepared else ""
            one.prepared = one.cut = one.data = None

    async def _identify(
        self, collection: ResolvedCollection, documents: Sequence[Incoming], reader: Reader, renamed: dict[str, str]
    ) -> None:
        """Give documents that have no id of their own that of the one that comes from the same place.

        Args:
            collection: Where they go.
            documents: The documents.
            reader: As whom they are looked for.
            renamed: Takes note of the new ids; what is in such a document, here or in a later call, follows it.
        """
        without_id = [one for one in documents if not one.document.id and one.document.default_id]
        uris = [one.document.uri for one in without_id if one.document.uri and one.document.uri.isprintable()]
        try:
            known = await patiently(lambda: self._chunks.ids_of_uris(collection, uris, reader))
        except TriviumError as error:
            for one in without_id:
                one.error = error
            return
        taken = {one.id for one in documents}
        for one in without_id:
            ids = known.get(one.document.uri, [one.id])
            if one.id not in ids and (free := min((free for free in ids if free not in taken), default="")):
                taken.add(free)
                renamed[one.id] = free
                one.id, one.document = free, replace(one.document, id=free)
        for one in documents:
            if container := renamed.get(one.container):
                part_id = container + one.id.removeprefix(one.container)
                one.id, one.container = part_id, container
                one.document = replace(one.document, id=part_id, container=container)

    async def _store(self, collection: ResolvedCollection, documents: Sequence[Incoming], reader: Reader) -> None:
        """Write some prepared documents, and again if the collection was made anew elsewhere meanwhile."""
        while True:
            await self._compare_and_write(collection, documents, reader)
            now = await self._moved(collection, documents)
            if now.physical == collection.physical:
                return
            await self._begin_anew(documents, collection, now)
            collection = now

    async def _begin_anew(
        self, documents: Sequence[Incoming], before: ResolvedCollection, now: ResolvedCollection
    ) -> None:
        for one in documents:
            one.error, one.status, one.is_repermitted, one.cut = None, DocumentStatus.INDEXED, False, None
            if one.prepared is not None:
                if before.made.vectors != now.made.vectors:
                    one.prepared = replace(one.prepared, embedded={})
                one.prepared = await self._preparer.hashed(one.prepared, now)

    async def _moved(self, collection: ResolvedCollection, documents: Sequence[Incoming]) -> ResolvedCollection:
        try:
            return await patiently(lambda: self._collections.moved(collection))
        except TriviumError as error:  # nobody knows whether it counts
            _fail(documents, error)
            return collection

    async def _compare_and_write(
        self, collection: ResolvedCollection, documents: Sequence[Incoming], reader: Reader
    ) -> None:
        tenant = reader.tenant
        try:
            versions = await self._compare(collection, documents, reader)
        except TriviumError as error:
            _fail(documents, error)
            return
        changed = [one for one in documents if one.is_changed]
        async with self._room.kept(tenant, [_growth_of(one, versions) for one in changed]) as refused:
            for one, refusal in zip(changed, refused, strict=True):
                one.error = refusal
            try:
                await self._permit(collection, documents, tenant)
                await self._cut(collection, [one for one in changed if one.error is None])
            except TriviumError as error:
                _fail(documents, error)
                return
            await self._write(collection, documents, versions, tenant)
        done = [form for one in documents if one.error is None for form in forms_of_id(one.id)[1:]]
        same = [version for form in done if form in versions for version in versions[form].dead()]
        await self._writer.delete_dead(collection, same, tenant)

    async def _write(
        self,
        collection: ResolvedCollection,
        documents: Sequence[Incoming],
        versions: dict[str, DocumentVersions],
        tenant: str,
    ) -> None:
        cut = [(one, one.cut) for one in documents if one.error is None and one.cut is not None]
        errors = await self._writer.write(collection, [one for _, one in cut], versions, tenant)
        for (one, _), failure in zip(cut, errors, strict=True):
            one.error = failure

    async def _prepare(self, collection: ResolvedCollection, incoming: Incoming) -> None:
        try:
            if incoming.document.failure is not None:
                raise incoming.document.failure
            async with self._admission.bulk():
                pass  # parsing has processes of its own; here it only waits for its turn
            with self._metrics.stage("parse"):
                incoming.prepared = await self._preparer.prepare(incoming.document, collection)
        except (InvalidField, TooLarge) as error:
            incoming.error = error
        incoming.data = incoming.document.data
        incoming.document = NewDocument()  # its content is no longer needed

    async def _keep_files(self, collection: ResolvedCollection, documents: Sequence[Incoming]) -> None:
        """Keep what documents that are in came as."""
        originals = [
            Original(one.id, one.prepared.text, one.data, one.prepared.format_name, one.prepared.is_carried)
            for one in documents
            if one.error is None and one.prepared is not None
        ]
        await self._originals.keep(collection, originals)

    async def _compare(
        self, collection: ResolvedCollection, documents: Sequence[Incoming], reader: Reader
    ) -> dict[str, DocumentVersions]:
        """Find out what is stored, and which documents are not changed; tidy up behind writes that broke off."""
        prepared = [one for one in documents if one.prepared is not None]
        ids = [form for one in prepared for form in forms_of_id(one.id)]
        ids += [one.prepared.moved_from for one in prepared if one.prepared and one.prepared.moved_from]
        ids += [one.container for one in prepared if one.container]
        with self._metrics.stage("lookup"):
            found = await patiently(lambda: self._chunks.versions(collection, ids, reader.tenant))
        # Nothing that its sender may not read is taken over, nor told by how little there is to embed.
        versions = {one: stored for one, stored in found.items() if reader.may_read(stored.readers)}
        for one in prepared:
            take_over_readers(one, found, reader)
        dead: list[str] = []
        for one in prepared:
            stored = versions.get(one.id, DocumentVersions())
            current = stored.current()
            if current is None or one.prepared is None or one.error is not None:
                continue
            if content_hash_of(current) == one.prepared.content_hash and stored.is_whole(current):
                one.is_repermitted = one.prepared.readers != stored.readers
                one.status = DocumentStatus.UPDATED if one.is_repermitted else DocumentStatus.UNCHANGED
                one.chunk_count = stored.chunk_counts[current]
                dead += [version for version in stored.dead() if version != current]
            else:
                one.status = DocumentStatus.UPDATED
        await self._writer.delete_dead(collection, dead, reader.tenant)
        return versions

    async def _permit(self, collection: ResolvedCollection, documents: Sequence[Incoming], tenant: str) -> None:
        """Change who may read documents of which nothing else is changed, and note if not everyone may read some."""
        readers = {one.id: one.prepared.readers for one in documents if one.prepared and one.error is None}
        if any(some is not EVERYONE for some in readers.values()):
            await patiently(lambda: self._collections.restrict(collection))
        changed = {one.id: readers[one.id] for one in documents if one.is_repermitted and one.id in readers}
        await patiently(lambda: self._permissions.permit(collection, changed, tenant))

    async def _cut(self, collection: ResolvedCollection, documents: Sequence[Incoming]) -> None:
        """Check the metadata of changed documents against the collection's, and cut them."""
        await index_metadata_keys(self._collections, collection, documents)
        accepted = [(one, one.prepared) for one in documents if one.error is None and one.prepared is not None]
        if not accepted:
            return
        texts = [prepared for _, prepared in accepted]
        with self._metrics.stage("tokenize"):
            async with self._admission.bulk():
                cuts = await patiently(lambda: self._cutter.cut(texts, collection))
        for (one, _), cut in zip(accepted, cuts, strict=True):
            if isinstance(cut, CutDocument):
                one.cut, one.chunk_count, one.token_count = cut, len(cut.spans), cut.token_count
            else:
                one.error = cut


def _fail(documents: Sequence[Incoming], error: TriviumError) -> None:
    for one in documents:
        one.error = one.error or error


def _growth_of(one: Incoming, versions: Mapping[str, DocumentVersions]) -> Stored:
    """By how much a changed document makes more of what is stored."""
    size = one.prepared.text_bytes if one.prepared else 0
    stored = versions.get(one.id, DocumentVersions())
    current = stored.current()
    return Stored(1, size) if current is None else Stored(0, size - stored.heads[current].text_bytes)
