"""The formula of late interaction, on vectors that can be worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from trivium_encoders import CodeForm, TokenCodes, TokenMatrix, decode_codes
from trivium_encoders.token_codes import encode
from trivium_rerank.maxsim import score_passages

AXES = np.eye(3, dtype=np.float32)


def coded(ids: NDArray[np.int32], vectors: NDArray[np.float32], form: CodeForm = CodeForm.BYTES) -> TokenCodes:
    return decode_codes(encode(ids, vectors, form=form, token_fingerprint="ab" * 32))


def passage(*token_ids: int) -> TokenCodes:
    """A passage whose token k has the k-th axis as its vector."""
    ids = np.array(token_ids, dtype=np.int32)
    return coded(ids, AXES[ids])


def query(*token_ids: int) -> TokenMatrix:
    ids = np.array(token_ids, dtype=np.int32)
    return TokenMatrix(ids, AXES[ids])


def test_score_passages_every_token_met_scores_one() -> None:
    assert score_passages(query(0, 1), [passage(1, 2, 0)]) == pytest.approx([1.0])


def test_score_passages_no_token_met_scores_the_middle() -> None:
    assert score_passages(query(0), [passage(1, 2)]) == pytest.approx([0.5])


def test_score_passages_opposite_vectors_score_zero() -> None:
    asked = query(0)
    assert score_passages(TokenMatrix(asked.token_ids, -asked.vectors), [passage(0)]) == pytest.approx([0.0])


def test_score_passages_rare_token_weighs_more_than_common() -> None:
    # Token 0 is in all three passages, token 1 in the last alone.
    scores = score_passages(query(0, 1), [passage(0), passage(0, 2), passage(0, 1)])

    common, rare = np.log1p(0.5 / 3.5), np.log1p(2.5 / 1.5)
    met_common_only = (1 + common / (common + rare)) / 2
    assert scores == pytest.approx([met_common_only, met_common_only, 1.0])


def test_score_passages_tokens_of_one_passage_alone_weigh_alike() -> None:
    assert score_passages(query(0, 1), [passage(0)]) == pytest.approx([0.75])


def test_score_passages_trained_for_the_plain_sum_weighs_tokens_alike() -> None:
    scores = score_passages(query(0, 1), [passage(0), passage(0, 2), passage(0, 1)], by_rarity=False)

    assert scores == pytest.approx([0.75, 0.75, 1.0])


def test_score_passages_repeated_token_counts_a_passage_once() -> None:
    once = score_passages(query(0, 1), [passage(0), passage(0, 1)])
    twice = score_passages(query(0, 1), [passage(0, 0, 0), passage(0, 1)])

    assert twice == pytest.approx(once)


def test_score_passages_passage_without_tokens_scores_zero() -> None:
    assert score_passages(query(0), [passage(), passage(0)]) == pytest.approx([0.0, 1.0])


def test_score_passages_query_without_tokens_scores_zero() -> None:
    assert score_passages(query(), [passage(0)]) == pytest.approx([0.0])


@pytest.mark.parametrize(
    ("form", "tolerance"), [(CodeForm.SIGNS, 0.03), (CodeForm.NIBBLES, 0.01), (CodeForm.BYTES, 0.001)]
)
def test_score_passages_each_form_is_near_full_precision(form: CodeForm, tolerance: float) -> None:
    rng = np.random.default_rng(1)

    def unit(count: int, near: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        vectors = rng.normal(size=(count, 384)).astype(np.float32)
        if near is not None:  # some tokens that mean what the query's do
            vectors[: len(near)] += 20 * near
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    asked = unit(12)
    read = [unit(150, near=asked if number % 2 else None) for number in range(20)]
    ids = np.arange(150, dtype=np.int32)

    exact = [(1 + (asked @ one.T).max(axis=1).mean()) / 2 for one in read]
    scores = score_passages(TokenMatrix(ids[:12], asked), [coded(ids, one, form) for one in read])
    assert np.abs(scores - exact).max() < tolerance
