"""Questions that lean on their conversation, made to stand alone by rule."""

from __future__ import annotations

import pytest
from trivium_conversation.turns import Role, Turn
from trivium_gateway.answering.condensing import condense

BRIDGE = (
    Turn(Role.USER, "Who designed the Golden Gate Bridge?"),
    Turn(Role.ASSISTANT, "It was designed by Joseph Strauss, who worked with Charles Ellis [1]."),
)


@pytest.mark.parametrize(
    "question", ["When was it opened?", "And in winter?", "Why?", "How tall?", "What is above that?", "And its colour?"]
)
def test_condense_of_a_question_that_leans_puts_the_name_before_it(question: str) -> None:
    assert condense(question, BRIDGE) == f"Golden Gate Bridge: {question}"


@pytest.mark.parametrize(
    "question",
    [
        "When was the Eiffel Tower opened?",
        "How does a bat find its way?",
        "How long does it take to cross the Atlantic?",
        "What happens to those who cross the border?",
        "refund policy",
        "What is photosynthesis?",
        "What colours has the Golden Gate Bridge, and who paid for it? " + "It is long. " * 50,
    ],
)
def test_condense_of_a_question_that_stands_alone_leaves_it(question: str) -> None:
    assert condense(question, BRIDGE) == question


def test_condense_of_a_question_about_a_person_takes_the_one_that_the_answer_names() -> None:
    assert condense("Where was he born?", BRIDGE).startswith("Golden Gate Bridge Joseph Strauss: ")


def test_condense_where_nothing_is_named_carries_the_last_words() -> None:
    history = (Turn(Role.USER, "how long does the warranty of pumps last"),)
    assert condense("and what does it cost?", history) == "warranty pumps last: and what does it cost?"


def test_condense_after_a_change_of_subject_forgets_the_subject_before() -> None:
    history = (*BRIDGE, Turn(Role.USER, "How high is the Eiffel Tower?"), Turn(Role.ASSISTANT, "330 metres [1]."))
    assert condense("Who built it?", history) == "Eiffel Tower: Who built it?"


def test_condense_after_several_questions_that_lean_still_knows_the_subject() -> None:
    history = (*BRIDGE, Turn(Role.USER, "When was it opened?"), Turn(Role.ASSISTANT, "In 1937 [1]."))
    assert condense("And how long is it?", history) == "Golden Gate Bridge: And how long is it?"


def test_condense_carries_nothing_that_the_question_has() -> None:
    history = (Turn(Role.USER, "What does the PPR-9087 weigh?"),)
    assert condense("Does it fit the PPR-9087?", history) == "weigh: Does it fit the PPR-9087?"


def test_condense_of_a_chinese_question_carries_what_it_is_about() -> None:
    history = (Turn(Role.USER, "《泡泡战士》是哪家公司开发的？"),)
    assert condense("它什么时候在中国运营？", history) == "泡泡战士: 它什么时候在中国运营？"
    assert condense("金门大桥有多长？", history) == "金门大桥有多长？"

    # In traditional characters, which stay as they were written.
    history = (Turn(Role.USER, "《泡泡戰士》是哪家公司開發的？"),)
    assert condense("這是什麼時候開始運營的？", history) == "泡泡戰士: 這是什麼時候開始運營的？"


def test_condense_without_a_conversation_leaves_the_question() -> None:
    assert condense("When was it opened?", ()) == "When was it opened?"
    assert condense("When was it opened?", (Turn(Role.SYSTEM, "Be brief."),)) == "When was it opened?"


def test_condense_of_a_long_history_of_one_word_carries_no_such_word() -> None:
    assert condense("Why?", (Turn(Role.USER, "X" * 60_000),)) == "Why?"
