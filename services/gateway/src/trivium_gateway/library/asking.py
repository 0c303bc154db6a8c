"""Asks Qdrant for the legs of a search, and puts together what they find."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivium_serving.errors import DeadlineExceeded, NotFound, TriviumError, Unavailable

from trivium_gateway.domain.fusion import LegScores, fuse
from trivium_gateway.domain.standings import Ranked
from trivium_gateway.library.candidates import DegradedLeg, Leg, leg_reason
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.legs import Hit, LegQuery, find, find_all

__all__ = ["EVEN", "LegWeights", "Ranking", "ask_legs"]

_TOGETHER_SHARE = 0.6
"""The part of the time after which all legs together are given up, so that each alone still has some."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the legs found, best first, and what of it was one too many."""

    ranked: Sequence[Ranked]
    degraded_legs: Sequence[DegradedLeg]
    cut: Sequence[Ranked] = ()


@dataclass(frozen=True, slots=True)
class LegWeights:
    """How much the legs of a search count.

    Attributes:
        dense: The vectors, from 0.
        sparse: The words, from 0.
        off: Which of these two is not asked at all where the other can be; None to ask both.
        learned: The learned sparse vectors, from 0, not asked at all.
    """

    dense: float = 1.0
    sparse: float = 1.0
    off: Leg | None = None
    learned: float = 1.0

    def of(self, leg: Leg) -> float:
        """How much a leg counts."""
        return {"dense": self.dense, "sparse": self.sparse, "learned": self.learned}[leg]


EVEN = LegWeights()
"""All count alike."""


async def ask_legs(
    connection: QdrantConnection,
    physical: str,
    legs: Mapping[Leg, LegQuery],
    limit: int,
    timeout_seconds: float,
    weights: LegWeights,
) -> Ranking:
    """Ask for all legs in one call, or, if that fails, for each by itself.

    Args:
        connection: To Qdrant.
        physical: Where to search.
        legs: At least one, in the order in which they stand in for all if they are too slow together.
        limit: Most chunks to find.
        timeout_seconds: Time for both attempts.
        weights: How much the legs count.

    Raises:
        TriviumError: Qdrant cannot be reached, or no leg answers.
    """
    started = time.monotonic()
    if len(legs) > 1:
        try:
            hits = await find_all(
                connection, physical, list(legs.values()), limit, timeout_seconds=timeout_seconds * _TOGETHER_SHARE
            )
            return _fused(dict(zip(legs, hits, strict=True)), limit, weights)
        except Unavailable as error:
            if error.reason in ("UPSTREAM_UNAVAILABLE", "COLLECTION_UNAVAILABLE"):
                raise
        except DeadlineExceeded:
            pass
    remaining_seconds = max(0.001, timeout_seconds - (time.monotonic() - started))
    outcomes = await asyncio.gather(
        *(find(connection, physical, query, limit, timeout_seconds=remaining_seconds) for query in legs.values()),
        return_exceptions=True,
    )
    found: dict[Leg, Sequence[Hit]] = {}
    failed: list[DegradedLeg] = []
    for leg, outcome in zip(legs, outcomes, strict=True):
        if not isinstance(outcome, BaseException):
            found[leg] = outcome
        elif isinstance(outcome, NotFound) or not isinstance(outcome, TriviumError):
            raise outcome
        else:
            failed.append(DegradedLeg(leg, leg_reason(outcome), outcome))
    if not found:
        raise next(outcome for outcome in outcomes if isinstance(outcome, TriviumError))
    if not failed and len(legs) > 1:  # each works, only all together were too slow
        slow = "all legs in one call took too long, each alone did not"
        first, *others = legs
        found, failed = {first: found[first]}, [DegradedLeg(leg, "timeout", slow) for leg in others]
    if len(found) > 1:
        ranking = _fused(found, limit, weights)
        return Ranking(ranking.ranked, failed, ranking.cut)
    ((leg, only),) = found.items()
    return Ranking([Ranked(hit.id, **{leg: hit.score}) for hit in only], failed)


def _fused(found: Mapping[Leg, Sequence[Hit]], limit: int, weights: LegWeights) -> Ranking:
    """Fuse what two legs or more found."""
    scores = {leg: {hit.id: hit.score for hit in hits} for leg, hits in found.items()}
    fused = fuse([_leg_scores(leg, of_leg, limit, weights.of(leg)) for leg, of_leg in scores.items()])
    ranked = [
        Ranked(one, fused=score, **{leg: of_leg.get(one) for leg, of_leg in scores.items()})
        for one, score in fused.items()
    ]
    return Ranking(ranked[:limit], [], ranked[limit:])


def _leg_scores(leg: Leg, scores: Mapping[str, float], limit: int, weight: float) -> LegScores:
    least = min(scores.values(), default=0.0)
    if leg == "dense":
        return LegScores(scores, unfound=least, weight=weight)
    # A passage without any of the words scores 0; there are such if the leg found fewer than it might.
    return LegScores(scores, unfound=least if len(scores) == limit else 0.0, weight=weight, from_zero=True)
