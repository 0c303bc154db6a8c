"""Answers that no service writes."""

from __future__ import annotations

import pytest
from trivium_gateway.answering.fallback import passages_as_answer, refusal
from trivium_gateway.answering.plan import NOTHING_SEARCHED
from trivium_gateway.answering.question import Question
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.request.principal import EVERYBODY


def _passage(text: str, title: str = "") -> Passage:
    return Passage("p", Chunk("d", 0, title, "", text, 0, len(text), "", 1, {}), 0.5, Scores())


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
    assert refusal(Question(question, EVERYBODY), NOTHING_SEARCHED, ()).startswith(beginning)


@pytest.mark.parametrize(
    ("question", "beginning"),
    [("What is the capital of Peru?", "The documents do not"), ("秘鲁的首都是哪里？", "文档没有")],
)
def test_refusal_says_what_was_searched_and_what_came_nearest(question: str, beginning: str) -> None:
    text = refusal(Question(question, EVERYBODY), NOTHING_SEARCHED, [_passage("Herons.", "Birds"), _passage("x", "")])

    assert text.startswith(beginning)
    for told in (question, "default", "Birds"):
        assert told in text
    assert "[1]" not in text


def test_passages_as_answer_end_in_their_citations() -> None:
    pieces = list(passages_as_answer([_passage("First."), _passage(" Second.\n")]))

    assert pieces == [("First. [1]", 1), ("\n\nSecond. [2]", 2)]


def test_passages_as_answer_shows_the_best_three() -> None:
    assert [index for _, index in passages_as_answer([_passage("x")] * 9)] == [1, 2, 3]


def test_passages_as_answer_leaves_no_mark_that_is_no_citation() -> None:
    ((text, _),) = passages_as_answer([_passage("Known since 1901.[7] See [a].")])

    assert text == "Known since 1901.(7) See [a]. [1]"
