"""What retrieval finds and answers cite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_evidence.support import Verdict

    from trivium_gateway.domain.chunks import Chunk, LineBox, Span


@dataclass(frozen=True, slots=True)
class Scores:
    """What a passage's score was made of; None where a stage did not see the passage.

    Attributes:
        dense: Cosine similarity of the vectors.
        sparse: BM25.
        fused: All together: a sum of z-scores, comparable among the candidates of one query.
        rerank: The reranker's score, from 0 to 1.
        dense_weight: How much the vectors counted, from 0, where their model cannot read the query, to 1; None where
            only one leg searched.
        rerank_weight: How much the reranker counted beside the search, from 0 to 1; None where it did not run or
            decides alone.
        maxsim: How near each token of the query comes to some token of the passage, the mean of the cosines; None
            unless the reranker compares tokens.
        coverage: What part of the query's telling words the passage has, from 0 to 1.
        calibration: By which calibration answers are judged: the embedding model's fingerprint, with `/search` behind
            it where tokens were not compared, or `words`, in Chinese `words/chinese`; empty if there is none.
        calibrated: Whether the passage's score is a probability by it: as likely as it says, such a passage answers
            such a query.
        learned: Inner product of the learned sparse vectors.
    """

    dense: float | None = None
    sparse: float | None = None
    fused: float | None = None
    rerank: float | None = None
    dense_weight: float | None = None
    rerank_weight: float | None = None
    maxsim: float | None = None
    coverage: float | None = None
    calibration: str = ""
    calibrated: bool = False
    learned: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk, found for a query.

    Attributes:
        id: Identifies the chunk; it changes when the document does.
        chunk: The chunk, or the section that it stands in.
        score: Relevance, from 0 to 1.
        scores: What the score was made of.
        duplicates: Other documents that say the same in nearly the same words, best first: this passage stands for
            theirs.
        found_by: Positions of the queries that found it, from 0; empty if only one was searched for.
        piece: The chunk that was found, where `chunk` is its section; None where that is the same.
        collection: Name of the collection that it is from.
    """

    id: str
    chunk: Chunk
    score: float
    scores: Scores
    duplicates: tuple[str, ...] = ()
    found_by: tuple[int, ...] = ()
    piece: Chunk | None = None
    collection: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """A place in an answer that cites a passage.

    Attributes:
        index: Number of the passage, from 1: `[index]` in the answer.
        passage: The passage.
        answer_span: Where `[index]` stands in the answer; empty, at the end of the sentence, where the sentence was
            written without a mark.
        sentence: Which part of the answer it stands for.
        support: How surely that part rests on the passage, from 0 to 1.
        verdict: The same in a word.
        quote: What of the document's stored text supports it most: a sentence, a row or an item; None if nothing does.
        heading: The headings that the quote stands under, outermost first; the passage, if there is none.
        page: Its page, from 1; 0 in a document without pages.
        boxes: Where the quote's lines stand on their pages; empty if there is none, or in a document without pages.
    """

    index: int
    passage: Passage
    answer_span: Span
    sentence: Span
    support: float
    verdict: Verdict
    quote: Span | None
    heading: tuple[str, ...]
    page: int
    boxes: Sequence[LineBox] = ()
