"""How much a quantised model differs from the one it was made of, and how much is too much.

A limit is crossed by a model that would answer other questions than the original: int8 is accepted only within all of
them. They are judged on texts that the calibration has not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIRST = 10
"""How many of a ranking's passages count."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a measured number."""

    least: float | None = None
    """The number must not be below it."""
    most: float | None = None
    """The number must not be above it."""

    def violation(self, name: str, value: float) -> str:
        """What is wrong with a value; empty when nothing is. A value that is not a number violates every limit."""
        if self.least is not None and not value >= self.least:
            return f"{name} is {value:.4f}, less than {self.least:g}"
        if self.most is not None and not value <= self.most:
            return f"{name} is {value:.4f}, more than {self.most:g}"
        return ""


RANKING_LIMITS = {
    # Who reads ten results should see more than nine of the original's on average.
    "top_10_overlap": Limit(least=0.92),
    # The same with the order counted: the original's first ten are worth 10 to 1.
    "ndcg_10": Limit(least=0.97),
}
VECTOR_LIMITS = RANKING_LIMITS | {
    # .995 turns a vector by 6 degrees. All layers of all-MiniLM-L6-v2 in int8 have .994 and lose every twentieth of the
    # first ten passages; without the layers that lose most they have .999.
    "mean_cosine": Limit(least=0.995),
    # No single text may be turned by more than 11 degrees: it would be found by other questions than before.
    "least_cosine": Limit(least=0.98),
}
SCORE_LIMITS = RANKING_LIMITS | {
    # Of a score in [0, 1]; callers set thresholds on scores, in steps of about .05.
    "mean_score_difference": Limit(most=0.02),
    "largest_score_difference": Limit(most=0.2),
}


def vector_numbers(
    expected: Sequence[NDArray[np.float32]], found: Sequence[NDArray[np.float32]], query_count: int
) -> dict[str, float]:
    """Compares the vectors, or the matrices of token vectors (the mean over their tokens), of the same texts.

    Args:
        expected: The original's, `[dimension]` or `[tokens, dimension]` each; queries first.
        found: The quantised model's, the same.
        query_count: How many are queries; the others are the passages that they rank.
    """
    cosines = np.array([_cosines(one, other).mean() for one, other in zip(expected, found, strict=True)])
    rankings = [_similarities(vectors[:query_count], vectors[query_count:]) for vectors in (expected, found)]
    numbers = {"mean_cosine": float(cosines.mean()), "least_cosine": float(cosines.min())}
    return numbers | ranking_numbers(*rankings)


def score_numbers(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """Compares the scores `[queries, passages]` of two cross-encoders."""
    differences = np.abs(expected - found)
    numbers = {
        "mean_score_difference": float(differences.mean()),
        "largest_score_difference": float(differences.max()),
    }
    return numbers | ranking_numbers(expected, found)


def ranking_numbers(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """Compares two rankings by their scores, `[queries, passages]`.

    Returns:
        `top_10_overlap`, the share of the original's first ten among the other's first ten; and `ndcg_10`, the nDCG of
        the other's first ten where the original's first ten have the gains 10 to 1. Means over the queries, in [0, 1].
    """
    depth = min(FIRST, expected.shape[1])
    gains = np.arange(depth, 0, -1.0)
    discounts = 1 / np.log2(np.arange(depth) + 2)
    overlaps, ndcgs = [], []
    for one, other in zip(expected, found, strict=True):
        first, second = np.argsort(-one, kind="stable")[:depth], np.argsort(-other, kind="stable")[:depth]
        worth = dict(zip(first.tolist(), gains, strict=True))
        overlaps.append(len(worth.keys() & set(second.tolist())) / depth)
        ndcgs.append(sum(worth.get(at, 0.0) * share for at, share in zip(second.tolist(), discounts, strict=True)))
    return {"top_10_overlap": float(np.mean(overlaps)), "ndcg_10": float(np.mean(ndcgs) / (gains @ discounts))}


def violations(numbers: dict[str, float], limits: dict[str, Limit]) -> list[str]:
    """What of the numbers crosses its limit, in words."""
    found = [limit.violation(name, numbers[name]) for name, limit in limits.items()]
    return [violation for violation in found if violation]


def _cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    one, other = np.atleast_2d(one), np.atleast_2d(other)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    result: NDArray[np.float32] = (one * other).sum(axis=1) / np.maximum(norms, 1e-12)
    return result


def _similarities(
    queries: Sequence[NDArray[np.float32]], passages: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """`[queries, passages]`: products of vectors, or for matrices the mean over a query's tokens of the best match."""
    rows = [
        [float((np.atleast_2d(query) @ np.atleast_2d(passage).T).max(axis=1).mean()) for passage in passages]
        for query in queries
    ]
    return np.array(rows, dtype=np.float32)
