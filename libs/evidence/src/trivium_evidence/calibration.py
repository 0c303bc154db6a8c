"""Calibration: from signs to probabilities, by coefficients that were fitted on labelled questions.

`calibrations.json` has them, one set for each embedding model that they were fitted with, by its fingerprint, and two
for words alone, which serve where no model can read the question. `bench/evidence/fit.py` wrote it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from trivium_evidence.language import is_chinese

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORDS = "words"
"""The calibration that needs no model."""
WORDS_CHINESE = "words/chinese"
"""The same for Chinese, whose words cover what they ask for more often: one operating point does not fit both."""


@dataclass(frozen=True, slots=True)
class Odds:
    """A logistic regression: the odds of something, by signs.

    Attributes:
        intercept: The logarithm of the odds where all signs are 0.
        weights: What each sign adds to it, times its value.
    """

    intercept: float
    weights: Mapping[str, float]

    def probability(self, signs: Mapping[str, float]) -> float:
        """How likely it is, from 0 to 1; a sign that is not there counts as 0."""
        odds = self.intercept + sum(weight * signs.get(name, 0.0) for name, weight in self.weights.items())
        return 1.0 / (1.0 + math.exp(-max(-40.0, min(40.0, odds))))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted for one model.

    Attributes:
        name: What it was fitted for, and how often before.
        passage: Whether a passage answers a question.
        topic: Whether passages are about what a question asks for.
        statement: Whether passages that are about it state the answer.
        refuse_below: The chance of being about it from which on down a question is about something else altogether.
        weak_below: The same from which on down the evidence is weak.
        unstated_below: The chance of all together from which on down the answer is not stated.
    """

    name: str
    passage: Odds
    topic: Odds
    statement: Odds
    refuse_below: float
    weak_below: float
    unstated_below: float


def search_only(fingerprint: str) -> str:
    """What `calibration_for` knows a model by whose tokens are not compared."""
    return f"{fingerprint}/search"


def by_words(question: str) -> str:
    """The calibration that needs no model, for a question in its language."""
    return WORDS_CHINESE if is_chinese(question) else WORDS


def calibration_for(fingerprint: str) -> Calibration | None:
    """The calibration of an embedding model; None if it has none.

    Args:
        fingerprint: The model's, as it is or as `search_only` has it; of `by_words` for no model at all.
    """
    return _calibrations().get(fingerprint)


@cache
def _calibrations() -> Mapping[str, Calibration]:
    entries: Mapping[str, Any] = json.loads(files(__package__).joinpath("calibrations.json").read_text("utf-8"))
    return {fingerprint: _calibration(entry) for fingerprint, entry in entries.items()}


def _calibration(entry: Mapping[str, Any]) -> Calibration:
    odds = {name: Odds(entry[name]["intercept"], entry[name]["weights"]) for name in ("passage", "topic", "statement")}
    return Calibration(
        name=entry["name"],
        **odds,
        refuse_below=entry["refuse_below"],
        weak_below=entry["weak_below"],
        unstated_below=entry["unstated_below"],
    )


def descending(scores: Sequence[float]) -> list[float]:
    """Scores that never rise, as near to some as can be: where they rise, their mean (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for score in scores:
        pools.append((score, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (last, last_count), (before, before_count) = pools.pop(), pools.pop()
            count = before_count + last_count
            pools.append(((before * before_count + last * last_count) / count, count))
    return [mean for mean, count in pools for _ in range(count)]
