"""Chunks tile the text, fit the model, and end where the text does."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trivium_gateway.ingestion.chunking import ChunkingSettings, ChunkSpan, chunk_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SETTINGS = ChunkingSettings(chunk_tokens=40, overlap_tokens=8, chunk_characters=2000)

# Like BERT's: ideographs and punctuation alone, words in pieces of four, and words of over 100 characters as one.
_TOKEN = re.compile(r"[\u4e00-\u9fff]|\w{101,}|\w{1,4}|[^\w\s]")


def _starts(text: str) -> NDArray[np.uint32]:
    return np.array([match.start() for match in _TOKEN.finditer(text)], dtype=np.uint32)


def _pieces(text: str, spans: list[ChunkSpan]) -> list[str]:
    return [text[span.start : span.end] for span in spans]


_PLAIN = (
    "alpha",
    "gamma delta",
    "。",
    "人工智能是",
    "一门学科。",
    "🎉",
    "e.g. ",
    "3. ",
    ". ",
    "! ",
    "    ",
    "https://a.b/c?d=e&f=g",
)
_ODD = ("\n\n", "\n", "# Heading\n", "```\n", "x" * 70, "y" * 150, "-" * 50, "\u200b", "a\u0301", "\t")
_WORDS = st.sampled_from((*_PLAIN, *_ODD))
_TEXTS = st.one_of(st.text(min_size=1, max_size=400), st.lists(_WORDS, min_size=1, max_size=120).map(" ".join))


@given(_TEXTS)
@settings(max_examples=300)
def test_chunks_of_any_text_cover_it_in_order(text: str) -> None:
    spans = chunk_spans(text, _starts(text), _SETTINGS)
    assert spans[0].start == 0
    assert spans[-1].end == len(text)
    for one, other in pairwise(spans):
        assert one.start < other.start <= one.end < other.end


@given(_TEXTS)
@settings(max_examples=300)
def test_chunks_of_any_text_have_no_more_tokens_than_allowed(text: str) -> None:
    for piece in _pieces(text, chunk_spans(text, _starts(text), _SETTINGS)):
        # A word that comes apart at the chunk's edge may come to a token more than the part it was.
        assert len(_starts(piece)) <= _SETTINGS.chunk_tokens + 2


@given(_TEXTS)
@settings(max_examples=100)
def test_overlap_is_at_most_what_was_asked_for(text: str) -> None:
    starts = _starts(text)
    spans = chunk_spans(text, starts, _SETTINGS)
    for one, other in pairwise(spans):
        repeated = np.searchsorted(starts, one.end) - np.searchsorted(starts, other.start)
        assert repeated <= _SETTINGS.overlap_tokens


def test_a_short_text_is_one_chunk() -> None:
    text = "One sentence. Another one."
    assert chunk_spans(text, _starts(text), _SETTINGS) == [ChunkSpan(0, len(text))]


def test_a_text_without_tokens_is_one_chunk() -> None:
    assert chunk_spans("\u0301", np.zeros(0, dtype=np.uint32), _SETTINGS) == [ChunkSpan(0, 1)]


def test_chunks_end_at_paragraphs_before_they_are_full() -> None:
    paragraph = "word " * 27 + "end.\n\n"
    pieces = _pieces(paragraph * 4, chunk_spans(paragraph * 4, _starts(paragraph * 4), _SETTINGS))
    assert all(piece.endswith("end.\n\n") for piece in pieces)


def test_chunks_end_at_sentences_and_begin_with_one_again() -> None:
    text = "Cats sleep all day. Dogs run in the park. " * 20
    pieces = _pieces(text, chunk_spans(text, _starts(text), _SETTINGS))
    assert len(pieces) > 5
    assert all(piece.rstrip().endswith(".") and piece.startswith(("Cats", "Dogs")) for piece in pieces)


def test_chunks_of_chinese_end_at_its_full_stops() -> None:
    text = "机器学习是人工智能的一个分支。它研究如何从数据中学习\uff01你知道吗?" * 10
    pieces = _pieces(text, chunk_spans(text, _starts(text), _SETTINGS))
    assert len(pieces) > 5
    assert {piece[-1] for piece in pieces} <= set("。\uff01?")


def test_abbreviations_and_initials_end_no_sentence() -> None:
    text = "The theory by J. R. Smith, e.g. the one of Fig. 3, was new then " * 12
    pieces = _pieces(text, chunk_spans(text, _starts(text), _SETTINGS))
    assert not any(re.search(r"(\b[JR]|e\.g|Fig)\.\s*$", piece) for piece in pieces)


def test_a_heading_stays_with_its_section() -> None:
    section = "# Title of the section\n\n" + "Some words about it here. " * 4 + "\n\n"
    text = section * 6
    pieces = _pieces(text, chunk_spans(text, _starts(text), _SETTINGS))
    assert all(piece.startswith("# Title") for piece in pieces)
    assert not any(piece.rstrip().endswith("section") for piece in pieces)


def test_a_code_block_that_fits_is_not_cut() -> None:
    code = "```python\ndef f(x):\n    # Not a heading\n\n    return x + 1. \n```\n"
    text = ("Some introduction to the code that comes now, of middling length and more. \n\n" + code + "\n") * 5
    pieces = _pieces(text, chunk_spans(text, _starts(text), ChunkingSettings(60, 10)))
    assert sum(code in piece for piece in pieces) == 5
    assert all(piece.count("```") % 2 == 0 for piece in pieces)


def test_a_long_code_block_is_cut_between_its_lines() -> None:
    text = "```\n" + "".join(f"value_{number} = compute(number, 17, 'x')\n" for number in range(60)) + "```\n"
    spans = chunk_spans(text, _starts(text), _SETTINGS)
    assert len(spans) > 5
    assert all(span.end == len(text) or text[span.end - 1] == "\n" for span in spans)


def test_a_word_of_100000_characters_is_cut_into_chunks_that_fit() -> None:
    text = "x" * 100_000
    spans = chunk_spans(text, _starts(text), _SETTINGS)
    assert spans[-1].end == len(text)
    assert max(span.end - span.start for span in spans) <= _SETTINGS.chunk_tokens


def test_a_chunk_has_no_more_characters_than_allowed() -> None:
    text = ("word" + " " * 300) * 50
    spans = chunk_spans(text, _starts(text), _SETTINGS)
    assert max(span.end - span.start for span in spans) <= _SETTINGS.chunk_characters


def test_the_last_chunk_is_no_crumb() -> None:
    text = "word " * 43
    spans = chunk_spans(text, _starts(text), _SETTINGS)
    assert len(spans) == 2
    assert len(_starts(text[spans[1].start :])) >= 10


@pytest.mark.parametrize("unit", [".", "#", "```\n", "\n", "a" * 40 + " ", "\u200b", "( ", "-", "!" * 30 + "x"])
def test_hostile_texts_are_cut_in_linear_time(unit: str) -> None:
    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        started = time.process_time()
        chunk_spans(text, _starts(text), ChunkingSettings())
        return time.process_time() - started

    seconds(1000)
    # Ten times the text takes ten times as long; were it a hundred times, this would take minutes.
    assert seconds(500_000) < 5
