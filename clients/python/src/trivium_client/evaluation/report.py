"""The report of a run: what was measured of all questions, and of each."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.measures import (
    Judged,
    area_under,
    mean,
    quantile,
    ranking_measures,
    refusal_measures,
    risk_coverage,
)
from trivium_client.evaluation.observations import LEGS, Answered, Observation
from trivium_client.evaluation.significance import Difference, compare

KIND = "trivium-eval/1"
"""What a report says that it is."""

_CURVE_POINTS = 200


def make_report(
    questions: Sequence[KnownQuestion],
    observations: Mapping[str, Observation],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Measures a run.

    Args:
        questions: What was asked.
        observations: By the ids of questions; those that failed have none.
        about: What the run was of.

    Returns:
        A report, as JSON.
    """
    seen = [(one, observations[one.id]) for one in questions if one.id in observations]
    values = {question.id: question_values(question, one) for question, one in seen}
    return {
        "kind": KIND,
        **about,
        "questions": {
            "asked": len(questions),
            "measured": len(seen),
            "answerable": sum(question.answerable for question, _ in seen),
            "degraded": sum(bool(one.degraded) for _, one in seen),
        },
        "calibrations": sorted({one.calibration for _, one in seen}),
        "retrieval": _retrieval(values.values()),
        "answers": _answers([one.answer for _, one in seen if one.answer]),
        "refusal": _refusal(seen),
        "latency_ms": _latencies([one for _, one in seen]),
        "values": values,
    }


def question_values(question: KnownQuestion, seen: Observation) -> dict[str, float]:
    """What was measured of one question, by the names of measures; higher is better but for `latency_ms...`."""
    values: dict[str, float] = {}
    if question.relevant:
        for leg, ranks in seen.ranks.items():
            values |= {f"{leg}.{name}": one for name, one in ranking_measures(ranks, question.relevant).items()}
    answer = seen.answer
    if answer is not None:
        values["refusal.right"] = float(answer.answerable is question.answerable)
        told = {"answers.hit": answer.hit, "answers.evidence_hit": answer.evidence_hit}
        told["answers.cites_relevant"] = answer.cites_relevant
        values |= {name: float(one) for name, one in told.items() if one is not None}
        if answer.support:
            values["answers.support"] = sum(answer.support) / len(answer.support)
    return values | {f"latency_ms.{stage}": time for stage, time in seen.milliseconds.items()}


def _retrieval(values: Collection[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """By leg, each measure's mean over the questions with relevant documents."""
    found: dict[str, dict[str, float]] = {}
    for leg in LEGS:
        of_leg = [{key: one[key] for key in one if key.startswith(f"{leg}.")} for one in values]
        of_leg = [one for one in of_leg if one]
        if of_leg:
            names = [key.partition(".")[2] for key in of_leg[0]]
            found[leg] = {name: sum(one[f"{leg}.{name}"] for one in of_leg) / len(of_leg) for name in names}
    return found


def _answers(answers: Sequence[Answered]) -> dict[str, Any] | None:
    if not answers:
        return None
    verdicts = [verdict for one in answers for verdict in one.verdicts]
    written = [one for one in answers if not one.refused]
    return {
        "hit": _share([one.hit for one in answers]),
        "evidence_hit": _share([one.evidence_hit for one in answers]),
        "cites_relevant": _share([one.cites_relevant for one in answers]),
        "citations": len(verdicts),
        "support": mean([support for one in answers for support in one.support]),
        "supported": mean([float(verdict == "supported") for verdict in verdicts]),
        "with_unsupported_sentences": _share([one.unsupported_count > 0 for one in written]),
        "models": sorted({one.model for one in answers if one.model}),
    }


def _share(flags: Sequence[bool | None]) -> float | None:
    return mean([float(one) for one in flags if one is not None])


def _refusal(seen: Sequence[tuple[KnownQuestion, Observation]]) -> dict[str, Any] | None:
    """None unless answers were written."""
    judged = [
        Judged(
            answer.confidence,
            not answer.answerable,
            question.answerable,
            not question.answerable or answer.hit is False,
        )
        for question, one in seen
        if (answer := one.answer) is not None
    ]
    if not judged:
        return None
    curve = risk_coverage(judged)
    step = max(1, len(curve) // _CURVE_POINTS)
    thinned = [*curve[::step], *(curve[-1:] if (len(curve) - 1) % step else [])]
    return {
        **refusal_measures(judged),
        "unanswerable": sum(not one.answerable for one in judged),
        "risk_at_full_coverage": curve[-1][1] if curve else None,
        "area_under_risk_coverage": area_under(curve),
        "risk_coverage": thinned,
    }


def _latencies(observations: Sequence[Observation]) -> dict[str, dict[str, float]]:
    stages = list(dict.fromkeys(stage for one in observations for stage in one.milliseconds if stage != "total"))
    found = {}
    for stage in [*stages, "total"]:
        times = [one.milliseconds[stage] for one in observations if stage in one.milliseconds]
        if times:
            found[stage] = {"p50": quantile(times, 0.5), "p95": quantile(times, 0.95)}
    return found


def compare_reports(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Difference]:
    """What is different between two runs, by measure, over the questions that both have.

    Raises:
        ValueError: They have none in common.
    """
    old, new = before["values"], after["values"]
    names = dict.fromkeys(name for values in (*old.values(), *new.values()) for name in values)
    found = {}
    for name in names:
        pairs = [(old[one][name], new[one][name]) for one in old if name in old[one] and name in new.get(one, {})]
        if pairs:
            found[name] = compare([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    if not found:
        raise ValueError("the reports have no question in common")
    return found
