"""What becomes of documents on a question's way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What became of a document, in the order of the stages."""

    NOT_SEARCHED = "not_searched"
    """Nothing was searched for."""
    NOT_IN_COLLECTION = "not_in_collection"
    """It is not there."""
    NOT_PERMITTED = "not_permitted"
    """Who asked may not read it, and who wants to know may."""
    FILTERED = "filtered"
    """The filter leaves it out."""
    EXCLUDED = "excluded"
    """It lacks a "phrase" of the query, or has one of its -words."""
    NOT_FOUND = "not_found"
    """No leg of the search had it among its candidates."""
    CUT_BY_FUSION = "cut_by_fusion"
    """A leg had it, and others were better by both legs together."""
    NOT_READ = "not_read"
    """It was found, and left out before it was ordered: enough stood before it, or its version did not count."""
    OUTRANKED = "outranked"
    """It was among the candidates, and others were better in the end."""
    NEAR_DUPLICATE = "near_duplicate"
    """Another document's passage, which says the same, is shown for it."""
    REFUSED = "refused"
    """It was among the passages, and the question was refused."""
    DROPPED = "dropped"
    """It was among the passages, and did not fit into the model's context."""
    NOT_CITED = "not_cited"
    """It was among the passages, and the answer does not cite it."""
    CITED = "cited"
    """The answer cites it."""
    SHOWN = "shown"
    """It is among the passages for a query."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a document, by its best chunk.

    Attributes:
        document_id: The document.
        fate: What became of it.
        message: The same in a sentence.
        place: Number, from 1, of the passage that shows it, or what says the same; None if none does.
        rank: Its place, from 1, among the ordered candidates; None if it was none of them.
        fused_rank: Its place in the search's order; None if the search did not have it.
        dense_rank: Its place by meaning; None if that leg did not have it, however far it was followed.
        sparse_rank: Its place by words, likewise.
        dense: Cosine similarity.
        sparse: BM25.
        learned_rank: Its place by learned sparse vectors, likewise.
        learned: Inner product of those.
        rerank: The reranker's score.
        score: What it was ordered by.
    """

    document_id: str
    fate: Fate
    message: str
    place: int | None = None
    rank: int | None = None
    fused_rank: int | None = None
    dense_rank: int | None = None
    sparse_rank: int | None = None
    dense: float | None = None
    sparse: float | None = None
    rerank: float | None = None
    score: float | None = None
    learned_rank: int | None = None
    learned: float | None = None
