"""How search and rerank scores become an order."""

from __future__ import annotations

import math

import pytest
from trivium_gateway.domain.fusion import z_scores
from trivium_gateway.models.ranking import ScoreKind, descending_order, final_scores


def test_z_scores_have_mean_zero_and_deviation_one() -> None:
    scores = z_scores([1.0, 2.0, 4.0, 9.0])

    assert sum(scores) == pytest.approx(0)
    assert sum(score**2 for score in scores) / 4 == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [3.0], [0.1, 0.1, 0.1], [1e9, 1e9]])
def test_z_scores_of_equal_values_are_zero(values: list[float]) -> None:
    assert z_scores(values) == [0.0] * len(values)


def test_final_scores_of_relevance_are_the_rerankers_own() -> None:
    assert final_scores([9.0, 1.0], [0.2, 0.7], ScoreKind.RELEVANCE) == [0.2, 0.7]


def test_final_scores_of_relevance_out_of_range_are_clipped() -> None:
    assert final_scores([1.0, 1.0], [-0.1, 1.2], ScoreKind.RELEVANCE) == [0.0, 1.0]


def test_final_scores_of_similarity_add_both_voices() -> None:
    searched, reranked = [3.0, 2.0, 1.0], [0.1, 0.2, 0.9]
    expected = [1 / (1 + math.exp(-(a + b))) for a, b in zip(z_scores(searched), z_scores(reranked), strict=True)]

    assert final_scores(searched, reranked, ScoreKind.SIMILARITY) == pytest.approx(expected)


def test_final_scores_without_reranker_keep_the_searchs_order() -> None:
    scores = final_scores([0.3, 9.0, 4.0])

    assert descending_order(scores) == [1, 2, 0]
    assert all(0 < score < 1 for score in scores)


def test_final_scores_of_one_candidate_are_in_the_middle() -> None:
    assert final_scores([7.0], [0.9], ScoreKind.SIMILARITY) == [0.5]


def test_descending_order_of_equal_scores_keeps_their_order() -> None:
    assert descending_order([0.5, 0.9, 0.5, 0.9]) == [1, 3, 0, 2]
