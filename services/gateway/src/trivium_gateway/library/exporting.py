"""Reads the documents of a collection one after the other, with what the embedding model made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import Unavailable

from trivium_gateway.library.documents import is_whole, text_of
from trivium_gateway.qdrant.exporting import PlacedChunks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from trivium_gateway.domain.chunks import Chunk, LineBox
    from trivium_gateway.domain.metadata import Metadata
    from trivium_gateway.domain.readers import Reader, Readers
    from trivium_gateway.library.chunks import ChunkStore
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.qdrant.connection import QdrantConnection
    from trivium_gateway.qdrant.exporting import ChunkPlace
    from trivium_gateway.qdrant.points import EmbeddedChunk

__all__ = ["DocumentExport", "ExportedDocument", "ExportedPiece"]

_PAGE_DOCUMENTS = 64
_PIECES_AT_ONCE = 256
"""Some 10 kB each, with their token codes: so much is in memory, and in one message."""
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ExportedPiece:
    """A piece of a document.

    Attributes:
        start: Where it begins in the document's stored text, in code points.
        end: Where it ends, exclusive.
        embedded: What the embedding model made of it.
    """

    start: int
    end: int
    embedded: EmbeddedChunk


@dataclass(frozen=True, slots=True)
class ExportedDocument:
    """A document, or more pieces of it.

    Attributes:
        id: Its id.
        continues: Whether this has nothing but more pieces of the document before, which were too many.
        title: Its title; may be empty.
        uri: Where it came from; may be empty.
        metadata: Facts about it.
        readers: Who may read it.
        container: Id of the document that it is in; empty if it is in none.
        text: Its stored text.
        boxes: Where the lines of the text stand on its pages.
        pieces: Its pieces, in their order; none without vectors.
    """

    id: str
    continues: bool
    title: str
    uri: str
    metadata: Metadata
    readers: Readers
    container: str
    text: str
    boxes: Sequence[LineBox]
    pieces: Sequence[ExportedPiece]


class DocumentExport:
    """Reads documents in the order of their points' ids, which has no meaning and stays.

    Args:
        connection: To Qdrant.
        chunks: Where they are.
    """

    def __init__(self, connection: QdrantConnection, chunks: ChunkStore) -> None:
        self._connection = connection
        self._chunks = chunks

    async def run(
        self, collection: ResolvedCollection, *, reader: Reader, offset: str, with_vectors: bool
    ) -> AsyncGenerator[tuple[ExportedDocument | None, str], None]:
        """Read all documents that somebody may read, each as it is when its turn comes.

        Args:
            collection: Where they are.
            reader: As whom.
            offset: Where to go on; empty to begin.
            with_vectors: Whether to read what the embedding model made of them, too.

        Yields:
            A document, or more of the one before; or None and where to go on if this breaks off.

        Raises:
            Unavailable: A document is being written all the time (DOCUMENT_BEING_WRITTEN), or Qdrant is away.
        """
        while True:
            heads, offset = await self._chunks.page_of_heads(
                collection, offset=offset, limit=_PAGE_DOCUMENTS, reader=reader
            )
            sizes = await self._sizes(collection, heads, reader)
            for group in _groups(sizes):
                async for document in self._read(collection, group, reader, with_vectors=with_vectors):
                    yield document, ""
            if not offset:
                return
            yield None, offset

    async def _sizes(
        self, collection: ResolvedCollection, heads: Sequence[Chunk], reader: Reader
    ) -> dict[str, tuple[str, int]]:
        """The version that counts of each document, and how many chunks it has."""
        sizes = {head.document_id: (head.version, head.chunk_count) for head in heads if head.chunk_count}
        # What earlier versions of Trivium wrote does not say how many chunks it has.
        unsure = [head.document_id for head in heads if not head.chunk_count]
        return sizes | await self._sizes_now(collection, unsure, reader)

    async def _sizes_now(
        self, collection: ResolvedCollection, document_ids: Sequence[str], reader: Reader
    ) -> dict[str, tuple[str, int]]:
        found = await self._chunks.versions(collection, list(dict.fromkeys(document_ids)), reader.tenant)
        return {
            one: (version, stored.heads[version].chunk_count or stored.chunk_counts[version])
            for one, stored in found.items()
            if (version := stored.current()) is not None and reader.may_read(stored.readers)
        }

    async def _read(
        self,
        collection: ResolvedCollection,
        group: Mapping[str, tuple[str, int]],
        reader: Reader,
        *,
        with_vectors: bool,
    ) -> AsyncGenerator[ExportedDocument, None]:
        """Read some documents that fit into memory together, or a larger one alone; one that is gone is left out."""
        with_learned = bool(collection.made.learned)
        placed = PlacedChunks(self._connection, collection.physical, reader, with_learned=with_learned)
        is_large = sum(count for _, count in group.values()) > _PIECES_AT_ONCE
        for _ in range(_ATTEMPTS):
            places = [(one, version, index) for one, (version, count) in group.items() for index in range(count)]
            found: dict[ChunkPlace, tuple[Chunk, EmbeddedChunk]] = {}
            for start in range(0, len(places), _PIECES_AT_ONCE):
                some = places[start : start + _PIECES_AT_ONCE]
                found |= await placed.read(some, with_vectors=with_vectors and not is_large)
            replaced: dict[str, tuple[str, int]] = {}
            for one, (version, count) in group.items():
                read = [found[one, version, index] for index in range(count) if (one, version, index) in found]
                if not read or not is_whole([chunk for chunk, _ in read]) or len(read) != count:
                    replaced[one] = version, count
                    continue
                document = _document([chunk for chunk, _ in read])
                pieces = [ExportedPiece(chunk.start, chunk.end, embedded) for chunk, embedded in read]
                if not with_vectors:
                    yield document
                elif not is_large:
                    yield replace(document, pieces=pieces)
                elif (first := await self._pieces(placed, one, version, 0, count)) is None:
                    replaced[one] = version, count
                else:
                    yield replace(document, pieces=first)
                    for begin in range(_PIECES_AT_ONCE, count, _PIECES_AT_ONCE):
                        # What comes too late is embedded anew when it is imported: the text is there.
                        if more := await self._pieces(placed, one, version, begin, count):
                            yield _more_of(document, more)
            if not replaced:
                return
            # Its version was replaced while it was read, or it was deleted.
            group = await self._sizes_now(collection, list(replaced), reader)
            if not group:
                return
        raise Unavailable(
            f"The document {next(iter(group))!r} is being written. Try again.", reason="DOCUMENT_BEING_WRITTEN"
        )

    async def _pieces(
        self, placed: PlacedChunks, document_id: str, version: str, begin: int, count: int
    ) -> list[ExportedPiece] | None:
        """Some pieces of a large document; None if they are not all there any more."""
        places = [(document_id, version, index) for index in range(begin, min(count, begin + _PIECES_AT_ONCE))]
        found = await placed.read(places, with_vectors=True)
        if len(found) < len(places):
            return None
        return [ExportedPiece(chunk.start, chunk.end, embedded) for chunk, embedded in map(found.__getitem__, places)]


def _groups(sizes: Mapping[str, tuple[str, int]]) -> list[dict[str, tuple[str, int]]]:
    """Documents that are read together."""
    groups: list[dict[str, tuple[str, int]]] = []
    room = 0
    for one, (version, count) in sizes.items():
        room -= count
        if room < 0 or not groups:
            groups.append({})
            room = _PIECES_AT_ONCE - count
        groups[-1][one] = version, count
    return groups


def _document(chunks: Sequence[Chunk]) -> ExportedDocument:
    head = chunks[0]
    boxes: dict[tuple[float, ...], LineBox] = {}
    for chunk in chunks:
        for box in chunk.boxes:  # a line that goes over into the next chunk is in both
            boxes.setdefault((box.page, box.x0, box.y0, box.x1, box.y1), box)
    return ExportedDocument(
        id=head.document_id,
        continues=False,
        title=head.title,
        uri=head.uri,
        metadata=head.metadata,
        readers=head.readers,
        container=head.container,
        text=text_of(chunks),
        boxes=sorted(boxes.values(), key=lambda box: box.start),
        pieces=(),
    )


def _more_of(document: ExportedDocument, pieces: Sequence[ExportedPiece]) -> ExportedDocument:
    return replace(document, continues=True, title="", uri="", metadata={}, text="", boxes=(), pieces=pieces)
