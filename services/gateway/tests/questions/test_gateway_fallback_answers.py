"""Answers that no service writes."""

from __future__ import annotations

import pytest
from trivium_gateway.answering.fallback import passages_as_answer, refusal
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores


def _passage(text: str) -> Passage:
    return Passage("p", Chunk("d", 0, "", "", text, 0, len(text), "", 1, {}), 0.5, Scores())


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("How tall is a heron?", "I found nothing"),
        ("苍鹭有多高?", "在文档中没有找到"),
        ("Wie groß ist ein Reiher?", "I found nothing"),
        ("サギの身長は何センチ?", "I found nothing"),  # Han characters, but Japanese
        ("", "I found nothing"),
    ],
)
def test_refusal_is_in_the_language_of_the_question(question: str, beginning: str) -> None:
    assert refusal(question).startswith(beginning)


def test_passages_as_answer_end_in_their_citations() -> None:
    pieces = list(passages_as_answer([_passage("First."), _passage(" Second.\n")]))

    assert pieces == [("First. [1]", 1), ("\n\nSecond. [2]", 2)]


def test_passages_as_answer_shows_the_best_three() -> None:
    assert [index for _, index in passages_as_answer([_passage("x")] * 9)] == [1, 2, 3]


def test_passages_as_answer_leaves_no_mark_that_is_no_citation() -> None:
    ((text, _),) = passages_as_answer([_passage("Known since 1901.[7] See [a].")])

    assert text == "Known since 1901.(7) See [a]. [1]"
