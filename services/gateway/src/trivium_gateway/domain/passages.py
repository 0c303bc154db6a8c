"""What retrieval finds and answers cite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivium_gateway.domain.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of Unicode code points, `[start, end)`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scores:
    """What a passage's score was made of; None where a stage did not see the passage.

    Attributes:
        dense: Cosine similarity of the vectors.
        sparse: BM25.
        fused: Both together: a sum of z-scores, comparable among the candidates of one query.
        rerank: The reranker's score, from 0 to 1.
        dense_weight: How much the vectors counted, from 0, where their model cannot read the query, to 1; None where
            only one leg searched.
        rerank_weight: How much the reranker counted beside the search, from 0 to 1; None where it did not run or
            decides alone.
    """

    dense: float | None = None
    sparse: float | None = None
    fused: float | None = None
    rerank: float | None = None
    dense_weight: float | None = None
    rerank_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, found for a query.

    Attributes:
        id: Identifies the piece; it changes when the document does.
        document_id: The document's id.
        title: The document's title; may be empty.
        uri: Where the document came from; may be empty.
        text: The piece's text.
        score: Relevance, from 0 to 1.
        scores: What the score was made of.
        span: Where the text stands in the document's stored text.
        metadata: The document's metadata.
        duplicates: Other documents that say the same in nearly the same words, best first: this passage stands for
            theirs.
        heading: The headings that it stands under, outermost first.
        page: Its page, from 1; None in a document without pages.
        table_header: The names of the columns, if it begins with a row of a table and not with these; else empty.
        found_by: Positions of the queries that found it, from 0; empty if only one was searched for.
    """

    id: str
    document_id: str
    title: str
    uri: str
    text: str
    score: float
    scores: Scores
    span: Span
    metadata: Metadata
    duplicates: tuple[str, ...] = ()
    heading: tuple[str, ...] = ()
    page: int | None = None
    table_header: str = ""
    found_by: tuple[int, ...] = ()

    @property
    def readable_text(self) -> str:
        """The text, below the names of the columns if it begins with a row of a table."""
        return f"{self.table_header}\n{self.text}" if self.table_header else self.text


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in an answer that cites a passage.

    Attributes:
        index: Number of the passage, from 1: `[index]` in the answer.
        passage: The passage.
        answer_span: Where `[index]` stands in the answer.
    """

    index: int
    passage: Passage
    answer_span: Span
