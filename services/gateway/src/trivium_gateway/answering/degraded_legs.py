"""What is said of a leg of the search that could not be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.domain.degradation import Degradation, Reason, Stage

if TYPE_CHECKING:
    from trivium_gateway.library.candidates import DegradedLeg

__all__ = ["NO_LEARNED", "leg_degradation"]

_OTHER_LEGS = "other-legs"
_INSTEAD = {
    "dense": (Stage.SEARCH_DENSE, "sparse"),
    "sparse": (Stage.SEARCH_SPARSE, "dense"),
    "learned": (Stage.SEARCH_LEARNED, _OTHER_LEGS),
}

NO_LEARNED = (
    Degradation(Stage.SEARCH_LEARNED, Reason.UNAVAILABLE, _OTHER_LEGS, "SPARSE_MODEL_CHANGED"),
    "the embed service gives none of the learned sparse vectors that the collection has",
)
"""That a query has no learned sparse vector, and what it comes from."""


def leg_degradation(leg: DegradedLeg) -> Degradation:
    """Say that the others stood in for a leg."""
    stage, other = _INSTEAD[leg.leg]
    return Degradation(stage, Reason(leg.reason), other)
