"""Answers a question from the documents, as a stream of events that is the same whoever reads it, and however."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_conversation.sampling import FinishReason
from trivium_serving.errors import DeadlineExceeded, InvalidField, TooLarge, TriviumError

from trivium_gateway.answering.fallback import passages_as_answer, refusal
from trivium_gateway.answering.question import NOTHING_SEARCHED, Searched
from trivium_gateway.domain.chunks import Span
from trivium_gateway.domain.degradation import Stage
from trivium_gateway.domain.passages import Citation
from trivium_gateway.models.generate import GeneratedEnd

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_conversation.sampling import TokenLogprob
    from trivium_conversation.turns import ToolCall

    from trivium_gateway.answering.question import Question, Search
    from trivium_gateway.answering.retrieval import Retriever
    from trivium_gateway.domain.degradation import Degradation
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.models.generate import GenerateClient, GeneratedText
    from trivium_gateway.request.record import Record, Timings

_ITS_LOG = "the generate service says so, and its log has the cause under this request's id"

# What a fallback needs of the remaining time once writing the answer was given up.
_GENERATE_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Sources:
    """The evidence, before anything is written.

    Attributes:
        passages: `[n]` in the answer is `passages[n-1]`.
        degraded: What was replaced so far.
        searched: What was searched for.
    """

    passages: tuple[Passage, ...]
    degraded: tuple[Degradation, ...]
    searched: Searched


@dataclass(frozen=True, slots=True)
class Delta:
    """More of the answer.

    Attributes:
        text: The text to append; empty where tools are called.
        citations: The citations in it.
        logprobs: The tokens that the model has written since the last delta, if they were asked for.
        tool_calls: Calls of tools, each of them whole; no text follows them.
    """

    text: str
    citations: tuple[Citation, ...]
    logprobs: tuple[TokenLogprob, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole answer.

    Attributes:
        answer: The text.
        answerable: Whether the documents can answer the question; true if it was not put to them.
        confidence: How sure that is, from 0 to 1; None while no calibration exists.
        citations: All citations, in the order of the text.
        passages: The evidence.
        timings: Milliseconds per stage.
        degraded: Stages that were replaced by the next best means.
        prompt_tokens: Tokens that a language model read; 0 where none ran.
        completion_tokens: Tokens that it wrote.
        is_usage_estimated: Whether these numbers are estimates, because the model's API does not count.
        model: What wrote the answer; empty for a refusal.
        dropped_passages: Numbers of the passages that did not fit into the model's context, from 1.
        finish_reason: Why the answer ended.
        tool_calls: All calls of tools; the answer goes on when it is asked for again with their results.
        searched: What was searched for.
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
    is_usage_estimated: bool
    model: str
    dropped_passages: tuple[int, ...]
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    searched: Searched = NOTHING_SEARCHED


Event = Sources | Delta | Summary


@dataclass(frozen=True, slots=True)
class WritingTimeouts:
    """How long the writing of an answer may take in seconds; the caller's deadline shortens it further.

    Attributes:
        begin: Until the first piece.
        whole: Until the end.
    """

    begin: float
    whole: float


class Answerer:
    """Leads questions through retrieval and the generate service.

    Args:
        retriever: Finds the evidence.
        generate: Writes the answer.
        timeouts: Of the writing.
    """

    def __init__(self, retriever: Retriever, generate: GenerateClient, timeouts: WritingTimeouts) -> None:
        self._retriever = retriever
        self._generate = generate
        self._timeouts = timeouts

    async def answer(self, question: Question, plan: Search | None, record: Record) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels all work for it.

        Args:
            question: The question; checked.
            plan: What to search for; None if documents are not to be used.
            record: Takes note of what happens.

        Raises:
            TriviumError: No evidence can be searched for, or the model failed after it had begun to write, or with
                AnswerMode.MODEL at all; see also Retriever.retrieve.
        """
        passages = await self._retriever.retrieve(plan, record) if plan else ()
        searched = Searched.of(question.text, plan)
        yield Sources(passages, record.degraded, searched)
        draft = _Draft(passages, searched, answerable=bool(passages) or not question.uses_documents)
        if not passages and question.needs_passages:
            yield draft.add(refusal(question.text))
        else:
            with record.stage("generate") as stage:
                stage.note({"trivium.passages": len(passages), "trivium.mode": question.mode.value})
                async with aclosing(self._write(question, draft, record)) as deltas:
                    async for delta in deltas:
                        yield delta
                stage.note(draft.outcome())
        summary = draft.summary(record)
        record.note({"trivium.answerable": summary.answerable, "trivium.citations": len(summary.citations)})
        record.tokens.update(prompt=summary.prompt_tokens, completion=summary.completion_tokens)
        yield summary

    async def _write(self, question: Question, draft: _Draft, record: Record) -> AsyncGenerator[Delta, None]:
        """Has the answer written by the generate service, or puts the passages in its place."""
        try:
            generated = self._generate.generate(
                question.text,
                draft.passages,
                history=question.history,
                mode=question.mode,
                sampling=question.sampling,
                tools=question.tools,
                tool_turns=question.tool_turns,
                standalone_question=draft.searched.search_query or "",
                timeout_seconds=record.seconds(self._timeouts.whole, _GENERATE_SHARE),
            )
            seconds: float | None = record.seconds(self._timeouts.begin, _GENERATE_SHARE)
            async with aclosing(generated) as pieces:
                while (piece := await _next_piece(pieces, record, seconds)) is not None:
                    seconds = None
                    if isinstance(piece, GeneratedEnd):
                        draft.end(piece)
                        if piece.degradation is not None:
                            record.degrade(piece.degradation, _ITS_LOG)
                    elif piece.text or piece.logprobs or piece.tool_calls:
                        yield draft.add_generated(piece)
        except TriviumError as error:
            # What was sent cannot be taken back, so a model that breaks off is an error and no second answer.
            if draft.has_begun or question.needs_model or _is_callers_mistake(error):
                raise
            if not draft.passages:
                record.replace(Stage.GENERATE, error, "refusal")
                yield draft.add(refusal(question.text))
                return
            record.replace(Stage.GENERATE, error, "passages")
            draft.model = "passages"
            for text, index in passages_as_answer(draft.passages):
                yield draft.add(text, index)


