"""How the legs of a search are put together."""

from __future__ import annotations

from itertools import islice

from trivium_gateway.domain.fusion import LegScores, fuse

_NEAR = {f"near{rank}": 0.6 - rank / 200 for rank in range(50)}
"""Fifty passages that are about what is asked, and some more so than others."""


def _dense(weight: float = 1.0) -> LegScores:
    return LegScores(_NEAR, unfound=min(_NEAR.values()), weight=weight)


def test_only_passage_with_the_word_comes_before_all_that_are_near() -> None:
    assert next(iter(fuse([_dense(), LegScores({"exact": 5.4}, unfound=0.0)]))) == "exact"


def _few(count: int, near: float) -> LegScores:
    """Passages that are about the same, and one that is nearer than the others."""
    scores = {f"near{rank}": 0.4 - rank / 100 for rank in range(count)} | {"near0": near, "exact": 0.33}
    return LegScores(scores, unfound=min(scores.values()))


def test_only_passage_with_the_word_comes_first_of_a_few_that_are_near() -> None:
    words = {f"near{rank}": 0.05 for rank in range(7)} | {"exact": 4.27}  # all have its first part
    assert next(iter(fuse([_few(7, near=0.57), LegScores(words, unfound=0.0, from_zero=True)]))) == "exact"


def test_word_that_half_of_a_few_passages_have_does_not_outweigh_what_one_is_about() -> None:
    words = {f"near{rank}": 1.0 for rank in range(1, 5)}
    assert next(iter(fuse([_few(7, near=0.8), LegScores(words, unfound=0.0, from_zero=True)]))) == "near0"


def test_two_passages_with_the_word_come_before_all_that_are_near() -> None:
    fused = fuse([_dense(), LegScores({"exact": 5.4, "other": 5.2}, unfound=0.0)])
    assert list(islice(fused, 2)) == ["exact", "other"]


def test_word_that_half_of_the_passages_have_does_not_outweigh_what_they_are_about() -> None:
    common = {f"near{rank}": 0.4 for rank in range(0, 50, 2)}
    fused = list(fuse([_dense(), LegScores(common, unfound=0.0)]))
    assert fused.index("near1") < fused.index("near48")


def test_passage_that_a_leg_might_have_found_counts_as_its_last() -> None:
    full = LegScores({f"word{rank}": 3.0 for rank in range(50)}, unfound=3.0)
    fused = fuse([_dense(), full])
    assert next(iter(fused)) == "near0"


def test_leg_of_weight_zero_only_orders_what_is_equal() -> None:
    sparse = LegScores({"near30": 2.0, "near7": 1.0}, unfound=0.0)
    assert list(islice(fuse([_dense(weight=0.0), sparse]), 4)) == ["near30", "near7", "near0", "near1"]


def test_legs_that_found_nothing_give_nothing() -> None:
    assert fuse([LegScores({}, 0.0), LegScores({}, 0.0)]) == {}


def test_single_candidate_scores_zero() -> None:
    assert fuse([LegScores({"a": 0.4}, 0.4), LegScores({"a": 2.0}, 0.0)]) == {"a": 0.0}
