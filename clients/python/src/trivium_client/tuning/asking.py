"""Asks questions with settings, several at once; what an earlier run has asked is not asked again."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from trivium_client._collections import SettingValues
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.running import as_done


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a question with some settings.

    Attributes:
        question: Its id.
        settings: The settings that were given.
        ndcg_at_10: How well its documents were found; None if it was asked for an answer.
        confidence: How sure the answer was; None if it could not tell, or if only passages were asked for.
        answerable: Whether the stack said that the documents answer it; None if only passages were asked for.
    """

    question: str
    settings: SettingValues
    ndcg_at_10: float | None = None
    confidence: float | None = None
    answerable: bool | None = None

    @property
    def id(self) -> str:
        """What it is found by."""
        return key_of(self.question, self.settings, is_answer=self.answerable is not None)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        """Reads what `asdict` made."""
        return cls(**line)


def key_of(question: str, settings: SettingValues, *, is_answer: bool) -> str:
    """What the result of a question with some settings is kept by."""
    return json.dumps([question, is_answer, sorted(settings.items())])


def memory() -> Journal[Tried]:
    """A journal that is forgotten with the process."""
    return Journal(None, {}, Tried.from_json)


def digest_of(questions: Sequence[KnownQuestion]) -> str:
    """The same for the same questions with the same judgements."""
    lines = [json.dumps([one.id, one.text, sorted(one.relevant.items()), one.answerable]) for one in questions]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def tried_all(
    questions: Sequence[KnownQuestion],
    settings: SettingValues,
    ask: Callable[[KnownQuestion], Tried],
    journal: Journal[Tried],
    *,
    is_answer: bool,
    caller_count: int,
    on_each: Callable[[], None],
) -> list[Tried]:
    """What comes of questions with some settings, in their order.

    Args:
        questions: The questions.
        settings: Those that `ask` gives.
        ask: Asks one.
        journal: What was asked before; gets what is asked now, as it ends.
        is_answer: Whether `ask` wants an answer, and not only passages.
        caller_count: How many are asked at once.
        on_each: Called for each that was asked.
    """
    keys = [key_of(one.id, settings, is_answer=is_answer) for one in questions]
    with ThreadPoolExecutor(caller_count) as pool:
        try:
            missing = [one for one, key in zip(questions, keys, strict=True) if key not in journal.entries]
            for _, done in as_done(pool, iter(missing), ask, caller_count):
                journal.add(done.result())
                on_each()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [journal.entries[key] for key in keys]
