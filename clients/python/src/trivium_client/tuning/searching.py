"""Looks for the weights and the depth by which a collection is searched best, on the running stack itself."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trivium_client._client import Trivium
from trivium_client._collections import SettingValues
from trivium_client._errors import InvalidRequest, Unavailable
from trivium_client._passages import Degradation
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.measures import ranking_measures
from trivium_client.evaluation.significance import Difference, compare
from trivium_client.tuning.asking import Tried, tried_all

# One after the other: what is best of the first is kept while the next are tried.
_STEPS: tuple[tuple[SettingValues, ...], ...] = (
    (
        {"dense_weight": 1.0, "sparse_weight": 1.0},
        {"dense_weight": 0.5, "sparse_weight": 1.0},
        {"dense_weight": 0.0, "sparse_weight": 1.0},
        {"dense_weight": 1.0, "sparse_weight": 0.5},
        {"dense_weight": 1.0, "sparse_weight": 0.0},
    ),
    ({"rerank_weight": 0.0}, {"rerank_weight": 0.5}, {"rerank_weight": 1.0}, {"rerank_weight": 2.0}),
    ({"candidates": 50}, {"candidates": 100}, {"candidates": 200}),
)
_OF_LEARNED: tuple[SettingValues, ...] = ({"learned_weight": 0.0}, {"learned_weight": 0.5}, {"learned_weight": 1.0})
"""Tried after the first step in a collection with learned sparse vectors."""
_DEFAULTS: SettingValues = {"dense_weight": 1.0, "sparse_weight": 1.0, "rerank_weight": 1.0, "candidates": 100}
_PASSAGES = 30
_CHANCE = 0.05
_FLATTERED = 0.05
"""By so much at least the search must be better with weaker vectors if the questions are made of documents' words."""


_TRIES, _PAUSE_SECONDS = 30, 1.0


class _Result(Protocol):
    @property
    def degraded(self) -> Sequence[Degradation]: ...


_ResultT = TypeVar("_ResultT", bound=_Result)


class UnfitQuestions(InvalidRequest):
    """The questions tell nothing: they are too few, or about documents that are not there."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the settings that were best on one half of the questions.

    Attributes:
        settings: Those settings, all of them; empty if those in force were best.
        changes: What of them is not in force.
        difference: From those in force, nDCG@10, on the half that had no part in choosing; None if there is none.
        accepted: Whether they are better there by more than chance.
        reason: Why, in words.
        tried: Each settings that were tried, and their nDCG@10 on the half that chose.
    """

    settings: SettingValues
    changes: SettingValues
    difference: Difference | None
    accepted: bool
    reason: str
    tried: tuple[tuple[SettingValues, float], ...]


def halves(questions: Sequence[KnownQuestion]) -> tuple[list[KnownQuestion], list[KnownQuestion]]:
    """Two halves, drawn at random, the same ones each time."""
    mixed = sorted(questions, key=lambda one: one.id)
    random.Random(1).shuffle(mixed)
    return mixed[::2], mixed[1::2]


def undegraded(ask: Callable[[], _ResultT]) -> _ResultT:
    """Asks until nothing of a result is degraded: settings are not to be judged by what a stage left out.

    Raises:
        Unavailable: Something still is after half a minute.
    """
    found = ask()
    for _ in range(_TRIES - 1):
        if not found.degraded:
            break
        time.sleep(_PAUSE_SECONDS)
        found = ask()
    if found.degraded:
        missing = ", ".join(f"{one.stage} ({one.reason})" for one in found.degraded)
        raise Unavailable(
            f"results lack a stage: {missing}. Settings are not judged by those, so nothing was changed. See "
            "`trivium status`, and tune when all is well; with fewer --callers where the stack has too much to do",
            reason="RESULTS_DEGRADED",
        )
    return found


