"""Where chunks stand on a question's way: what the legs of the search say of them, and in which order they end.

Each question makes some hundreds of these: tuples take a third of the time of frozen dataclasses.
"""

from __future__ import annotations

from typing import NamedTuple


class Ranked(NamedTuple):
    """What the legs of a search say of a chunk.

    Attributes:
        id: Identifies the chunk.
        dense: Cosine similarity of the vectors; None if that leg did not find the chunk or did not run.
        sparse: BM25 score; None if that leg did not find the chunk or did not run.
        fused: All together; None if only one leg ran.
        learned: Inner product of the learned sparse vectors; None if that leg did not find the chunk or did not run.
    """

    id: str
    dense: float | None = None
    sparse: float | None = None
    fused: float | None = None
    learned: float | None = None


class Ordered(NamedTuple):
    """Where a candidate ends.

    Attributes:
        id: Identifies the chunk.
        document_id: Whose it is.
        rerank: The reranker's score; None if it did not judge the chunk.
        score: What it was ordered by.
        place: Position, from 0, of the passage that shows it; None if none does.
        stands_for_itself: Whether that is its own passage, and not one that says the same.
    """

    id: str
    document_id: str
    rerank: float | None
    score: float
    place: int | None
    stands_for_itself: bool
