"""A document that is being written, in pieces: each is one chunk to embed and to write."""

from collections.abc import Iterable
from dataclasses import dataclass

from trivium_serving.errors import TriviumError, Unavailable

from trivium_gateway.domain.chunks import Chunk, boxes_within, indexed_text
from trivium_gateway.ingestion.chunking import ChunkSpan
from trivium_gateway.ingestion.cutting import CutDocument
from trivium_gateway.library.versions import copied_version, new_version
from trivium_gateway.qdrant.points import Point

__all__ = ["Piece", "Writing", "pieces_of"]


@dataclass(slots=True)
class Writing:
    """A document that is being written.

    Attributes:
        cut: The document and its chunks.
        version: What this attempt writes; nobody else writes it.
        head: The point of chunk 0, once embedded. Writing it commits the version.
        may_be_committed: Whether the writing of chunk 0 was begun.
        error: Why it failed.
    """

    cut: CutDocument
    version: str = ""
    head: Point | None = None
    may_be_committed: bool = False
    error: TriviumError | None = None

    @property
    def id(self) -> str:
        """The document's id."""
        return self.cut.document.id

    def begin(self) -> None:
        """Begin an attempt."""
        document = self.cut.document
        if document.original:
            self.version = copied_version(document.content_hash, document.original)
        else:
            self.version = new_version(document.content_hash)
        self.head, self.may_be_committed = None, False

    def give_up(self) -> None:
        """Fail, because others deleted parts of it or it took too long."""
        self.error = Unavailable(
            f"The document {self.id!r} could not be written whole: others deleted parts of it, or it took too long. "
            "Send it again.",
            reason="DOCUMENT_INCOMPLETE",
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk to embed and write.

    Attributes:
        writing: The document that it is of.
        index: Its number among the document's chunks, from 0.
        span: Where it stands in the document's text.
    """

    writing: Writing
    index: int
    span: ChunkSpan

    def text(self) -> str:
        """What the embedding model is given of it."""
        cut = self.writing.cut
        text = cut.document.text[self.span.start : self.span.end]
        return indexed_text(cut.heading, text, cut.places[self.index].table_header)

    def chunk(self) -> Chunk:
        """What is stored of it."""
        cut = self.writing.cut
        document, place = cut.document, cut.places[self.index]
        return Chunk(
            document_id=document.id,
            index=self.index,
            title=document.title,
            uri=document.uri,
            text=document.text[self.span.start : self.span.end],
            start=self.span.start,
            end=self.span.end,
            version=self.writing.version,
            chunk_count=len(cut.spans),
            metadata=document.metadata,
            heading=place.heading,
            page=place.page,
            table_header=place.table_header,
            container=document.container,
            boxes=boxes_within(document.boxes, self.span.start, self.span.end),
            readers=document.readers,
            text_bytes=0 if self.index else document.text_bytes,
        )


def pieces_of(writings: Iterable[Writing]) -> list[Piece]:
    """List all pieces of some documents, in their order."""
    return [Piece(writing, index, span) for writing in writings for index, span in enumerate(writing.cut.spans)]