class SearchTuner:
    """Tries settings by asking with them.

    Args:
        trivium: The stack.
        collection: The collection's name.
        in_force: Its settings now.
        journal: What was asked before; gets what is asked.
        caller_count: How many questions are asked at once.
        on_each: Called for each question that was asked.
    """

    def __init__(
        self,
        trivium: Trivium,
        collection: str,
        in_force: SettingValues,
        journal: Journal[Tried],
        *,
        caller_count: int = 4,
        on_each: Callable[[], None] = lambda: None,
    ) -> None:
        self._trivium = trivium
        self._collection = collection
        self._steps, defaults = _STEPS, _DEFAULTS
        if in_force.get("learned_sparse"):
            self._steps, defaults = (_STEPS[0], _OF_LEARNED, *_STEPS[1:]), {**_DEFAULTS, "learned_weight": 1.0}
        now = {name: value for name, value in in_force.items() if name in defaults}
        self._in_force: SettingValues = {**defaults, **now}
        self._journal = journal
        self._caller_count = caller_count
        self._on_each = on_each

    def tune(self, questions: Sequence[KnownQuestion], *, are_made: bool) -> Verdict:
        """Looks for better settings on one half, and judges them on the other.

        Args:
            questions: With documents that answer them; at least two.
            are_made: Whether they were made of the documents' own words.

        Raises:
            UnfitQuestions: None of those that choose finds a document that answers it.
        """
        choosing, judging = halves(questions)
        tried: dict[tuple[tuple[str, object], ...], tuple[SettingValues, list[float]]] = {}

        def values(settings: SettingValues) -> list[float]:
            key = tuple(sorted(settings.items()))
            if key not in tried:
                tried[key] = (settings, self._measured(choosing, settings))
            return tried[key][1]

        best = self._in_force
        if not any(values(best)):
            raise UnfitQuestions(
                "no question finds a document that answers it. Name documents in qrels.tsv by the ids that `trivium "
                f"documents list --collection {self._collection}` shows, and a collection that has them",
                reason="DOCUMENTS_NOT_FOUND",
            )
        for step in self._steps:
            # Where nothing is better, what is in force stays.
            for change in step:
                wanted = {**best, **change}
                if sum(values(wanted)) > sum(values(best)) + 1e-9:
                    best = wanted
        shown = tuple((settings, sum(found) / len(found)) for settings, found in tried.values())
        if best == self._in_force:
            return Verdict({}, {}, None, False, "no other settings are better", shown)
        difference = compare(self._measured(judging, self._in_force), self._measured(judging, best))
        accepted, reason = _judged(difference, weakens_vectors=self._weakens_vectors(best), are_made=are_made)
        changes = {name: value for name, value in best.items() if value != self._in_force[name]}
        return Verdict(best, changes, difference, accepted, reason, shown)

    def _weakens_vectors(self, settings: SettingValues) -> bool:
        return _share_of_vectors(settings) < _share_of_vectors(self._in_force)

    def _measured(self, questions: Sequence[KnownQuestion], settings: SettingValues) -> list[float]:
        """nDCG@10 of each question."""

        def measured(question: KnownQuestion) -> Tried:
            found = undegraded(
                lambda: self._trivium.retrieve(
                    question.text, collection=self._collection, top_n=_PASSAGES, collapse=False, settings=settings
                )
            )
            documents = dict.fromkeys(one.document_id for one in found.passages)
            ranks: Mapping[str, int] = {
                document: rank for rank, document in enumerate(documents, 1) if document in question.relevant
            }
            return Tried(question.id, settings, ranking_measures(ranks, question.relevant)["ndcg_at_10"])

        tried = tried_all(
            questions,
            settings,
            measured,
            self._journal,
            is_answer=False,
            caller_count=self._caller_count,
            on_each=self._on_each,
        )
        return [one.ndcg_at_10 or 0.0 for one in tried]


def _share_of_vectors(settings: SettingValues) -> float:
    dense, sparse = (float(settings[name] or 0) for name in ("dense_weight", "sparse_weight"))
    return dense / (dense + sparse)


def _judged(difference: Difference, *, weakens_vectors: bool, are_made: bool) -> tuple[bool, str]:
    if difference.value <= 0 or difference.chance >= _CHANCE:
        return False, "not better by more than chance on the questions that did not choose it"
    if are_made and weakens_vectors and difference.low < _FLATTERED:
        return False, (
            "better, but it weakens vectors, and questions made of the documents' own words flatter the search by "
            "words: label some questions, and tune by these"
        )
    return True, "better by more than chance on the questions that did not choose it"
