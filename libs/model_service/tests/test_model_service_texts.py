"""What is blank, and how much work texts are taken for; the services' tests cross the limits."""

import pytest
from trivium_model_service.texts import estimate_tokenizing, estimate_tokens, is_blank


@pytest.mark.parametrize("text", ["", " \n", "\u3000", "\x00\x07", "\u200b\ufeff"])
def test_is_blank_without_a_visible_character_is_true(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "?", "语", "😀", "a\x00"])
def test_is_blank_with_a_visible_character_is_false(text: str) -> None:
    assert not is_blank(text)


def test_estimate_tokens_long_text_counts_what_the_model_reads_and_a_little_for_the_rest() -> None:
    assert estimate_tokens(["word " * 1000, "word"], max_tokens=256) == 256 + (1668 - 256) * 3 // 256 + 3
    assert estimate_tokens(["word " * 1000], max_tokens=0) == 5000 // 3 + 2


def test_estimate_tokens_counts_the_query_with_each_text_up_to_what_the_model_reads() -> None:
    passages = ["a" * 6, "a" * 3000]
    assert estimate_tokens(passages, 256, "q" * 9) == (5 + 3) + 256 + (1006 - 256) * 3 // 256


def test_estimate_tokens_call_of_32_megabytes_that_is_cut_costs_its_bytes() -> None:
    texts = ["word " * 200_000] * 32
    assert estimate_tokens(texts, max_tokens=256) > 32_000_000 // 256
    assert estimate_tokenizing(texts) == 32_000_000 // 256
