"""Estimates of tokens for models whose tokenizer is not here."""

import pytest
from trivium_model_apis.token_estimates import cut, least_token_count, token_count, token_starts


def test_token_starts_are_those_of_runs_of_letters_digits_and_single_characters() -> None:
    assert token_starts("An aspen, 树 2024") == [0, 3, 8, 10, 12, 15]
    assert token_starts(" \n") == []


@pytest.mark.parametrize(("text", "count"), [("", 1), ("word", 1), ("wordword", 2), ("一九三七年", 5), ("1937", 2)])
def test_token_count_is_at_least_one(text: str, count: int) -> None:
    assert token_count(text) == count


def test_cut_keeps_what_fits() -> None:
    assert cut("a b c d", 2) == "a b "
    assert cut("a b", 2) == "a b"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Of common words, each of which is one token to every tokenizer with a large vocabulary.
        ("the warranty lasts two years from the day of delivery and covers parts and labour", 15),
        ("保修期自交货之日起两年涵盖零件和人工", 7),  # more than two and a half ideographs a token are made by none
        ("Гарантия действует два года", 4),
        (" \n" * 1000, 0),
    ],
)
def test_least_token_count_is_no_more_than_a_tokenizer_makes_of_a_text(text: str, tokens: int) -> None:
    assert 0.75 * tokens <= least_token_count(text) <= tokens
