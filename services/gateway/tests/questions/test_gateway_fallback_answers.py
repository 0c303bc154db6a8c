"""Answers that no service writes."""

from __future__ import annotations

import re

import pytest
from trivium_gateway.answering.fallback import passages_as_answer, refusal
from trivium_gateway.answering.plan import NOTHING_SEARCHED, SearchOptions
from trivium_gateway.answering.question import Question
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.request.principal import EVERYBODY


def _passage(text: str, title: str = "") -> Passage:
    return Passage("p", Chunk("d", 0, title, "", text, 0, len(text), "", 1, {}), 0.5, Scores())


@pytest.mark.parametrize(
    ("question", "nothing", "nearest"),
    [
        ("How tall is a heron?", "I found nothing", "The documents do not"),
        ("Wie groß ist ein Reiher?", "In den Dokumenten habe ich nichts", "Die Dokumente beantworten"),
        ("WAS IST DIE HAUPTSTADT VON PERU?", "In den Dokumenten habe ich nichts", "Die Dokumente beantworten"),
        ("Quelle est la capitale du Pérou ?", "Je n’ai rien trouvé", "Les documents ne répondent pas"),
        ("¿Cuál es la capital del Perú?", "No he encontrado", "Los documentos no responden"),
        ("Qual è la capitale del Perù?", "Nei documenti non ho", "I documenti non"),
        ("Qual é a capital do Peru?", "Não encontrei", "Os documentos não"),
        ("Wat is de hoofdstad van Peru?", "In de documenten heb ik niets", "De documenten beantwoorden"),
        ("Vad är huvudstaden i Peru?", "Jag hittade inget", "Dokumenten besvarar inte"),
        ("Какая столица у Перу, и где она?", "В документах не нашлось", "Документы не отвечают"),
        ("苍鹭有多高?", "在文档中没有找到", "文档没有回答"),
        ("サギの身長は何センチ?", "この質問に答える", "文書はこの質問に"),  # Han characters, but Japanese
        ("페루의 수도는 어디입니까?", "문서에서 이 질문에", "문서는 이 질문에"),
        ("ما هي عاصمة بيرو؟", "لم أجد في المستندات", "لا تجيب المستندات"),
        ("پایتخت پرو کجاست؟", "I found nothing", "The documents do not"),  # Arabic letters, but Persian
        ("What does 茶 mean in Wie geht es?", "I found nothing", "The documents do not"),
        ("", "I found nothing", "The documents do not"),
    ],
)
def test_refusal_is_in_the_language_of_the_question(question: str, nothing: str, nearest: str) -> None:
    asked = Question(question, EVERYBODY, SearchOptions(collections=("one", "two")))

    assert refusal(asked, NOTHING_SEARCHED, ()).startswith(nothing)
    text = refusal(asked, NOTHING_SEARCHED, [_passage("Herons.", "Birds"), _passage("x", ""), _passage("y", "Third")])
    assert text.startswith(nearest)
    for told in (question, "one", "two", "Birds"):
        assert told in text
    assert not re.search(r"[{}]|\[1\]|Third", text)


@pytest.mark.parametrize("question", ["What is {query}?", "什么是{0}？"])
def test_refusal_keeps_the_braces_of_a_question(question: str) -> None:
    assert question in refusal(Question(question, EVERYBODY), NOTHING_SEARCHED, [_passage("Herons.", "{named}")])


def test_passages_as_answer_end_in_their_citations() -> None:
    pieces = list(passages_as_answer([_passage("First."), _passage(" Second.\n")]))

    assert pieces == [("First. [1]", 1), ("\n\nSecond. [2]", 2)]


def test_passages_as_answer_shows_the_best_three() -> None:
    assert [index for _, index in passages_as_answer([_passage("x")] * 9)] == [1, 2, 3]


def test_passages_as_answer_leaves_no_mark_that_is_no_citation() -> None:
    ((text, _),) = passages_as_answer([_passage("Known since 1901.[7] See [a].")])

    assert text == "Known since 1901.(7) See [a]. [1]"
