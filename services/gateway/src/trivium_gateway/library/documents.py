"""Documents as they come in and as they are stored."""

import base64
import binascii
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from trivium_serving.errors import InvalidField, NotFound, TriviumError, Unavailable

from trivium_gateway.domain.chunks import Chunk, LineBox
from trivium_gateway.domain.ids import canonical_id, checked_ids, forms_of_id
from trivium_gateway.domain.limits import GatewayLimits, check_document_id, check_page_size
from trivium_gateway.domain.metadata import Metadata
from trivium_gateway.domain.readers import EVERYONE, Reader, Readers, whole
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.new_document import NewDocument
from trivium_gateway.library.originals import OriginalFile, Originals
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import content_hash_of, current_version

__all__ = ["DocumentResult", "DocumentStatus", "Documents", "NewDocument", "StoredDocument", "is_whole", "text_of"]


class DocumentStatus(Enum):
    """What became of a document; the values are those of the HTTP interface."""

    INDEXED = "indexed"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DocumentResult:
    """What became of one document.

    Attributes:
        id: Its id, the one given or the one made for it.
        status: The outcome.
        chunk_count: Number of pieces it is cut into; 0 if it failed.
        error: Why it failed, else None.
        token_count: Tokens that were embedded for it; 0 if it is unchanged or failed.
        content_hash: Of what is stored; empty if it failed.
        parts: What became of the files in it, if it is a mail or an archive.
    """

    id: str
    status: DocumentStatus
    chunk_count: int
    error: TriviumError | None = None
    token_count: int = 0
    content_hash: str = ""
    parts: tuple["DocumentResult", ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as it is stored.

    Attributes:
        id: Its id.
        title: Its title; may be empty.
        uri: Where it came from; may be empty.
        metadata: Facts about it.
        chunk_count: Number of pieces it is cut into.
        content_hash: Stays the same as long as storing it again would change nothing.
        text: The stored text; empty in lists.
        container: Id of the document that it is in, a mail or an archive; empty if it is in none.
        readers: Who may read it.
        boxes: Where the lines of the text stand on its pages; empty in lists, and for a document without pages.
        file: The file that it came in, if that is kept; None in lists.
    """

    id: str
    title: str
    uri: str
    metadata: Metadata
    chunk_count: int
    content_hash: str
    text: str = ""
    container: str = ""
    readers: Readers = EVERYONE
    boxes: Sequence[LineBox] = ()
    file: OriginalFile | None = None


_READ_ATTEMPTS = 5


class Documents:
    """Reads and deletes stored documents.

    Args:
        chunks: Where their chunks are.
        locks: Shared with the ingester, so that a deletion and an update of one document do not mix.
        originals: Where the files are kept that they came in.
        limits: What is allowed.
    """

    def __init__(
        self, chunks: ChunkStore, locks: KeyedLocks, originals: Originals, limits: GatewayLimits | None = None
    ) -> None:
        self._chunks = chunks
        self._originals = originals
        self._locks = locks
        self._limits = limits or GatewayLimits()

    async def get(self, collection: ResolvedCollection, document_id: str, *, reader: Reader) -> StoredDocument:
        """Return one document with its stored text.

        Args:
            collection: Where it is.
            document_id: Its id.
            reader: As whom.

        Raises:
            InvalidField: The id is not a possible one.
            NotFound: The reader sees no such document in the collection (DOCUMENT_NOT_FOUND).
        """
        check_document_id(document_id, self._limits)
        for form in forms_of_id(document_id):
            found = await self._get(collection, form, reader)
            if found is not None:
                return replace(found, file=await self._originals.find(collection, form, found.text))
        raise NotFound(f"There is no document {document_id!r}.", reason="DOCUMENT_NOT_FOUND")

    async def _get(self, collection: ResolvedCollection, document_id: str, reader: Reader) -> StoredDocument | None:
        for _ in range(_READ_ATTEMPTS):
            versions = await self._chunks.read_document(collection, document_id, reader)
            current = current_version(version for version, chunks in versions.items() if chunks[0].index == 0)
            if current is None:
                return None
            if is_whole(versions[current]):
                return _stored(versions[current])
        # It is read page by page, so that its version may be replaced meanwhile.
        raise Unavailable(f"The document {document_id!r} is being written. Try again.", reason="DOCUMENT_BEING_WRITTEN")

    async def delete(self, collection: ResolvedCollection, document_ids: Sequence[str], *, reader: Reader) -> list[str]:
        """Delete documents; those that do not exist are passed over, as are those that the reader may not read.

        Returns:
            The ids of those that were there, in the order given, each once, in canonical form.

        Raises:
            InvalidField: No id is given, or one is not a possible id.
            TooLarge: There are more ids than one call may have (TOO_MANY_DOCUMENTS).
        """
        unique = checked_ids(document_ids, self._limits)
        deleted: set[str] = set()
        gone: list[NotFound] = []
        # Another index may have copies of these documents, or be the one that answers by now.
        places = collection.places()
        for place in places:
            try:
                deleted.update(await self._delete(place, unique, reader))
            except NotFound as error:
                gone.append(error)
        if len(gone) == len(places):
            raise gone[0]
        return list(dict.fromkeys(canonical_id(one) for one in unique if one in deleted))

    async def _delete(self, collection: ResolvedCollection, unique: Sequence[str], reader: Reader) -> list[str]:
        tenant = reader.tenant
        if reader.names is not None:
            there = await self._chunks.versions(collection, unique, tenant)
            unique = [one for one in unique if one in there and reader.may_read(there[one].readers)]
        # What is in them goes first: what is left after a crash is found again by the same deletion.
        within = await self._chunks.within(collection, unique, tenant)
        if within:
            await self._delete(collection, within, whole(tenant))
        async with self._locks.hold((collection.physical, tenant, document_id) for document_id in unique):
            found = await self._chunks.versions(collection, unique, tenant)
            versions = {one: stored for one, stored in found.items() if reader.may_read(stored.readers)}
            dead = [version for stored in versions.values() for version in stored.dead()]
            await self._originals.forget(collection, list(versions))
            if dead:
                await self._chunks.delete_versions(collection, dead, tenant)
        return [document_id for document_id in unique if document_id in versions and versions[document_id].heads]

    async def list(
        self, collection: ResolvedCollection, *, page_size: int, page_token: str = "", reader: Reader
    ) -> tuple[list[StoredDocument], str]:
        """Return a page of documents without their texts, in a stable order that has no meaning.

        Args:
            collection: Whose documents.
            page_size: Most documents to return, from 1 to 1000. A page may be shorter and still not be the last.
            page_token: Where to go on; empty to begin.
            reader: As whom.

        Returns:
            The documents, and the token of the next page, empty after the last.

        Raises:
            InvalidField: The page size is out of range, or the token is not one of ours.
        """
        check_page_size(page_size, self._limits)
        heads, following = await self._chunks.page_of_heads(
            collection, offset=_offset_of(page_token), limit=page_size, reader=reader
        )
        # What earlier versions of Trivium wrote does not say how many chunks it has, and may be there beside others.
        earlier = list({head.document_id for head in heads if not head.chunk_count})
        versions = await self._chunks.versions(collection, earlier, reader.tenant)
        documents = []
        for head in heads:
            stored = versions.get(head.document_id)
            if stored is None:
                if head.chunk_count:  # else it was deleted since
                    documents.append(_listed(head, head.chunk_count))
            elif stored.current() == head.version:
                documents.append(_listed(head, stored.chunk_counts[head.version]))
        return documents, _token_of(following)


def text_of(chunks: Sequence[Chunk]) -> str:
    """Put the text of a document together from its chunks, all of them and in their order, which may overlap."""
    pieces: list[str] = []
    length = 0
    for chunk in chunks:
        pieces.append(chunk.text[max(0, length - chunk.start) :])
        length = max(length, chunk.end)
    return "".join(pieces)


def is_whole(chunks: Sequence[Chunk]) -> bool:
    """Whether these are all chunks of a version, in their order."""
    return [chunk.index for chunk in chunks] == list(range(chunks[0].chunk_count or len(chunks)))


def _stored(chunks: Sequence[Chunk]) -> StoredDocument:
    boxes = tuple(dict.fromkeys(box for chunk in chunks for box in chunk.boxes))  # chunks overlap
    return replace(_listed(chunks[0], len(chunks)), text=text_of(chunks), boxes=boxes)


def _listed(head: Chunk, chunk_count: int) -> StoredDocument:
    content_hash = content_hash_of(head.version)
    return StoredDocument(
        head.document_id,
        head.title,
        head.uri,
        head.metadata,
        chunk_count,
        content_hash,
        container=head.container,
        readers=head.readers,
    )


def _token_of(point_id: str) -> str:
    return base64.urlsafe_b64encode(uuid.UUID(point_id).bytes).decode().rstrip("=") if point_id else ""


def _offset_of(page_token: str) -> str:
    if not page_token:
        return ""
    try:
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(page_token + "==")))
    except (ValueError, binascii.Error):
        raise InvalidField(
            "page_token", "The page token is not one that a list gave. Leave it out to begin with the first page."
        ) from None
