"""Pieces of documents, as they are kept, searched and cited."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.domain.readers import EVERYONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.metadata import Metadata
    from trivium_gateway.domain.readers import Readers


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of Unicode code points, `[start, end)`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class LineBox:
    """Where a line of a document's text, or a row of a table, stands on its page.

    In points, from the upper left corner of the page as it is shown.

    Attributes:
        start: Where the line begins in the document's stored text; it goes as far as the next one.
        page: Its page, from 1.
        x0: Left edge.
        y0: Upper edge.
        x1: Right edge.
        y1: Lower edge.
    """

    start: int
    page: int
    x0: float
    y0: float
    x1: float
    y1: float


def boxes_within(boxes: Sequence[LineBox], start: int, end: int) -> Sequence[LineBox]:
    """Give those of the lines that stand in a range of the text.

    Args:
        boxes: Of lines in their order.
        start: Where it begins.
        end: Where it ends, exclusive.
    """
    after = bisect_right(boxes, start, key=_start)
    # Several may begin at one place: the lines of one row of a table.
    first = bisect_left(boxes, boxes[after - 1].start, key=_start) if after else 0
    return boxes[first : bisect_left(boxes, end, key=_start)]


def _start(box: LineBox) -> int:
    return box.start


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document, as it is kept.

    Attributes:
        document_id: Its document's id.
        index: Its position in the document, from 0.
        title: Its document's title; may be empty.
        uri: Where its document came from; may be empty.
        text: Its text.
        start: Where it begins in the document's stored text, in code points.
        end: Where it ends, exclusive.
        version: The version of the document that it belongs to.
        chunk_count: How many chunks this version has; 0 if an earlier version of Trivium wrote it, which did not say.
        metadata: Its document's metadata.
        heading: The headings that it stands under, outermost first.
        page: Its page, from 1; 0 in a document without pages.
        table_header: The names of the columns, if it begins with a row of a table and not with these; else empty.
        container: Id of the document that its document is in, a mail or an archive; empty if it is in none.
        boxes: Where its lines stand on their pages; empty for a document without pages.
        readers: Who may read its document.
        text_bytes: Of chunk 0 the bytes of the document's whole text, in UTF-8; 0 if an earlier version of Trivium
            wrote it, which did not say.
    """

    document_id: str
    index: int
    title: str
    uri: str
    text: str
    start: int
    end: int
    version: str
    chunk_count: int
    metadata: Metadata
    heading: tuple[str, ...] = ()
    page: int = 0
    table_header: str = ""
    container: str = ""
    boxes: Sequence[LineBox] = ()
    readers: Readers = EVERYONE
    text_bytes: int = 0

    @property
    def span(self) -> Span:
        """Where it stands in the document's stored text."""
        return Span(self.start, self.end)

    @property
    def readable_text(self) -> str:
        """Its text, below the names of the columns if it begins with a row of a table."""
        return indexed_text("", self.text, self.table_header)

    @property
    def indexed_text(self) -> str:
        """Its text as it is indexed for BM25, and best reranked."""
        return indexed_text(self.title, self.text, self.table_header)


def indexed_text(title: str, text: str, table_header: str) -> str:
    """Give the text of a chunk as it is embedded.

    Args:
        title: Its document's title, under which it stands; may be empty.
        text: The chunk's text.
        table_header: The names of the columns whose rows it begins with; may be empty.
    """
    return "\n".join(part for part in (title, table_header, text) if part)
