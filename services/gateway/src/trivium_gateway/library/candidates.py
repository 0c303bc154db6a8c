"""What a search gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from trivium_serving.errors import DeadlineExceeded, Overloaded, TriviumError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.chunks import Chunk
    from trivium_gateway.domain.standings import Ranked

__all__ = ["Candidate", "DegradedLeg", "Leg", "LegReason", "SearchResult", "leg_reason", "search_score"]

Leg = Literal["dense", "sparse", "learned"]
LegReason = Literal["unavailable", "timeout", "overloaded"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A chunk that the search found.

    Attributes:
        id: Identifies the chunk; it changes when the document does.
        chunk: The chunk.
        dense: Cosine similarity of the vectors; None if that leg did not find the chunk or did not run.
        sparse: BM25 score; None if that leg did not find the chunk or did not run.
        fused: All together (`domain.fusion`), comparable within one search; None if only one leg ran.
        token_codes: The packed vectors of its tokens, empty if it was stored without; None if nobody asked for them.
        learned: Inner product of the learned sparse vectors; None if that leg did not find the chunk or did not run.
    """

    id: str
    chunk: Chunk
    dense: float | None
    sparse: float | None
    fused: float | None
    token_codes: bytes | None = None
    learned: float | None = None

    @property
    def search_score(self) -> float:
        """The score that the search ordered by: fused, or that of the only leg that ran."""
        return search_score(self.fused, self.dense, self.sparse, self.learned)


@dataclass(frozen=True, slots=True)
class DegradedLeg:
    """A leg of the search that failed, so that the others stood in.

    Attributes:
        leg: Which.
        reason: As in `degraded`: `unavailable`, `timeout` or `overloaded`.
        cause: What it comes from, for the log.
    """

    leg: Leg
    reason: LegReason
    cause: TriviumError | str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search found.

    Attributes:
        candidates: Best first by `search_score`.
        degraded_legs: Legs that were asked for and failed; never all, which is an error.
        unread_scores: The search scores of what was found behind the candidates, and not read.
        best_dense: The greatest cosine similarity of all that was found; None if the vectors were not searched.
        ranked: All that the legs found, best first, what was one too many behind the rest.
    """

    candidates: Sequence[Candidate]
    degraded_legs: Sequence[DegradedLeg]
    unread_scores: Sequence[float] = ()
    best_dense: float | None = None
    ranked: Sequence[Ranked] = ()


def leg_reason(error: TriviumError) -> LegReason:
    """Give the reason for which a leg failed."""
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    return "overloaded" if isinstance(error, Overloaded) else "unavailable"


def search_score(fused: float | None, dense: float | None, sparse: float | None, learned: float | None = None) -> float:
    """Give the score that a search orders by: fused, or that of the only leg that ran."""
    return next((score for score in (fused, dense, sparse, learned) if score is not None), 0.0)
