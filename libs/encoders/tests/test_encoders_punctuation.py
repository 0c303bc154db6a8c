"""Which tokens take part in late interaction, by the real model's tokenizer."""

import numpy as np
import pytest
from trivium_encoders.description import describe
from trivium_encoders.punctuation import punctuation_ids, telling
from trivium_encoders.resolution import resolve
from trivium_encoders.tokenization import TextTokenizer, read_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return read_tokenizer(describe(resolve("all-MiniLM-L6-v2")), 256)


def ids_of(tokenizer: TextTokenizer, text: str) -> set[int]:
    [tokens] = tokenizer.encode([text], prompt="", truncate=True)
    return set(tokens.ids[~tokens.special].tolist())


def test_punctuation_ids_marks_of_several_scripts_are_found(tokenizer: TextTokenizer) -> None:
    ignored = set(punctuation_ids(tokenizer).tolist())

    assert ids_of(tokenizer, '. , ; : ? ! ( ) " -') <= ignored
    assert ids_of(tokenizer, "。 ， 「 」") <= ignored


def test_punctuation_ids_words_and_unknown_characters_are_left(tokenizer: TextTokenizer) -> None:
    ignored = set(punctuation_ids(tokenizer).tolist())

    for text in ("a word", "2024", "\U00013001", "树"):
        assert not ids_of(tokenizer, text) & ignored, text


def test_telling_text_of_punctuation_alone_keeps_it() -> None:
    ignored = np.array([1, 2], dtype=np.int32)

    assert telling(np.array([1, 7, 2], dtype=np.int32), ignored).tolist() == [False, True, False]
    assert telling(np.array([1, 2], dtype=np.int32), ignored).tolist() == [True, True]
