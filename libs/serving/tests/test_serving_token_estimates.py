"""Estimates of tokens for models whose tokenizer is not here."""

import pytest
from trivium_serving.token_estimates import cut, token_count, token_starts


def test_token_starts_are_those_of_runs_of_letters_digits_and_single_characters() -> None:
    assert token_starts("An aspen, 树 2024") == [0, 3, 8, 10, 12, 15]
    assert token_starts(" \n") == []


@pytest.mark.parametrize(("text", "count"), [("", 1), ("word", 1), ("wordword", 2), ("一九三七年", 5), ("1937", 2)])
def test_token_count_is_at_least_one(text: str, count: int) -> None:
    assert token_count(text) == count


def test_cut_keeps_what_fits() -> None:
    assert cut("a b c d", 2) == "a b "
    assert cut("a b", 2) == "a b"