async def _next_piece(
    pieces: AsyncGenerator[GeneratedText | GeneratedEnd, None], record: Record, seconds: float | None
) -> GeneratedText | GeneratedEnd | None:
    """What the generate service writes next, within a time, unless that is None; None after the end."""
    try:
        async with asyncio.timeout(seconds), record.waiting("generate"):
            return await anext(pieces, None)
    except TimeoutError as error:
        raise DeadlineExceeded(f"The generate service did not begin to write within {seconds:.3g} s.") from error


def _is_callers_mistake(error: TriviumError) -> bool:
    """Whether the generate service refuses how the caller wants it to write."""
    field = error.field or ""
    return isinstance(error, InvalidField | TooLarge) and field.startswith(("sampling", "tools"))


class _Draft:
    """An answer while it is written."""

    def __init__(self, passages: tuple[Passage, ...], searched: Searched, *, answerable: bool) -> None:
        self.passages = passages
        self.searched = searched
        self.answerable = answerable
        self.text = ""
        self.model = ""
        self._citations: list[Citation] = []
        self._prompt_tokens = 0
        self._completion_tokens = 0
        self._is_usage_estimated = False
        self._dropped_passages: tuple[int, ...] = ()
        self._finish_reason = FinishReason.STOP
        self._tool_calls: tuple[ToolCall, ...] = ()
        self.has_begun = False

    def add(self, text: str, cited: int | None = None) -> Delta:
        """Appends text of our own; with `cited`, it ends in that citation."""
        self.text += text
        self.has_begun = True
        citations: tuple[Citation, ...] = ()
        if cited is not None:
            end = len(self.text)
            citations = (Citation(cited, self.passages[cited - 1], Span(end - len(f"[{cited}]"), end)),)
        self._citations += citations
        return Delta(text, citations)

    def add_generated(self, piece: GeneratedText) -> Delta:
        """Appends what the generate service wrote."""
        self.text += piece.text
        self.has_begun = True
        citations = tuple(
            Citation(one.index, self.passages[one.index - 1], one.answer_span)
            for one in piece.citations
            if 1 <= one.index <= len(self.passages)
        )
        self._citations += citations
        self._tool_calls += piece.tool_calls
        return Delta(piece.text, citations, piece.logprobs, piece.tool_calls)

    def end(self, end: GeneratedEnd) -> None:
        """Notes how the generate service ended the answer."""
        self.model = end.model
        self._prompt_tokens, self._completion_tokens = end.prompt_tokens, end.completion_tokens
        self._is_usage_estimated = end.is_usage_estimated
        self._dropped_passages = end.dropped_passages
        self._finish_reason = end.reason

    def outcome(self) -> dict[str, str | int]:
        """What a trace says of the answer."""
        return {
            "gen_ai.response.model": self.model,
            "gen_ai.usage.input_tokens": self._prompt_tokens,
            "gen_ai.usage.output_tokens": self._completion_tokens,
            "trivium.citations": len(self._citations),
        }

    def summary(self, record: Record) -> Summary:
        """The whole answer."""
        return Summary(
            answer=self.text,
            answerable=self.answerable,
            confidence=None,
            citations=tuple(self._citations),
            passages=self.passages,
            timings=record.timings(),
            degraded=record.degraded,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            is_usage_estimated=self._is_usage_estimated,
            model=self.model,
            dropped_passages=self._dropped_passages,
            finish_reason=self._finish_reason,
            tool_calls=self._tool_calls,
            searched=self.searched,
        )
