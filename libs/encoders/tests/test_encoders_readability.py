"""Whether a model can read a text, told by its own tokens."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from trivium_encoders.description import describe
from trivium_encoders.readability import Readability
from trivium_encoders.resolution import resolve
from trivium_encoders.tokenization import read_tokenizer


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("How long does the warranty of the pump last?", 0.9, 1.0),
        ("Wie lange gilt die Gewährleistung für Ersatzteile?", 0.8, 1.0),
        ("PPR9087 v2.3.1", 0.6, 1.0),
        ("2024-03-17", 1.0, 1.0),
        ("!?", 1.0, 1.0),
        ("C++", 1.0, 1.0),
        ("龙井茶产于哪里？", 0.0, 0.1),
        ("東京タワーはいつ建てられましたか", 0.0, 0.1),
        ("Когда была построена башня?", 0.0, 0.3),
        ("ما هي عاصمة مصر", 0.0, 0.3),
    ],
)
def test_share_that_an_english_model_reads_is_low_for_other_scripts(text: str, least: float, most: float) -> None:
    [share] = read_tokenizer(describe(resolve("all-MiniLM-L6-v2")), 256).read_shares([text])
    assert least <= share <= most


def _single_characters(characters: str) -> Tokenizer:
    """A tokenizer that cuts into single characters, as those of Chinese models do."""
    vocabulary = {piece: number for number, piece in enumerate(["[UNK]", *dict.fromkeys(characters)])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def test_chinese_is_read_by_a_model_that_knows_its_characters() -> None:
    common = "的一是在不了有和人中大上国我以要他用生到作地出分成可主年同工能下子方多定行学法所民得三力水高小"
    reading = Readability(_single_characters(common + "龙井茶产于"))
    assert reading.share("龙井茶") == 1.0
    assert reading.share("龙井茶鳜鱼") == pytest.approx(0.6)
    # One that knows a few of them does not read the text that happens to consist of these.
    assert Readability(_single_characters("龙井茶")).share("龙井茶") == 0.0


def test_letters_one_by_one_are_read_only_where_they_are_words() -> None:
    letters = dict.fromkeys(f"{mark}{letter}" for mark in ("", "##") for letter in "abc")
    vocabulary = {piece: number for number, piece in enumerate(["[UNK]", *letters, "abba"])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    reading = Readability(tokenizer)
    assert reading.share("abba a") == 1.0
    assert reading.share("abcba") == 0.0


def test_bytes_of_a_character_are_not_read() -> None:
    alphabet = {piece: number for number, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert Readability(tokenizer).share("茶") == 0.0
