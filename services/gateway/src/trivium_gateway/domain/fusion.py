"""Puts together what the legs of a search found, so that each counts by how surely it tells passages apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_UNREAD_SHARE = 0.3
_READ_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class LegScores:
    """What one leg says.

    Attributes:
        scores: By candidate, best first.
        unfound: What it would say at most of a candidate that it did not find.
        weight: How much it counts, from 0.
    """

    scores: Mapping[str, float]
    unfound: float
    weight: float = 1.0


def fuse(legs: Sequence[LegScores]) -> dict[str, float]:
    """Score the candidates of one query by all legs together.

    Of each leg the z-scores over all candidates are added up, those included that it did not find. So a leg's evidence
    counts by its rarity: the only passage of fifty with a word stands seven standard deviations apart, and outweighs
    whatever else speaks for another; a word that half of them have stands one apart.

    Args:
        legs: At least one.

    Returns:
        The candidates and their scores, best first; of equal ones first what an earlier leg found.
    """
    candidates = list(dict.fromkeys(candidate for leg in legs for candidate in leg.scores))
    totals = [0.0] * len(candidates)
    for leg in legs:
        z = z_scores([leg.scores.get(candidate, leg.unfound) for candidate in candidates])
        totals = [total + leg.weight * score for total, score in zip(totals, z, strict=True)]
    return dict(sorted(zip(candidates, totals, strict=True), key=lambda scored: -scored[1]))


def reading_weight(read_share: float) -> float:
    """How much a model's judgement of a query counts, given what share of the query's letters it can read.

    Returns:
        From 0 to 1. English models read 0.8 and more of what is in Latin script, and next to nothing of others.
    """
    return min(1.0, max(0.0, (read_share - _UNREAD_SHARE) / (_READ_SHARE - _UNREAD_SHARE)))


def z_scores(values: Sequence[float]) -> list[float]:
    """Each value's distance from the mean, in standard deviations of these values; zeros if all are equal."""
    if not values:
        return []
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]
