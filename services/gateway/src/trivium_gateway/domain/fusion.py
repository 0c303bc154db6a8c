"""Puts together what the legs of a search found, so that each counts by how surely it tells passages apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_CROWD = 50
"""Among so many the only one with a word outweighs whatever else speaks for another."""
_UNREAD_SHARE = 0.3
_READ_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class LegScores:
    """What one leg says.

    Attributes:
        scores: By candidate, best first.
        unfound: What it would say at most of a candidate that it did not find.
        weight: How much it counts, from 0.
        from_zero: Whether its scores are shares of something, 0 for none of it.
    """

    scores: Mapping[str, float]
    unfound: float
    weight: float = 1.0
    from_zero: bool = False


def fuse(legs: Sequence[LegScores]) -> dict[str, float]:
    """Score the candidates of one query by all legs together.

    Of each leg the z-scores over all candidates are added up, those included that it did not find. So a leg's evidence
    counts by its rarity: the only passage of fifty with a word stands seven standard deviations apart, and outweighs
    whatever else speaks for another; a word that half of them have stands one apart. Where there are few candidates,
    the only one with a word stands as far apart all the same.

    Args:
        legs: At least one.

    Returns:
        The candidates and their scores, best first; of equal ones first what an earlier leg found.
    """
    candidates = list(dict.fromkeys(candidate for leg in legs for candidate in leg.scores))
    totals = [0.0] * len(candidates)
    for leg in legs:
        scores = [leg.scores.get(candidate, leg.unfound) for candidate in candidates]
        z = z_scores([*scores, *[0.0] * _absent_count(scores)] if leg.from_zero else scores)
        totals = [total + leg.weight * score for total, score in zip(totals, z, strict=False)]
    return dict(sorted(zip(candidates, totals, strict=True), key=lambda scored: -scored[1]))


def _absent_count(scores: Sequence[float]) -> int:
    """How many passages without any of it to imagine beside a few candidates, of which hardly more than one has it."""
    squares = math.fsum(score * score for score in scores)
    if not squares:
        return 0
    alike = math.fsum(scores) ** 2 / squares  # 1 if one has all of it, n if n have the same
    return round(max(0, _CROWD - len(scores)) * max(0.0, 2.0 - alike))


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
