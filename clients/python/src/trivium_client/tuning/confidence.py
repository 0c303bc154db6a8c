"""Fits the scale of the confidence and the points of refusal to labelled questions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trivium_client._client import Trivium
from trivium_client._collections import SettingValues
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.measures import quantile
from trivium_client.evaluation.significance import Difference, compare
from trivium_client.tuning.asking import Tried, tried_all
from trivium_client.tuning.searching import halves, undegraded

FEWEST = 20
"""So many questions with an answer, and as many without, each half must have."""

_FALSELY_MARKED = 0.05
_FALSELY_REFUSED = 0.01
_ROUNDS = 100
_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """What the stack said of a question.

    Attributes:
        unscaled: How sure it would have been without a scale of the collection's own.
        confidence: How sure it was.
        marked: Whether it said that there is no answer.
        answerable: Whether there is one.
    """

    unscaled: float
    confidence: float
    marked: bool
    answerable: bool


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted.

    Attributes:
        settings: What to set; empty for nothing.
        scale: How much less the squared error of the confidence is, on the half that had no part in fitting.
        decisions: How much oftener it is said rightly whether there is an answer, there.
        reason: What came of it, in words.
    """

    settings: SettingValues
    scale: Difference | None
    decisions: Difference | None
    reason: str


def ask_all(
    trivium: Trivium,
    questions: Sequence[KnownQuestion],
    collection: str,
    *,
    search: SettingValues,
    in_force: SettingValues,
    journal: Journal[Tried],
    caller_count: int,
    on_each: Callable[[], None],
) -> list[Told]:
    """Asks what the stack says of questions; those that it has no confidence for are left out.

    Args:
        trivium: The stack.
        questions: With an answer, and without.
        collection: The collection's name.
        search: By which settings to search.
        in_force: The collection's settings now.
        journal: What was asked before; gets what is asked.
        caller_count: How many are asked at once.
        on_each: Called for each.
    """
    slope = float(in_force.get("confidence_slope") or 1.0)
    intercept = float(in_force.get("confidence_intercept") or 0.0)

    def tried(question: KnownQuestion) -> Tried:
        answer = undegraded(
            lambda: trivium.ask(
                question.text, collection=collection, mode="extractive", refusal="mark", settings=search
            )
        )
        return Tried(question.id, search, confidence=answer.confidence, answerable=answer.answerable)

    said = tried_all(questions, search, tried, journal, is_answer=True, caller_count=caller_count, on_each=on_each)
    return [
        Told(
            scaled_by(one.confidence, 1 / slope, -intercept / slope), one.confidence, not one.answerable, of.answerable
        )
        for of, one in zip(questions, said, strict=True)
        if one.confidence is not None
    ]


def enough(questions: Sequence[KnownQuestion]) -> bool:
    """Whether there are questions of both kinds to fit and to judge by."""
    return all(
        sum(one.answerable is kind for one in half) >= FEWEST for half in halves(questions) for kind in (True, False)
    )


