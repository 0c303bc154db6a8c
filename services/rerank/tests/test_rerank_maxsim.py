"""The formula of late interaction, on vectors that can be worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from trivium_rerank.maxsim import TextTokens, score_passages

AXES = np.eye(3, dtype=np.float32)


def passage(*token_ids: int) -> TextTokens:
    """A passage whose token k has the k-th axis as its vector."""
    ids = np.array(token_ids, dtype=np.int32)
    return TextTokens(ids, AXES[ids].astype(np.float16), len(token_ids))


def query(*token_ids: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    ids = np.array(token_ids, dtype=np.int32)
    return ids, AXES[ids]


def test_score_passages_every_token_met_scores_one() -> None:
    assert score_passages(*query(0, 1), [passage(1, 2, 0)]) == pytest.approx([1.0])


def test_score_passages_no_token_met_scores_the_middle() -> None:
    assert score_passages(*query(0), [passage(1, 2)]) == pytest.approx([0.5])


def test_score_passages_opposite_vectors_score_zero() -> None:
    ids, vectors = query(0)
    assert score_passages(ids, -vectors, [passage(0)]) == pytest.approx([0.0])


def test_score_passages_rare_token_weighs_more_than_common() -> None:
    # Token 0 is in all three passages, token 1 in the last alone.
    scores = score_passages(*query(0, 1), [passage(0), passage(0, 2), passage(0, 1)])

    common, rare = np.log1p(0.5 / 3.5), np.log1p(2.5 / 1.5)
    met_common_only = (1 + common / (common + rare)) / 2
    assert scores == pytest.approx([met_common_only, met_common_only, 1.0])


def test_score_passages_repeated_token_counts_a_passage_once() -> None:
    once = score_passages(*query(0, 1), [passage(0), passage(0, 1)])
    twice = score_passages(*query(0, 1), [passage(0, 0, 0), passage(0, 1)])

    assert twice == pytest.approx(once)


def test_score_passages_passage_without_tokens_scores_zero() -> None:
    empty = TextTokens(np.zeros(0, np.int32), np.zeros((0, 3), np.float16), 2)

    assert score_passages(*query(0), [empty, passage(0)]) == pytest.approx([0.0, 1.0])


def test_score_passages_query_without_tokens_scores_zero() -> None:
    ids, vectors = query()

    assert score_passages(ids, vectors, [passage(0)]) == pytest.approx([0.0])


def test_score_passages_half_precision_changes_no_score_by_a_thousandth() -> None:
    rng = np.random.default_rng(1)

    def unit(count: int) -> NDArray[np.float32]:
        vectors = rng.normal(size=(count, 384)).astype(np.float32)
        unit_vectors: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit_vectors

    asked, read = unit(12), [unit(150) for _ in range(20)]
    ids = np.arange(12, dtype=np.int32)
    passages = [TextTokens(np.arange(150, dtype=np.int32), one.astype(np.float16), 150) for one in read]

    exact = [(1 + (asked @ one.T).max(axis=1).mean()) / 2 for one in read]
    assert np.abs(score_passages(ids, asked, passages) - exact).max() < 0.001
