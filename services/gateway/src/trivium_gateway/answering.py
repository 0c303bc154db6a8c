"""Answers a question from the documents, as a stream of events that is the same whoever reads it, and however."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_gateway.clients.generate import GeneratedEnd
from trivium_gateway.conversation import AnswerMode
from trivium_gateway.degradation import Degradation, Stage, degradable_reason
from trivium_gateway.fallback_answers import passages_as_answer, refusal
from trivium_gateway.passages import Citation, Span

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_gateway.clients.generate import GenerateClient, GeneratedText
    from trivium_gateway.conversation import Message
    from trivium_gateway.deadline import Deadline
    from trivium_gateway.metrics import QuestionMetrics
    from trivium_gateway.passages import Passage
    from trivium_gateway.retrieval import Retriever, Search
    from trivium_gateway.timing import StageClock, Timings

# What a fallback needs of the remaining time once writing the answer was given up.
_GENERATE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and how it is to be answered.

    Attributes:
        search: Where to look for the answer; its query is the question.
        history: Earlier turns of the conversation, oldest first.
        mode: By which means.
    """

    search: Search
    history: tuple[Message, ...] = ()
    mode: AnswerMode = AnswerMode.AUTO


@dataclass(frozen=True, slots=True)
class Sources:
    """The evidence, before anything is written.

    Attributes:
        passages: `[n]` in the answer is `passages[n-1]`.
        degraded: What was replaced so far.
    """

    passages: tuple[Passage, ...]
    degraded: tuple[Degradation, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """More text of the answer, and the citations in it."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole answer.

    Attributes:
        answer: The text.
        answerable: Whether the documents can answer the question.
        confidence: How sure that is, from 0 to 1; None while no calibration exists.
        citations: All citations, in the order of the text.
        passages: The evidence.
        timings: Milliseconds per stage.
        degraded: Stages that were replaced by the next best means.
        prompt_tokens: Tokens that a language model read; 0 where none ran.
        completion_tokens: Tokens that it wrote.
        model: What wrote the answer; empty for a refusal.
    """

    answer: str
    answerable: bool
    confidence: float | None
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    timings: Timings
    degraded: tuple[Degradation, ...]
    prompt_tokens: int
    completion_tokens: int
    model: str


Event = Sources | Delta | Summary


class Answerer:
    """Leads questions through retrieval and the generate service.

    Args:
        retriever: Finds the evidence.
        generate: Writes the answer.
        metrics: Where stages and degradations are counted.
        generate_timeout_seconds: How long the writing may take.
    """

    def __init__(
        self,
        retriever: Retriever,
        generate: GenerateClient,
        metrics: QuestionMetrics,
        *,
        generate_timeout_seconds: float,
    ) -> None:
        self._retriever = retriever
        self._generate = generate
        self._metrics = metrics
        self._generate_timeout_seconds = generate_timeout_seconds

    async def answer(self, question: Question, *, deadline: Deadline, clock: StageClock) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels all work for it.

        Args:
            question: The question.
            deadline: When the caller stops waiting.
            clock: Times the stages.

        Raises:
            TriviumError: The question breaks a rule, no evidence can be searched for, or the model failed after it had
                begun to write, or with AnswerMode.MODEL at all.
        """
        found = await self._retriever.retrieve(question.search, deadline=deadline, clock=clock)
        yield Sources(found.passages, found.degraded)
        draft = _Draft(found.passages, list(found.degraded))
        if not found.passages:
            yield draft.add(refusal(question.search.query))
        else:
            with clock.stage("generate"):
                async with aclosing(self._write(question, draft, deadline)) as deltas:
                    async for delta in deltas:
                        yield delta
        self._metrics.count_answer(answerable=bool(found.passages))
        yield draft.summary(clock.timings())

    async def _write(self, question: Question, draft: _Draft, deadline: Deadline) -> AsyncGenerator[Delta, None]:
        """Has the answer written by the generate service, or puts the passages in its place."""
        generated = self._generate.generate(
            question.search.query,
            draft.passages,
            history=question.history,
            mode=question.mode,
            timeout_seconds=deadline.stage_seconds(self._generate_timeout_seconds, _GENERATE_SHARE),
        )
        try:
            async with aclosing(generated) as pieces:
                async for piece in pieces:
                    if isinstance(piece, GeneratedEnd):
                        draft.end(piece)
                        if piece.degradation is not None:
                            self._metrics.count_degraded(piece.degradation)
                    elif piece.text:
                        yield draft.add_generated(piece)
        except TriviumError as error:
            reason = degradable_reason(error)
            # What was sent cannot be taken back, so a model that breaks off is an error and no second answer.
            if reason is None or draft.text or question.mode is AnswerMode.MODEL:
                raise
            degradation = Degradation(Stage.GENERATE, reason, "passages")
            draft.degraded.append(degradation)
            draft.model = "passages"
            self._metrics.count_degraded(degradation)
            for text, index in passages_as_answer(draft.passages):
                yield draft.add(text, index)


class _Draft:
    """An answer while it is written."""

    def __init__(self, passages: tuple[Passage, ...], degraded: list[Degradation]) -> None:
        self.passages = passages
        self.degraded = degraded
        self.text = ""
        self.model = ""
        self._citations: list[Citation] = []
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def add(self, text: str, cited: int | None = None) -> Delta:
        """Appends text of our own; with `cited`, it ends in that citation."""
        self.text += text
        citations: tuple[Citation, ...] = ()
        if cited is not None:
            end = len(self.text)
            citations = (Citation(cited, self.passages[cited - 1], Span(end - len(f"[{cited}]"), end)),)
        self._citations += citations
        return Delta(text, citations)

    def add_generated(self, piece: GeneratedText) -> Delta:
        """Appends what the generate service wrote."""
        self.text += piece.text
        citations = tuple(
            Citation(one.index, self.passages[one.index - 1], one.answer_span)
            for one in piece.citations
            if 1 <= one.index <= len(self.passages)
        )
        self._citations += citations
        return Delta(piece.text, citations)

    def end(self, end: GeneratedEnd) -> None:
        """Notes how the generate service ended the answer."""
        self.model = end.model
        self._prompt_tokens, self._completion_tokens = end.prompt_tokens, end.completion_tokens
        if end.degradation is not None:
            self.degraded.append(end.degradation)

    def summary(self, timings: Timings) -> Summary:
        """The whole answer."""
        return Summary(
            answer=self.text,
            answerable=bool(self.passages),
            confidence=None,
            citations=tuple(self._citations),
            passages=self.passages,
            timings=timings,
            degraded=tuple(self.degraded),
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            model=self.model,
        )