def fit(fitting: Sequence[Told], judging: Sequence[Told]) -> Fitted:
    """Fits a scale and points to one half, and keeps of them what is better on the other by more than chance."""
    slope, intercept = platt([one.unscaled for one in fitting], [one.answerable for one in fitting])
    scale = compare(
        [-((one.confidence - one.answerable) ** 2) for one in judging],
        [-((scaled_by(one.unscaled, slope, intercept) - one.answerable) ** 2) for one in judging],
    )
    is_better_scale = _is_better(scale)

    def confidence_of(one: Told) -> float:
        """On the scale that will be in force, as points are."""
        return scaled_by(one.unscaled, slope, intercept) if is_better_scale else one.confidence

    answerable = [confidence_of(one) for one in fitting if one.answerable]
    mark_below, refuse_below = (quantile(answerable, share) for share in (_FALSELY_MARKED, _FALSELY_REFUSED))
    decisions = compare(
        [float(one.marked is not one.answerable) for one in judging],
        [float((confidence_of(one) < mark_below) is not one.answerable) for one in judging],
    )
    false_marks = [confidence_of(one) < mark_below for one in judging if one.answerable]
    settings: dict[str, float | int | str | None] = {}
    if is_better_scale:
        settings |= {"confidence_slope": round(slope, 4), "confidence_intercept": round(intercept, 4)}
    marks_too_many = _exceeds(sum(false_marks), len(false_marks), _FALSELY_MARKED)
    is_better_point = _is_better(decisions) and not marks_too_many
    # A scale that moves takes its points along: those that were calibrated are on another one.
    if is_better_point or is_better_scale:
        settings |= {"mark_below": round(mark_below, 4), "refuse_below": round(min(refuse_below, mark_below), 4)}
    decides_worse = decisions.value < 0 and decisions.chance < _CHANCE
    if is_better_scale and (decides_worse or marks_too_many):
        why = "decide worse" if decides_worse else "mark too many that are answered"
        return Fitted({}, scale, decisions, f"a better scale would come with points that {why}")
    parts = [name for name, flag in (("scale", is_better_scale), ("points", is_better_point)) if flag]
    return Fitted(settings, scale, decisions, f"better by more than chance: {' and '.join(parts) or 'nothing'}")


def platt(confidences: Sequence[float], answerable: Sequence[bool]) -> tuple[float, float]:
    """Slope and intercept of the line over the log-odds that is likeliest (Platt, 1999; Lin, Lin and Weng, 2007).

    Args:
        confidences: From 0 to 1.
        answerable: Of both kinds, at least one.
    """
    odds = [_log_odds(one) for one in confidences]
    yes = sum(answerable)
    # Targets a little inside of 0 and 1, so that few questions do not make certainty.
    high, low = (yes + 1) / (yes + 2), 1 / (len(answerable) - yes + 2)
    targets = [high if one else low for one in answerable]
    slope, intercept = 1.0, 0.0
    for _ in range(_ROUNDS):
        chances = [1 / (1 + math.exp(-max(-40.0, min(40.0, slope * one + intercept)))) for one in odds]
        errors = [chance - target for chance, target in zip(chances, targets, strict=True)]
        weights = [chance * (1 - chance) for chance in chances]
        by_slope = math.fsum(error * one for error, one in zip(errors, odds, strict=True))
        by_intercept = math.fsum(errors)
        # Newton's step, with a ridge so that it exists.
        a = math.fsum(weight * one * one for weight, one in zip(weights, odds, strict=True)) + 1e-6
        b = math.fsum(weight * one for weight, one in zip(weights, odds, strict=True))
        c = math.fsum(weights) + 1e-6
        determinant = a * c - b * b
        step = ((c * by_slope - b * by_intercept) / determinant, (a * by_intercept - b * by_slope) / determinant)
        slope, intercept = slope - step[0], intercept - step[1]
        if max(map(abs, step)) < 1e-9:
            break
    return min(100.0, max(0.01, slope)), min(100.0, max(-100.0, intercept))


def scaled_by(confidence: float, slope: float, intercept: float) -> float:
    """A confidence on another scale, as the gateway has it."""
    return 1 / (1 + math.exp(-max(-40.0, min(40.0, slope * _log_odds(confidence) + intercept))))


def _log_odds(probability: float) -> float:
    bounded = min(1 - 1e-12, max(1e-12, probability))
    return math.log(bounded / (1 - bounded))


def _is_better(difference: Difference) -> bool:
    return difference.value > 0 and difference.chance < _CHANCE


def _exceeds(hits: int, count: int, share: float) -> bool:
    """Whether so many hits would hardly come about by chance at this share (binomial)."""
    tail = sum(math.comb(count, one) * share**one * (1 - share) ** (count - one) for one in range(hits, count + 1))
    return tail < _CHANCE
