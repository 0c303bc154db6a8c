"""Choosing sentences."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from trivium_evidence.answer_types import answer_test
from trivium_generate.answer import AnswerRequest, Passage
from trivium_generate.extractive.answering import ExtractiveAnswerer
from trivium_serving.errors import DeadlineExceeded, Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BRIDGE = Passage("The bridge is red. It was opened in May 1937 after four years of work. Fog is common.", "Bridge", 0.9)
BOATS = Passage("Boats pass below the bridge. Most are white.", "Boats", 0.3)


async def ask(question: str, *passages: Passage, vectors: Any = None) -> str:
    answer = await ExtractiveAnswerer(vectors, 16).answer(AnswerRequest(question, passages))
    return "".join(answer.parts)


class Vectors:
    """Similarities as a test wants them: 1 for sentences with a word, 0 for others."""

    def __init__(self, word: str = "", error: Exception | None = None) -> None:
        self.word = word
        self.error = error
        self.asked: list[str] = []

    async def similarities(self, question: str, sentences: Sequence[str], seconds: float | None) -> NDArray[np.float32]:
        self.asked = list(sentences)
        if self.error is not None:
            raise self.error
        return np.array([float(self.word in sentence) for sentence in sentences], dtype=np.float32)


COLOURS = Passage(
    "The bridge has many colours for many parts, among them these:\n\n"
    + "\n".join(f"- {colour} for the {part}, which is painted again each year by the same people" for colour, part in (
        ("red", "towers"), ("white", "rails"), ("black", "road"), ("grey", "feet"), ("green", "lamps")))
)  # fmt: skip
FAQ = Passage("FAQ\n\nHow do I start it? Type up.\n\nHow do I stop it? Press Ctrl-C.")
PORTS = Passage("| name | port |\n|---|---|\n| embed | 50051 |\n| rerank | 50052 |")
START = Passage("It is a stack. Start the services with:\n\n```\nmake up\n```")


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("When was the bridge opened?", (BRIDGE, BOATS), "It was opened in May 1937 after four years of work. [1]"),
        ("What passes below the bridge?", (BRIDGE, BOATS), "Boats pass below the bridge. [2]"),
        (
            "How many live there?",
            (Passage("It is an old town. There are 4,200 people."),),
            "There are 4,200 people. [1]",
        ),
        ("Who designed it?", (Passage("It was designed well. The design is by Maria Klein."),), "Maria Klein. [1]"),
        ("大桥是什么时候通车的？", (Passage("大桥是红色的。大桥于1937年5月通车。"),), "大桥于1937年5月通车。[1]"),
        (
            "Which colour have the lamps?",
            (COLOURS,),
            "among them these: green for the lamps, which is painted again each year by the same people. [1]",
        ),
        ("How do I stop it?", (FAQ,), "Press Ctrl-C. [1]"),
        ("Which port does rerank use?", (PORTS,), "name: rerank; port: 50052. [1]"),
        ("How are the services started?", (START,), "Start the services with: `make up`. [1]"),
    ],
)
async def test_extractive_answer_holds_what_was_asked_for(question: Any, passages: Any, answer: Any) -> None:
    assert answer in await ask(question, *passages)


async def test_extractive_answer_cites_each_sentence_and_keeps_their_order() -> None:
    text = await ask(
        "What colour is the bridge and when was the bridge opened?",
        Passage("The tower is tall. The bridge was opened in 1937."),
        Passage("The bridge has the colour orange."),
    )
    assert text == "The bridge was opened in 1937. [1] The bridge has the colour orange. [2]"


async def test_extractive_answer_says_nothing_twice() -> None:
    text = await ask(
        "When was the bridge opened?",
        Passage("The bridge was opened in May 1937.", "", 0.9),
        Passage("The bridge was opened in May 1937!", "", 0.8),
    )
    assert text == "The bridge was opened in May 1937. [1]"


async def test_extractive_answer_does_not_quote_the_title() -> None:
    passage = Passage("Runbook: the reranker is down\n\nAnswers still come.", "Runbook: the reranker is down")
    assert await ask("Is the reranker down?", passage) == "Answers still come. [1]"


async def test_extractive_answer_does_not_ask_back() -> None:
    assert "?" not in await ask("Is it open?", Passage("Is it open? Is it open, is it? Yes, every day."))


@pytest.mark.parametrize("text", ["```\ncode()\n```", "# Only a heading", "***", "|||"])
async def test_extractive_answer_from_a_passage_without_sentences_quotes_it(text: str) -> None:
    answer = await ask("What is it?", Passage(text))
    assert answer.endswith("[1]")
    assert len(answer) > len("[1]")


async def test_extractive_answer_removes_the_sources_own_marks() -> None:
    text = await ask("When was it opened?", Passage("It was opened in 1937.[12] It is red.【3】"))
    assert "[12]" not in text
    assert "【3】" not in text


async def test_extractive_answer_shows_where_a_passage_cuts_a_sentence() -> None:
    assert await ask("What is red?", Passage("The red things are the bridge, the gate,")) == (
        "The red things are the bridge, the gate … [1]"
    )


async def test_extractive_answer_with_vectors_prefers_what_is_similar() -> None:
    passage = Passage("A cat sleeps here. A feline rests there.")
    vectors = Vectors("feline")
    assert await ask("Where is the animal?", passage, vectors=vectors) == "A feline rests there. [1]"
    assert vectors.asked == ["A cat sleeps here.", "A feline rests there."]


async def test_extractive_answer_compares_only_the_best_by_words() -> None:
    vectors = Vectors()
    passages = [Passage(f"Sentence {number} is here. The bridge {number} is red.") for number in range(50)]
    await ask("What colour is the bridge?", *passages, vectors=vectors)
    assert len(vectors.asked) == 16
    assert all("bridge" in sentence for sentence in vectors.asked)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Unavailable("Down."), "unavailable"), (Unavailable("Soon.", reason="LOADING"), "loading"),
     (Overloaded("Full."), "overloaded"), (DeadlineExceeded("Late."), "timeout")],
)  # fmt: skip
async def test_extractive_answer_without_vectors_goes_by_words_and_says_why(error: Any, reason: Any) -> None:
    answerer = ExtractiveAnswerer(Vectors(error=error), 16)
    answer = await answerer.answer(AnswerRequest("Is it red?", (Passage("The bridge is red. The boat is red."),)))
    assert "The bridge is red." in "".join(answer.parts)
    assert answer.degradation is not None
    assert (answer.degradation.stage, answer.degradation.reason, answer.degradation.fallback) == (
        "embed", reason, "lexical"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("question", "sentence", "holds"),
    [
        ("When did it open?", "It opened in May.", True),
        ("When did it open?", "It opened early.", False),
        ("哪一年通车？", "1937年通车。", True),
        ("How many towers are there?", "There are two towers.", True),
        ("How many towers are there?", "There are towers.", False),
        ("有多少座塔？", "有两座塔。", True),
        ("Who built the Golden Gate?", "The Golden Gate was built by Strauss.", True),
        ("Who built the Golden Gate?", "The Golden Gate is old.", False),
        ("Why is it red?", "It is red because of rust.", True),
        ("What is it?", "It is a bridge of 1937.", False),
        ("Which constant k is recommended?", "The authors found k = 60 to work well.", True),
        ("Which constant k is recommended?", "A large k flattens the differences.", False),
    ],
)
def test_answer_test_tells_what_kind_of_thing_a_sentence_holds(question: str, sentence: str, holds: bool) -> None:
    assert answer_test(question)(sentence) is holds


async def test_extractive_answer_to_the_largest_request_takes_little_time() -> None:
    passages = [Passage("The bridge is long and red. " * 93, "Bridge", 0.5)] * 100
    begin = time.process_time()
    await ask("What colour is the bridge?", *passages)
    assert time.process_time() - begin < 3


_OPENED = "After four years of work and many delays it was opened in May 1937 by the city."
_LASTS = "From the day of its delivery on, the warranty of the pump lasts 36 months everywhere."
_COSTS = "For dealers with a contract of their own the KX-200 costs € 1,200 without any taxes."
_DESIGNED = "As all who saw it in those years agreed, it was designed very well by Maria Klein."


@pytest.mark.parametrize(
    ("question", "text", "short"),
    [
        ("When was it opened?", _OPENED, "May 1937. [1]"),
        ("How long is the warranty?", _LASTS, "36 months. [1]"),
        ("How much does it cost?", _COSTS, "€ 1,200. [1]"),
        ("Who designed it?", _DESIGNED, "Maria Klein. [1]"),
        (
            "大桥是什么时候通车的？",
            f"经过四年的施工和多次延期，{'连接两岸的' * 9}大桥终于在1937年5月通车。",
            "1937年5月。[1]",
        ),
    ],
)
async def test_extractive_answer_begins_with_the_few_words_that_answer(question: str, text: str, short: str) -> None:
    answer = await ask(question, Passage(f"It is here. {text}"))
    assert answer.startswith(short)
    assert text in answer.removeprefix(short)


async def test_extractive_answer_with_two_such_things_has_no_short_one() -> None:
    text = "The bridge was closed in May 1937 for repairs and opened again in June 1938 with much noise."
    assert await ask("When was the bridge open?", Passage(text)) == f"{text} [1]"


OLD = Passage("Valid from 1 March 2023. The KX-200 costs 900 euros for dealers.", "Price list 2023", 0.9)
NEW = Passage("Valid from 1 March 2025. The KX-200 costs 950 euros for dealers.", "Price list 2025", 0.6)


async def test_extractive_answer_is_of_the_version_that_holds() -> None:
    assert (await ask("How much does the KX-200 cost for dealers?", OLD, NEW)).startswith("The KX-200 costs 950")
    assert "900" in await ask("How much did the KX-200 cost for dealers in 2023?", OLD, NEW)
    later = Passage(NEW.text.replace("2025", "2999"), "Price list 2999", 0.6)
    assert (await ask("How much does the KX-200 cost for dealers?", OLD, later)).startswith("The KX-200 costs 900")


PRICES = Passage(
    "All prices of the series KX are in EUR without tax.\n\n"
    "| Model | Flow (l/min) | Dealer price | List price |\n|---|---|---|---|\n"
    "| KX-100 | 130 | 3,375 | 8,468 |\n| KX-130 | 126 | 4,092 | 7,134 |\n| KX-140 | 153 | 2,621 | 5,625 |",
    "Price list KX",
)
SHEET = Passage(
    "The KX-900 is a pump for clean and slightly dirty water.\n\n"
    "| Property | Value |\n|---|---|\n| Pressure | 9.4 bar |\n| Weight | 98 kg |",
    "Data sheet KX-900",
)
COURSES = Passage(
    "Courses in Graz in 2026.\n\n| Course | Topic | Date | Where |\n|---|---|---|---|\n"
    "| Course 101 | welding | 2026-02-03 | room 29 |\n| Course 102 | safety | 2026-11-07 | room 21 |",
    "Courses Graz",
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (
            "How much does the KX-130 cost for dealers?",
            "Dealer price: 4,092. [1] Model: KX-130; Flow (l/min): 126; Dealer price: 4,092; List price: 7,134. [1]",
        ),
        (  # the flow of its neighbour is 130
            "What is the flow of the KX-130?",
            "Flow (l/min): 126. [1] Model: KX-130; Flow (l/min): 126; Dealer price: 4,092; List price: 7,134. [1]",
        ),
        ("What is the weight of the KX-900?", "Weight: 98 kg. [2]"),
        (  # and not what stands above the table
            "When is the course about safety in Graz?",
            "2026-11-07. [3] Course: Course 102; Topic: safety; Date: 2026-11-07; Where: room 21. [3]",
        ),
    ],
)
async def test_extractive_answer_from_a_table_is_the_row_alone_after_its_cell(question: str, answer: str) -> None:
    assert await ask(question, PRICES, SHEET, COURSES) == answer


TERMS = Passage(
    "## 3. Delivery\n\nDelivery times begin when all questions are settled.\n\n## 4. Warranty\n\n"
    "36 months from delivery. It does not cover gaskets.\n\n"
    "## 6. Place of jurisdiction\n\nStuttgart. German law applies.",
    "Terms of sale",
    0.9,
)
PEOPLE = Passage(
    "| Name | Role |\n|---|---|\n| Tomasz Nowak | Head of sales |\n| Priya Raman | Head of IT |", "Contacts"
)
SICK = Passage("Who is ill calls the head of the department before it is nine.", "Handbook")


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("Where is the place of jurisdiction?", (TERMS, BOATS), "Stuttgart. [1]"),
        ("How long is the warranty?", (TERMS, BOATS), "36 months from delivery. [1]"),
        ("Who is the head of IT?", (SICK, PEOPLE), "Name: Priya Raman; Role: Head of IT. [2]"),
        ("How heavy is the KX-900?", (SHEET,), "Weight: 98 kg. [1]"),
    ],
)
async def test_extractive_answer_begins_with_what_a_heading_a_short_name_or_another_word_for_it_leads_to(
    question: str, passages: tuple[Passage, ...], answer: str
) -> None:
    assert (await ask(question, *passages)).startswith(answer)


BURN = Passage(
    "# Burn rates\n\nThe rules are:\n\n| Burn rate | Long window | Short window | Reaction |\n|---|---|---|---|\n"
    "| 14.4 | 1 hour | 5 minutes | wake somebody up |\n| 6 | 6 hours | 30 minutes | wake somebody up |\n"
    "| 1 | 3 days | 6 hours | open a ticket |",
    "Burn rates",
)
FITTING = Passage(
    "| Article | Fits | Price |\n|---|---|---|\n| Altitude kit | KX-200, KX-300 | 120 |", "Price list 2025"
)
MODELS = Passage(
    "| Model | List price | Delivery time |\n|---|---|---|\n| KX-100 | 890 | 1 week |\n| KX-200 | 1,450 | 2 weeks |\n"
    "| KX-200 S | 1,690 | 2 weeks |\n| KX-300 | 2,980 | 6 weeks |",
    "Price list 2025",
)


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("What is the reaction to a burn rate of 1?", ["Burn rate: 1;"]),
        # and not the row whose window is 6 hours
        ("What is the short window for a burn rate of 6?", ["Burn rate: 6;"]),
        ("What does the KX-200 cost?", ["Model: KX-200;"]),
        ("How much does the KX-300 cost?", ["Model: KX-300;"]),  # and not what fits it
        ("What is the list price of the KX-100 and of the KX-300?", ["Model: KX-100;", "Model: KX-300;"]),
        ("Which models take two weeks to be delivered?", ["Model: KX-200;", "Model: KX-200 S;"]),
        ("Which model takes six weeks to be delivered?", ["Model: KX-300;"]),
    ],
)
async def test_extractive_answer_has_the_rows_that_are_asked_for_and_no_other(question: str, rows: list[str]) -> None:
    answer = await ask(question, BURN, FITTING, MODELS)

    named = [f"{key}{end}" for key, end in re.findall(r"((?:Burn rate|Model|Article): [\w.-]+(?: S)?)(;)", answer)]
    assert sorted(named) == sorted(rows)


RATINGS = Passage(
    "| Model | Input voltage | Output current |\n|---|---|---|\n| Kestrel | | 5 A |\n| Merlin | 24 V | |\n", "Ratings"
)


async def test_row_of_the_thing_that_is_asked_about_is_quoted_and_not_that_of_another() -> None:
    assert await ask("What is the input voltage of the Kestrel?", RATINGS) == "Model: Kestrel; Output current: 5 A. [1]"


async def test_sentence_that_says_no_more_than_the_question_is_a_heading_of_the_next() -> None:
    raised = Passage("Change request PPR-9087. The torque of the lid screws is raised to 14 Nm.", "Change request")
    added = Passage("Change request PPR-1204. A label with the voltage is added.", "Change request", 0.4)

    assert (await ask("What does PPR-9087 change?", raised, added)).startswith("The torque of the lid screws is raised")
    assert (await ask("Is the bridge red?", BRIDGE, BOATS)).startswith("The bridge is red.")


ACCESSORIES = Passage(
    "## Accessories\n\n| Article | Price |\n|---|---|\n| Wall bracket | 45 |\n\nBelow 5,000 euros, freight is 60.",
    "Price list 2025",
    0.7,
)
LIST_2025 = Passage("Valid from 1 March 2025. All prices in euros.", "Price list 2025", 0.2)
OLD_LIST = Passage("| Article | Price |\n|---|---|\n| Wall bracket | 39 |", "Price list 2024", 0.8)


async def test_extractive_answer_takes_a_later_part_of_a_document_for_as_new_as_its_beginning() -> None:
    answer = await ask("What is the price of the wall bracket?", OLD_LIST, ACCESSORIES, LIST_2025)

    assert answer == "Article: Wall bracket; Price: 45. [2]"


MINUTES = Passage(
    "Minutes of the management meeting, 14 April 2025\n\n"
    "Present: Anna Weber (chair), Tomas Lind\nExcused: Jana Novak\n\n"
    "1. Sales\nSales of the pumps are 12 percent below plan. The reason is the long delivery time of a part.\n"
    "Action: Tomas talks to a second supplier by 30 April.\n\n"
    "2. New warehouse\nThe lease for the warehouse in Brno was signed on 9 April. It costs 8,400 euros a month.\n"
    "Action: Priya prepares the moving plan.\n\n"
    "3. Holidays\nIt was discussed whether the days that can be carried over should be raised to eight."
)
MANUAL = Passage(
    "## Starting\n\n1. Connect the unit.\n2. Open the valve.\n3. Press the green button.\n\n"
    "## What voids the warranty\n\n- Opening the housing\n- Use above 2,000 metres",
    "Manual",
)
RUNBOOK = Passage(
    "Runbook: answers report that the reranker is down\n\nSymptom\n"
    "Answers carry an entry with the stage rerank and say that the fused order was kept, since the reranker is\n"
    "down.\n\nWho helps\nCall the operators on duty, who have the keys to the machines and know what to do with them.",
)
CHECKLIST = Passage("Onboarding\n\nFirst week\nFinish the training\nMeet your mentor\nSet up the token")
DEADLINE = Passage(
    "Python's gRPC passes no deadline on by itself. A deadline is a point in time after which nobody waits.", "Times"
)


@pytest.mark.parametrize(
    ("question", "passage", "answer"),
    [
        ("Who is the chair of the management meeting?", MINUTES, "Present: Anna Weber (chair), Tomas Lind. [1]"),
        (
            "Why are sales of the pumps below plan?",
            MINUTES,
            "Sales of the pumps are 12 percent below plan. [1] The reason is the long delivery time of a part. [1]",
        ),
        (
            "How much does the warehouse in Brno cost?",
            MINUTES,
            "The lease for the warehouse in Brno was signed on 9 April. [1] It costs 8,400 euros a month. [1]",
        ),
        (
            "Was it decided to raise the carried days to eight?",
            MINUTES,
            "It was discussed whether the days that can be carried over should be raised to eight. [1]",
        ),
        ("How do I start it?", MANUAL, "Connect the unit; Open the valve; Press the green button. [1]"),
        ("What voids the warranty?", MANUAL, "Opening the housing; Use above 2,000 metres. [1]"),
        (
            "What happens when the reranker is down?",
            RUNBOOK,
            "Answers carry an entry with the stage rerank and say that the fused order was kept, since the reranker is "
            "down. [1]",
        ),
        (
            "What is to be done in the first week?",
            CHECKLIST,
            "Finish the training; Meet your mentor; Set up the token. [1]",
        ),
        ("What is a deadline?", DEADLINE, "A deadline is a point in time after which nobody waits. [1]"),
        (
            "Is there free delivery?",
            Passage("Large orders are delivered free of charge. The delivery of one part takes long."),
            "Large orders are delivered free of charge. [1]",
        ),
        ("合同要提前三十六個月終止嗎？", Passage("合同须提前36个月终止。会议很长。"), "合同须提前36个月终止。[1]"),
    ],
)
async def test_extractive_answer_of_a_companys_papers_is_what_a_reader_would_quote(
    question: str, passage: Passage, answer: str
) -> None:
    assert await ask(question, passage, BOATS) == answer


async def test_question_that_brings_its_passage_along_is_answered_by_it() -> None:
    stated = "The warranty of the pump lasts 24 months."
    asked = f"{stated} How long does the warranty of the pump last?"

    assert await ask(asked, Passage(stated, "Warranty"), BRIDGE) == f"{stated} [1]"
