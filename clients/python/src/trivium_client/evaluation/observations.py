"""What a stack said of each question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trivium_client._answers import Answer
from trivium_client._passages import Passage, Retrieval, StageTime, Timings
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.measures import states_any

LEGS = ("dense", "sparse", "learned", "fused", "rerank", "final")
"""The orders that are measured: each leg's, all together, the reranker's alone, and the one that is shown."""

_FIRST_PASSAGES = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a question.

    Attributes:
        answerable: Whether the stack said that the documents answer it.
        refused: Whether it refused.
        reason: Why; None if it answers.
        confidence: How sure it was; None if it could not tell.
        hit: Whether the answer has a right one in it; None if none is known.
        evidence_hit: Whether the passages have.
        support: How surely each cited sentence rests on its passage; one value a citation.
        verdicts: The same in words.
        unsupported_count: Sentences that cite nothing and rest on nothing.
        cites_relevant: Whether a document that answers is cited; None if none is known.
        model: What wrote.
        text: The answer.
    """

    answerable: bool
    refused: bool
    reason: str | None
    confidence: float | None
    hit: bool | None
    evidence_hit: bool | None
    support: tuple[float, ...]
    verdicts: tuple[str, ...]
    unsupported_count: int
    cites_relevant: bool | None
    model: str
    text: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a stack said of one question.

    Attributes:
        id: The question's id.
        ranks: By leg, where the documents that answer stand, from 1; those not found are not there.
        milliseconds: By stage, `total` among them; of the answer if there is one, else of the search.
        answer: What became of it; None if only passages were asked for.
        degraded: Stages that were replaced by the next best means.
        calibration: By which calibration passages were scored; empty if by none.
    """

    id: str
    ranks: Mapping[str, Mapping[str, int]]
    milliseconds: Mapping[str, float]
    answer: Answered | None
    degraded: tuple[str, ...]
    calibration: str

    @classmethod
    def of(cls, question: KnownQuestion, found: Retrieval, answer: Answer | None) -> Self:
        """Takes from results what is measured."""
        told = answer or found
        first = found.passages[:1]
        return cls(
            question.id,
            {leg: _ranks(ordered, question.relevant) for leg, ordered in _orders(found.passages).items()},
            _milliseconds(told.stages, told.timings),
            _answered(question, answer) if answer else None,
            tuple(sorted({one.stage for one in (*found.degraded, *(answer.degraded if answer else ()))})),
            first[0].scores.calibration if first else "",
        )

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Reads what `asdict` made."""
        answer = line["answer"]
        if answer is not None:
            answer = Answered(**{**answer, "support": tuple(answer["support"]), "verdicts": tuple(answer["verdicts"])})
        return cls(**{**line, "answer": answer, "degraded": tuple(line["degraded"])})


def _orders(passages: tuple[Passage, ...]) -> dict[str, list[str]]:
    """By leg the ids of documents, best first; a leg that did not run is not there."""
    orders = {"final": [one.document_id for one in passages]}
    for leg in LEGS:
        scored = [(getattr(one.scores, leg, None), one.document_id) for one in passages]
        judged = [(score, document) for score, document in scored if score is not None]
        if judged:
            orders[leg] = [document for _, document in sorted(judged, key=lambda pair: -pair[0])]
    return {leg: list(dict.fromkeys(order)) for leg, order in orders.items()}


def _ranks(ordered: list[str], relevant: Mapping[str, int]) -> dict[str, int]:
    return {document: rank for rank, document in enumerate(ordered, 1) if document in relevant}


def _milliseconds(stages: tuple[StageTime, ...], timings: Timings) -> dict[str, float]:
    times: dict[str, float] = {}
    for stage in stages:
        times[stage.name] = times.get(stage.name, 0.0) + stage.duration_ms
    return times | ({} if timings.total is None else {"total": timings.total})


def _answered(question: KnownQuestion, answer: Answer) -> Answered:
    answers = question.answers if question.answerable else ()
    evidence = "\n".join(one.text for one in answer.passages[:_FIRST_PASSAGES])
    cited = {one.document_id for one in answer.citations}
    return Answered(
        answerable=answer.answerable,
        refused=answer.refused,
        reason=answer.reason,
        confidence=answer.confidence,
        hit=states_any(answer.answer, answers) if answers else None,
        evidence_hit=states_any(evidence, answers) if answers else None,
        support=tuple(one.support for one in answer.citations),
        verdicts=tuple(one.verdict for one in answer.citations),
        unsupported_count=len(answer.unsupported),
        cites_relevant=bool(cited & question.relevant.keys()) if question.relevant else None,
        model=answer.model,
        text=answer.answer,
    )
