"""What of a long question asks."""

from __future__ import annotations

import pytest
from trivium_evidence.asking import asking_sentences, what_is_asked

_MAIL = """Dear team,

we bought three machines from you last year, which have been running ever since. My colleague, who usually writes to
you, is away until the autumn, so please send your answers to me.

{asked}

Many thanks in advance,
Johannes Leitner
"""
_LOG = "2026-11-01 INFO worker-3 conveyor cycle finished in 3 ms, queue empty\n" * 20


@pytest.mark.parametrize(
    "asked",
    [
        "What does error E-4711 mean?",
        "Please tell us what error E-4711 means.",
        "We would like to know how long the warranty is.",
        "Kindly explain when the pump stops.",
        "Bitte sagen Sie uns, was der Fehler E-4711 bedeutet.",
        "Pouvez-vous nous dire combien de temps dure la garantie.",
        "请告诉我们错误代码的含义。",
    ],
)
@pytest.mark.parametrize("around", [_MAIL * 2, _LOG + "{asked}", "{asked}\n" + _LOG], ids=["mail", "end", "beginning"])
def test_part_of_a_long_question_that_asks_is_found_wherever_it_stands(around: str, asked: str) -> None:
    assert set(what_is_asked(around.format(asked=asked)).split(asked)) <= {"", " "}


def test_question_of_ordinary_length_is_what_is_asked() -> None:
    question = "It runs in our plant, and nobody knows what to do. " * 5

    assert what_is_asked(question) == question


@pytest.mark.parametrize("asked", ["Why is that?", "What is it?"])
def test_long_question_whose_end_says_nothing_by_itself_counts_whole(asked: str) -> None:
    assert what_is_asked(_LOG + asked) == _LOG + asked


def test_text_that_asks_nowhere_ends_with_what_counts() -> None:
    assert asking_sentences("Traceback:\n  File a, line 3\nKeyError: 'pump'") == "KeyError: 'pump'"


def test_of_many_sentences_that_ask_the_last_ones_count() -> None:
    asked = asking_sentences(" ".join(f"Does number {number} run?" for number in range(100)))

    assert asked.endswith("Does number 99 run?")
    assert len(asked) <= 600
