"""The extractive answer from request to text. Deterministic: equal requests and vectors give equal answers."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Protocol

from trivium_evidence.asking import what_is_asked
from trivium_evidence.direct_answers import cell_answer, direct_answer
from trivium_evidence.sentences import Sentence, split_passages
from trivium_evidence.steps import with_named_step, without_named_step
from trivium_serving.degradation_log import DegradationLog, lasting_reason
from trivium_serving.errors import TriviumError

from trivium_generate.answer import Degradation
from trivium_generate.degradation import reason_of
from trivium_generate.extractive.scoring import Scored, add_vectors, in_reach, score_words
from trivium_generate.extractive.selection import choose, compose
from trivium_generate.extractive.versions import superseded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from trivium_generate.answer import AnswerRequest

_logger = logging.getLogger(__name__)

# Splitting and scoring words is linear in the text; this bounds it for the largest requests.
_MAX_SENTENCES = 1000
_MAX_QUOTE_CHARS = 400
# Of the time that is left, the share that sentence vectors may take.
_VECTORS_SHARE = 0.6
# A shorter sentence is a short answer itself.
_MIN_CHARS_BEHIND_SHORT_ANSWER = 60


class SentenceVectors(Protocol):
    """Where the similarities of sentences to a question come from."""

    async def similarities(self, question: str, sentences: Sequence[str], seconds: float | None) -> NDArray[np.float32]:
        """The cosine of each sentence's vector to the question's.

        Args:
            question: The question.
            sentences: The sentences.
            seconds: Longest wait, however patient this is by itself; None for no such bound.

        Raises:
            TriviumError: There are none now.
        """


@dataclass(frozen=True, slots=True)
class ExtractiveAnswer:
    """An answer and how it came about.

    Attributes:
        parts: The sentences, each followed by its citation; joined they are the answer.
        split_ms: Time for cutting passages into sentences and scoring their words.
        vectors_ms: Time for getting and using vectors.
        degradation: Set if there should have been vectors, and were none.
    """

    parts: tuple[str, ...]
    split_ms: float
    vectors_ms: float
    degradation: Degradation | None


class ExtractiveAnswerer:
    """Picks the sentences that answer a question.

    Args:
        vectors: Where similarities come from; None to go by words alone.
        candidates: How many sentences, the best by their words, are compared by vectors.
    """

    def __init__(self, vectors: SentenceVectors | None, candidates: int) -> None:
        self._vectors = vectors
        self._candidates = candidates
        self._degradations = DegradationLog(_logger)

    async def answer(self, request: AnswerRequest) -> ExtractiveAnswer:
        """Answers from the passages of a request, which has at least one."""
        begin = time.perf_counter()
        question = what_is_asked(request.meant_question)
        scored = await asyncio.to_thread(_score, request)
        split = time.perf_counter()
        scores, degradation = scored.scores, None
        rows = in_reach(scored, self._candidates)
        if self._vectors is not None and len(rows) > 1:
            texts = [scored.sentences[row].text for row in rows]
            try:
                similarities = await self._vectors.similarities(question, texts, _patience(request))
                scores = add_vectors(question, scored, rows, similarities)
            except TriviumError as error:
                self._degradations.note("embed", reason_of(error), "lexical", error)
                degradation = Degradation("embed", reason_of(error), "lexical", lasting_reason(error))
        short = _short_answer(question, scored, scores)
        chosen = [
            replace(one, text=without_named_step(question, one.text))
            for one in choose(scored, scores, is_answered=short is not None)
        ]
        is_worth = (
            short is not None and len(scored.sentences[int(scores.argmax())].text) >= _MIN_CHARS_BEHIND_SHORT_ANSWER
        )
        parts = compose(chosen, short if is_worth else None)
        end = time.perf_counter()
        return ExtractiveAnswer(parts, (split - begin) * 1e3, (end - split) * 1e3, degradation)

    async def warm_up(self, request: AnswerRequest) -> None:
        """Answers by words alone: the embedding service may well be starting at the same time."""
        scored = await asyncio.to_thread(_score, request)
        compose(choose(scored, scored.scores))


def _short_answer(question: str, scored: Scored, scores: NDArray[np.float64]) -> tuple[str, int] | None:
    """The few words that answer, and the passage that they are from."""
    sentence = scored.sentences[int(scores.argmax())]
    short = direct_answer(question, sentence.text)
    if not short and sentence.is_row:
        short = cell_answer(question, sentence.text)
    return (short, sentence.passage) if short else None


def _patience(request: AnswerRequest) -> float | None:
    """How many seconds vectors are worth waiting for, so that without them an answer by words is still in time."""
    if request.deadline is None:
        return None
    return max(0.0, request.deadline - asyncio.get_running_loop().time()) * _VECTORS_SHARE


def _score(request: AnswerRequest) -> Scored:
    question = what_is_asked(request.meant_question)
    texts = [with_named_step(question, passage.text) for passage in request.passages]
    titles = [passage.title for passage in request.passages]
    sentences = split_passages(texts, titles)[:_MAX_SENTENCES]
    # Passages of nothing but code, marks or headings have no sentences; then they are quoted as they are.
    quotes = sentences or [
        Sentence(number, 0, " ".join(passage.text.split())[:_MAX_QUOTE_CHARS])
        for number, passage in enumerate(request.passages[:1])
    ]
    return score_words(question, request.passages, quotes, superseded(question, request.passages, date.today()))
