"""A document's way from what arrived to what would be stored, and the hash that says whether that is new."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.ids import canonical_id
from trivium_gateway.domain.limits import GatewayLimits, check_document_id, check_title, check_uri
from trivium_gateway.domain.metadata import JsonValue, Metadata, checked_metadata
from trivium_gateway.domain.readers import EVERYONE, Readers, checked_readers
from trivium_gateway.ingestion.chunking import CHUNKER_VERSION, ChunkingSettings
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.qdrant.points import EmbeddedChunk

__all__ = ["DocumentPreparer", "PreparedDocument", "document_id_of"]

_LARGE_CHARACTERS = 200_000
_ID_CHARACTERS = 32
_HASHED_SCHEMA_VERSION = 1
"""Part of each hash since the first release: with another one, all documents would be embedded anew for nothing."""


@dataclass(frozen=True, slots=True)
class PreparedDocument:
    """A document that was checked and parsed.

    Attributes:
        id: Its id.
        title: Its title; may be empty.
        uri: Where it came from; may be empty.
        metadata: Facts about it.
        own_keys: Keys of the metadata that it states about itself, and that nobody vouched for.
        moved_from: The id that it had before; may be empty.
        text: The text to store; never blank.
        content_hash: Equal exactly if storing it again would change nothing.
        container: Id of the document that it is in; empty if it is in none.
        boxes: Where the lines of the text stand on its pages.
        format_name: The format that it came in.
        says_readers: Whether its sender says who may read it.
        readers: Who may read it, if its sender says so; else what was said before, once that is known.
        original: The version in another index of the collection that it is taken from; empty if it comes from outside.
        embedded: What the embedding model made of its pieces elsewhere, by where these begin and end.
        is_carried: Whether it was exported, so that its stored text is all that is known of it.
    """

    id: str
    title: str
    uri: str
    metadata: Metadata
    own_keys: frozenset[str]
    text: str
    content_hash: str
    moved_from: str = ""
    container: str = ""
    boxes: Sequence[LineBox] = ()
    format_name: str = "text"
    says_readers: bool = False
    readers: Readers = EVERYONE
    original: str = ""
    embedded: Mapping[tuple[int, int], EmbeddedChunk] = field(default_factory=dict)
    is_carried: bool = False

    @property
    def text_bytes(self) -> int:
        """Bytes of the text, in UTF-8."""
        return len(self.text.encode())


def document_id_of(document: NewDocument) -> str:
    """Give a document's id: its own, else its default, else the hash of its uri, else that of its content."""
    if document.id or document.default_id:
        return canonical_id(document.id or document.default_id)
    if document.uri:
        content = document.uri.encode(errors="replace")
    elif document.text is not None:
        content = document.text.encode(errors="replace")
    else:
        content = document.data or b""
    return hashlib.sha256(content).hexdigest()[:_ID_CHARACTERS]


class DocumentPreparer:
    """Checks, parses and hashes documents.

    Args:
        parser: Reads their content.
        limits: What is allowed.
        chunking: How they will be cut, but for what a collection says itself; part of the hash.
    """

    def __init__(self, parser: DocumentParser, limits: GatewayLimits, chunking: ChunkingSettings) -> None:
        self._parser = parser
        self._limits = limits
        self._chunking = chunking

    async def prepare(self, document: NewDocument, collection: ResolvedCollection) -> PreparedDocument:
        """Check, parse and hash a document that is for a collection.

        Raises:
            InvalidField: A field breaks a rule, or the content cannot be read.
            TooLarge: A part of it is over a limit.
        """
        document_id = document_id_of(document)
        check_document_id(document_id, self._limits)
        check_title(document.title, self._limits)
        check_uri(document.uri, self._limits)
        given = checked_metadata(document.metadata, self._limits)
        readers = checked_readers(document.readers, self._limits) if document.readers else EVERYONE
        if document.text is not None and document.data is not None:
            raise InvalidField("text", "The document has both a text and a file; send one of them.")
        parsed = await self._parser.parse(document)
        metadata = _with_own(given, parsed.metadata, self._limits)
        prepared = PreparedDocument(
            id=document_id,
            title=parsed.title,
            uri=document.uri,
            metadata=metadata,
            own_keys=frozenset(metadata.keys() - given.keys()),
            text=parsed.text,
            content_hash="",
            moved_from=canonical_id(document.moved_from),
            container=document.container,
            boxes=parsed.boxes,
            format_name=parsed.format_name,
            says_readers=bool(document.readers),
            readers=readers,
        )
        if (carried := document.carried) is not None:
            # What is counted from places in the text is right only for that text.
            is_same = parsed.text == document.text
            is_embedded = is_same and carried.model_fingerprint == collection.made.vectors
            prepared = replace(
                prepared,
                container=carried.container,
                boxes=carried.boxes if is_same else (),
                embedded=carried.embedded if is_embedded else {},
                is_carried=True,
            )
        return await self.hashed(prepared, collection)

    async def hashed(self, document: PreparedDocument, collection: ResolvedCollection) -> PreparedDocument:
        """Give a document the hash that it has in a collection."""
        chunking = self._chunking.of(collection.settings.now.settings)
        version: dict[str, object] = {
            "tenant": collection.tenant,
            "id": document.id,
            "title": document.title,
            "uri": document.uri,
            "metadata": document.metadata,
            "text": document.text,
            "model_fingerprint": collection.made.fingerprint,
            "chunker_version": CHUNKER_VERSION,
            "chunk_tokens": chunking.chunk_tokens,
            "overlap_tokens": chunking.overlap_tokens,
            "chunk_characters": chunking.chunk_characters,
            "schema_version": _HASHED_SCHEMA_VERSION,
        }
        if collection.made.late_chunking:
            version["late_chunking"] = True
        if collection.made.learned:
            version["learned_sparse"] = collection.made.learned
        if len(document.text) > _LARGE_CHARACTERS:
            return replace(document, content_hash=await asyncio.to_thread(_hash_of, version))
        return replace(document, content_hash=_hash_of(version))


def _with_own(given: Metadata, own: Mapping[str, JsonValue], limits: GatewayLimits) -> Metadata:
    """Add what a document says of itself, unless its sender said it, and only if there is room for it."""
    if not own:
        return given
    try:
        return checked_metadata({**own, **given}, limits)
    except (InvalidField, TooLarge):
        return given


def _hash_of(version: dict[str, object]) -> str:
    canonical = json.dumps(version, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
