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


@pytest.mark.parametrize(
    ("before", "question", "subject"),
    [
        ("Wie hoch ist die Brücke von Remagen?", "Wann wurde sie gebaut?", "Brücke Remagen"),
        ("Wie hoch ist das Brandenburger Tor?", "Wann wurde es gebaut?", "Brandenburger Tor"),
        ("Quanto è alta la torre di Pisa?", "E quando fu completata?", "Pisa"),
        ("Qual é a altura da Torre Eiffel?", "Quando ela foi inaugurada?", "Torre Eiffel"),
        ("Hoe lang is de Erasmusbrug?", "En wanneer werd de brug geopend?", "Erasmusbrug"),
        ("Hoe lang is de Erasmusbrug?", "Wanneer werd hij geopend?", "Erasmusbrug"),
        ("Hur hög är den stora Turning Torso?", "Och när byggdes den?", "Turning Torso"),
        ("Какова высота Останкинской башни?", "А когда построили?", "Останкинской"),
        ("Какова высота Останкинской башни?", "Когда её построили?", "Останкинской"),
        ("Quand le Louvre a-t-il ouvert ?", "Qui l'a construit ?", "Louvre"),
        ("東京タワーの高さは？", "それはいつ完成しましたか？", "東京タワー"),
        ("東京タワーの高さは？", "設計者は？", "東京タワー"),
        ("N서울타워의 높이는?", "그것은 언제 지어졌나요?", "N서울타워의"),
    ],
)
def test_condense_of_a_question_that_leans_in_another_language_names_the_subject(
    before: str, question: str, subject: str
) -> None:
    assert condense(question, (Turn(Role.USER, before),)) == f"{subject}: {question}"


@pytest.mark.parametrize(
    "question",
    [
        "Wie viele Monate gilt die Garantie, wenn es friert?",
        "En qué año se construyó el puente?",
        "Pourquoi le ciel de Paris est bleu ?",
        "ねこの餌を何時にやりますか？",
        "ポンプの保証期間は何か月ですか？",
        "펌프의 보증 기간이 몇 개월입니까?",
        "Когда открыли Эйфелеву башню?",
        "Wanneer werd de Eiffeltoren geopend?",
    ],
)
def test_condense_of_a_complete_question_in_another_language_leaves_it(question: str) -> None:
    assert condense(question, BRIDGE) == question
