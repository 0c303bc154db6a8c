"""Takes documents from one index of a collection to another, out of their stored text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.chunks import Chunk, LineBox
from trivium_gateway.domain.readers import whole
from trivium_gateway.ingestion.cutting import CutDocument, DocumentCutter
from trivium_gateway.ingestion.preparation import DocumentPreparer, PreparedDocument
from trivium_gateway.ingestion.writing import DocumentWriter
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.documents import is_whole, text_of
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import DocumentVersions, content_hash_of, is_copy_of

__all__ = ["DocumentTransfer", "Lacks", "TransferPage"]

_PAGE_DOCUMENTS = 64
_ROUNDS = 3
_BATCH_PIECES = 256
"""What is embedded and written together, unless one document has more."""

_LOOKED_AT = 64
_SMALL_PIECES = 20

Lacks = Callable[[str, str | None], bool]
"""Whether an index lacks a document.

Given the version that counts in the one that it comes from, and the one that counts in it; None if it has none.
"""


@dataclass(slots=True)
class TransferPage:
    """What a part of a transfer has done.

    Attributes:
        following: Where the next page begins; empty after the last.
        seen_pieces: Pieces of the documents that were looked at.
        brought: Documents that were brought over.
        failures: Why documents cannot be brought over at all, by document.
    """

    following: str
    seen_pieces: int = 0
    brought: int = 0
    failures: dict[str, str] = field(default_factory=dict)


class DocumentTransfer:
    """Documents are cut anew by the other index's model, and embedded by it. Every step may be repeated.

    Nothing that is deleted or changed meanwhile is lost: who does that does so in both indexes, and what was written
    here is compared once more with where it came from.

    Args:
        chunks: Where they are.
        locks: One writer at a time for each document.
        preparer: Hashes them.
        cutter: Cuts them.
        writer: Embeds and writes them.
    """

    def __init__(
        self,
        chunks: ChunkStore,
        locks: KeyedLocks,
        preparer: DocumentPreparer,
        cutter: DocumentCutter,
        writer: DocumentWriter,
    ) -> None:
        self._chunks = chunks
        self._locks = locks
        self._preparer = preparer
        self._cutter = cutter
        self._writer = writer

    async def is_cut_otherwise(self, collection: ResolvedCollection) -> bool:
        """Whether some documents of a collection would be cut otherwise if they came now: the first ones are looked at.

        Raises:
            TriviumError: They cannot be read.
        """
        tenant = collection.tenant
        heads, _ = await self._chunks.page_of_heads(collection, offset="", limit=_LOOKED_AT, reader=whole(tenant))
        small = [head.version for head in heads if head.chunk_count <= _SMALL_PIECES]
        read = await self._chunks.read_versions(collection, small, tenant)
        documents = {version: _document(chunks) for version, chunks in read.items() if is_whole(chunks)}
        for version, document in documents.items():
            now = await self._preparer.hashed(document, collection)
            if now.content_hash != content_hash_of(version):
                return True
        return False

    async def bring_page(
        self, source: ResolvedCollection, target: ResolvedCollection, offset: str, lacks: Lacks
    ) -> TransferPage:
        """Bring what one index lacks of a page of documents of another, in the order of their ids.

        Args:
            source: Where they are.
            target: Where they go.
            offset: Where the page begins; empty for the first.
            lacks: Whether to bring a document.

        Raises:
            TriviumError: Something cannot be reached; nothing is lost, and the page can be brought again.
        """
        heads, following = await self._chunks.page_of_heads(
            source, offset=offset, limit=_PAGE_DOCUMENTS, reader=whole(source.tenant)
        )
        page = TransferPage(following)
        ids = list(dict.fromkeys(head.document_id for head in heads))
        here, there = await self._versions(source, ids), await self._versions(target, ids)
        page.seen_pieces = sum(here[one].chunk_counts[version] for one, version in _current(here).items())
        wanted = _lacking(here, there, lacks)
        for _ in range(_ROUNDS):
            if not wanted:
                return page
            for batch in _batches(wanted, here):
                await self._bring(source, target, batch, page, lacks)
            # What was deleted in both before it was written here has to go; what was changed, to be brought again.
            ids = list(wanted)
            here, there = await self._versions(source, ids), await self._versions(target, ids)
            gone = {one: version for one, version in wanted.items() if one not in _current(here)}
            await self._forget(target, there, gone)
            lacking = _lacking(here, there, lacks)
            wanted = {one: version for one, version in lacking.items() if one not in page.failures}
        broken = [one for one, version in wanted.items() if not here[one].is_whole(version)]
        page.failures |= dict.fromkeys(broken, "The document is not stored whole. Send it again.")
        return page

    async def _bring(
        self,
        source: ResolvedCollection,
        target: ResolvedCollection,
        batch: Mapping[str, str],
        page: TransferPage,
        lacks: Lacks,
    ) -> None:
        """Bring some documents, given by their versions."""
        tenant = source.tenant
        ids = sorted(batch)
        # What answers is written by others, too, and what they write there is later.
        written_by_others = ids if target.beside is not None else []
        async with self._locks.hold((target.physical, tenant, one) for one in written_by_others):
            stored = await self._versions(target, ids)
            versions = _lacking(await self._versions(source, ids), stored, lacks)
            read = await self._chunks.read_versions(source, list(versions.values()), tenant)
            documents = [_document(chunks) for chunks in read.values() if is_whole(chunks)]
            prepared = [await self._preparer.hashed(one, target) for one in documents]
            cuts = []
            for document, cut in zip(prepared, await self._cutter.cut(prepared, target), strict=True):
                if isinstance(cut, CutDocument):
                    cuts.append(cut)
                else:
                    page.failures[document.id] = cut.message
            errors = await self._writer.write(target, cuts, stored, tenant)
        for cut, error in zip(cuts, errors, strict=True):
            if isinstance(error, InvalidField | TooLarge):
                page.failures[cut.document.id] = error.message
            elif error is not None:
                raise error
            else:
                page.brought += 1

    async def _forget(
        self, target: ResolvedCollection, there: Mapping[str, DocumentVersions], gone: Mapping[str, str]
    ) -> None:
        """Delete the copies of versions that are gone; what others wrote in their place stays."""
        stored = [(version, gone[one]) for one in gone if one in there for version in there[one].chunk_counts]
        dead = [version for version, original in stored if is_copy_of(version, original)]
        await self._chunks.delete_versions(target, dead, target.tenant)

    async def _versions(self, collection: ResolvedCollection, ids: Sequence[str]) -> dict[str, DocumentVersions]:
        return await self._chunks.versions(collection, ids, collection.tenant)


def _current(stored: Mapping[str, DocumentVersions]) -> dict[str, str]:
    return {one: version for one, versions in stored.items() if (version := versions.current()) is not None}


def _lacking(
    here: Mapping[str, DocumentVersions], there: Mapping[str, DocumentVersions], lacks: Lacks
) -> dict[str, str]:
    """The documents to bring, by the versions that count."""
    wanted = {}
    for one, version in _current(here).items():
        versions = there.get(one, DocumentVersions())
        has = versions.current()
        if has is not None and is_copy_of(has, version):
            # A copy that broke off has no chunk 0; one whose chunks others took for remains has, and is not whole.
            is_same = versions.is_whole(has) and versions.readers == here[one].readers
            if not is_same:
                wanted[one] = version
        elif lacks(version, has):
            wanted[one] = version
    return wanted


def _batches(wanted: Mapping[str, str], here: Mapping[str, DocumentVersions]) -> list[dict[str, str]]:
    batches: list[dict[str, str]] = []
    pieces = 0
    for one, version in wanted.items():
        pieces += here[one].chunk_counts[version]
        if not batches or pieces > _BATCH_PIECES:
            batches.append({})
            pieces = here[one].chunk_counts[version]
        batches[-1][one] = version
    return batches


def _document(chunks: Sequence[Chunk]) -> PreparedDocument:
    """A document as it would come in, out of its chunks."""
    head = chunks[0]
    boxes: dict[tuple[float, ...], LineBox] = {}
    for chunk in chunks:
        for box in chunk.boxes:  # a line that goes over into the next chunk is in both
            boxes.setdefault((box.page, box.x0, box.y0, box.x1, box.y1), box)
    return PreparedDocument(
        id=head.document_id,
        title=head.title,
        uri=head.uri,
        metadata=head.metadata,
        own_keys=frozenset(),
        text=text_of(chunks),
        content_hash="",
        container=head.container,
        boxes=sorted(boxes.values(), key=lambda box: box.start),
        says_readers=True,
        readers=head.readers,
        original=head.version,
    )
