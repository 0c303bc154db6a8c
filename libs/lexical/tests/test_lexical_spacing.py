"""Spaces between words of Chinese."""

import pytest
from trivium_lexical import spaced


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("中文分词对检索有什么影响？", ["中文", "分词", "检索", "影响", "？"]),
        ("BM25是什么", ["BM25"]),
        ("生命数耗完即算为什么", ["生命", "数耗完即算"]),  # what no dictionary has stays together
        ("電腦網絡的傳輸速度受到什麼影響", ["电脑网络", "传输速度", "受到", "影响"]),
        ("這種行為是誰發現的", ["这种", "行为", "发现"]),
        ("東京はどこですか", ["東京はどこですか"]),
        ("How many services?", ["How", "many", "services?"]),
        ("", []),
    ],
)
def test_spaced_text_has_spaces_between_the_words_that_say_something(text: str, words: list[str]) -> None:
    assert spaced(text).split() == words
