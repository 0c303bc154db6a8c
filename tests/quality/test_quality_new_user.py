"""What a new user asks of a small company's papers (`company/`), answered in this process by words alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from trivium_evidence.signs import Read, coverages
from trivium_gateway.answering.judging import calibrated, judged
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.settings import AS_THE_GATEWAY
from trivium_generate.answer import AnswerRequest
from trivium_generate.answer import Passage as Told
from trivium_generate.extractive.answering import ExtractiveAnswerer

_TOP = 5
_COMPANY = Path(__file__).parent / "company"
_PAPERS = [(path.name, path.read_text(encoding="utf-8")) for path in sorted(_COMPANY.iterdir())]


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, and whether the papers are said to state it."""

    text: str
    answerable: bool


async def _ask(question: str) -> _Said:
    titles = [_title(text) for _, text in _PAPERS]
    found = coverages(question, [Read(text, title) for title, (_, text) in zip(titles, _PAPERS, strict=True)])
    best = sorted(range(len(_PAPERS)), key=lambda place: -found[place])[:_TOP]
    chunks = [
        Chunk(name, 0, titles[place], "", text, 0, len(text), "1", len(text) // 4, {})
        for place, (name, text) in ((place, _PAPERS[place]) for place in best)
    ]
    scores = Scores(fused=1.0, dense_weight=0.0)
    passages = calibrated(
        question,
        [Passage(one.document_id, one, 0.5, scores) for one in chunks],
        "of a model",
        by_model=False,
        settings=AS_THE_GATEWAY,
    )
    told = tuple(Told(one.chunk.text, one.chunk.title, one.score) for one in passages)
    answer = await ExtractiveAnswerer(None, 16).answer(AnswerRequest(question, told))
    return _Said("".join(answer.parts), (await judged(question, passages, AS_THE_GATEWAY)).answerable)


def _title(text: str) -> str:
    lines = text.splitlines()
    subjects = [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]
    return subjects[0] if subjects else lines[0].removeprefix("# ")


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("What does the HP-350 cost in 2025?", "Model: HP-350; Description: Heat pump, 350 litres; List price: 4,250;"),
        ("How much does the HP-350 cost?", "Model: HP-350; Description: Heat pump, 350 litres; List price: 4,250;"),
        ("What did the HP-350 cost in 2024?", "Model: HP-350; Description: Heat pump, 350 litres; List price: 4,090;"),
        ("What is the dealer price of the HP-500?", "Dealer price: 4,550."),
        ("How much may a hotel cost?", "Hotels are paid up to 130 EUR a night."),
        ("What was the hotel limit in 2023?", "Hotels are paid up to 110 EUR a night."),
        ("What temperature should the water have?", "Set the water to 55 °C."),
        ("What discount does Hofer get?", "Hofer receives 12% on the dealer price"),
        ("What is the penalty for late delivery?", "For late delivery Norda pays 0.5% of the value"),
        ("How long is the warranty of a switch?", "36 months from delivery for heat pumps, 24 months for switches."),
        ("When is the next management meeting?", "Next meeting: 16 April 2025"),
        ("When was the contract with Hofer signed?", "Signed on 7 October 2024"),
        ("How long does the contract with Hofer run?", "The contract runs for two years"),
        ("What was the revenue in February?", "1.32 million EUR."),
        ("Does Norda Connect support KNX?", "Norda Connect supports Home Assistant, KNX and Modbus TCP."),
        ("Does Norda Connect support Alexa?", "Alexa is not supported."),
        ("Until when is version 4.1 supported?", "Version 4.1 is supported until 31 December 2025."),
        ("When does the office in Graz close?", "The office in Graz closes on 30 June 2025."),
        ("Who is the CEO?", "Name: Ilse Bauer; Role: CEO;"),
        ("Who died in 2021?", "The founder, Josef Bauer, died in 2021."),
        ("What is the notice period?", "The notice period is six weeks for employees"),
        ("Wie lange werden Rechnungen aufbewahrt?", "Rechnungen werden zehn Jahre aufbewahrt"),
    ],
)
async def test_new_user_is_told_what_the_papers_say(question: str, first: str) -> None:
    said = await _ask(question)

    assert said.text.startswith(first), said.text
    assert said.answerable


@pytest.mark.parametrize(
    "question",
    [
        "Does Norda Connect support Milvus?",
        "What does the HP-350 cost in 2023?",
        "What does the HP-900 cost?",
        "What is the CEO's salary?",
        "How much does Ilse Bauer earn?",
        "What does E99 mean?",
        "When did version 4.3 come out?",
        "What was the revenue in January?",
        "When does the office in Linz close?",
        "What is the capital of Peru?",
    ],
)
async def test_new_user_is_told_that_the_papers_do_not_say_it(question: str) -> None:
    assert not (await _ask(question)).answerable


@pytest.mark.parametrize(
    "question", ["When do the HP-500 for Hofer arrive?", "What is the telephone number of Petra Schwarz?"]
)
async def test_new_user_is_not_told_the_head_of_a_mail(question: str) -> None:
    said = await _ask(question)

    assert not any(field in said.text for field in ("From:", "Subject:", "Date:")), said.text
