"""Puts search and rerank scores together: the order of the passages, and scores from 0 to 1."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING

from trivium_gateway.domain.fusion import z_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

# 60 for ranks from 1, as in the paper.
_RANK_CONSTANT = 61


class ScoreKind(Enum):
    """What a reranker's scores mean."""

    RELEVANCE = "relevance"
    """The model's own estimate, comparable between queries: it decides alone."""
    SIMILARITY = "similarity"
    """Comparable among the candidates of one query only: a voice beside the search."""
    ENTAILMENT = "entailment"
    """How likely it is that the query, a statement, follows from the text: no more than a voice beside a search."""


def final_scores(
    fused: Sequence[float],
    reranked: Sequence[float | None] | None = None,
    kind: ScoreKind = ScoreKind.SIMILARITY,
    weight: float = 1.0,
) -> list[float]:
    """Scores from 0 to 1 by which to order the candidates of one query.

    A relevance stands for itself. Otherwise it is the logistic function of the candidate's z-score of the search, plus
    that of the similarity where there is one: summed z-scores order better than either alone, and better than ranks.

    Args:
        fused: The search's score of each candidate, on any scale.
        reranked: The reranker's score of each, from 0 to 1, None for one that it left out as hardly among the best;
            None if it did not run.
        kind: What `reranked` means.
        weight: How much a similarity counts beside the search.
    """
    if reranked is None:
        return [_logistic(z) for z in z_scores(fused)]
    judged = [0.0 if score is None else min(1.0, max(0.0, score)) for score in reranked]
    if kind is ScoreKind.RELEVANCE:
        return judged
    return [_logistic(a + weight * b) for a, b in zip(z_scores(fused), z_scores(judged), strict=True)]


def reciprocal_ranks(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Puts rankings together whose scores do not compare: by reciprocal rank (Cormack et al., SIGIR 2009).

    Args:
        rankings: Ids, best first; at least one ranking.

    Returns:
        The ids, best first, each with its share of being first in all rankings.
    """
    shares: dict[str, float] = {}
    for ranking in rankings:
        for rank, one in enumerate(ranking):
            shares[one] = shares.get(one, 0.0) + _RANK_CONSTANT / (_RANK_CONSTANT + rank) / len(rankings)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def descending_order(scores: Sequence[float]) -> list[int]:
    """Positions of the scores, highest first; equal ones keep their order."""
    return sorted(range(len(scores)), key=lambda position: -scores[position])


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))
