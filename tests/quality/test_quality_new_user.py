"""What a new user asks of a small company's papers (`company/`), answered in this process by words alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from quality import new_user
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
    "wanted", [one for one in new_user.questions() if one.get("by_words", True)], ids=lambda one: one["question"]
)
async def test_new_user_is_answered_as_the_papers_have_it(wanted: dict[str, Any]) -> None:
    said = await _ask(wanted["question"])

    assert new_user.is_right(wanted, said.text, answerable=said.answerable), said


@pytest.mark.parametrize(
    "question", ["When do the HP-500 for Hofer arrive?", "What is the telephone number of Petra Schwarz?"]
)
async def test_new_user_is_not_told_the_head_of_a_mail(question: str) -> None:
    said = await _ask(question)

    assert not any(field in said.text for field in ("From:", "Subject:", "Date:")), said.text
