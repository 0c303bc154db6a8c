"""Answers a question from the documents, as a stream of events that is the same whoever reads it, and however."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, InvalidField, TooLarge, TriviumError

from trivium_gateway.answering.draft import Draft
from trivium_gateway.answering.events import Delta, Event, Sources
from trivium_gateway.answering.fallback import passages_as_answer, refusal
from trivium_gateway.answering.fitting import GENERATE_SHARE, left_out, means_of, writing_in_time
from trivium_gateway.answering.judging import judged
from trivium_gateway.answering.plan import Searched
from trivium_gateway.answering.together import FoundIn
from trivium_gateway.domain.answerability import NOT_ASKED, Answerability, Refusal, UnanswerableReason
from trivium_gateway.domain.degradation import Stage
from trivium_gateway.domain.settings import AS_THE_GATEWAY
from trivium_gateway.models.generate_answers import GeneratedEnd
from trivium_gateway.models.written_answers import AskedFor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_gateway.answering.fitting import Writing
    from trivium_gateway.answering.plan import Search
    from trivium_gateway.answering.question import Question
    from trivium_gateway.answering.retrieval import Retriever
    from trivium_gateway.answering.supporting import SupportJudge
    from trivium_gateway.models.generate import GenerateClient
    from trivium_gateway.models.generate_answers import GeneratedText
    from trivium_gateway.request.record import Record

_ITS_LOG = "the generate service says so, and its log has the cause under this request's id"

_NOTHING = FoundIn((), AS_THE_GATEWAY)


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
        refusal: What becomes of a question that the documents hardly answer, unless it says so itself; None to mark it,
            and to refuse it if it is about something else altogether.
        judge: Judges citations beside words; None for words alone.
    """

    def __init__(
        self,
        retriever: Retriever,
        generate: GenerateClient,
        timeouts: WritingTimeouts,
        refusal: Refusal | None = None,
        judge: SupportJudge | None = None,
    ) -> None:
        self._retriever = retriever
        self._generate = generate
        self._timeouts = timeouts
        self._refusal = refusal
        self._judge = judge

    async def answer(self, question: Question, plan: Search | None, record: Record) -> AsyncGenerator[Event, None]:
        """Answers a question: one Sources, then deltas, then one Summary. Closing the iterator cancels all work for it.

        Args:
            question: The question; checked.
            plan: What to search for; None if documents are not to be used.
            record: Takes note of what happens.

        Raises:
            TriviumError: No evidence can be searched for, or the model failed after what it wrote was seen, or with
                AnswerMode.MODEL at all; see also Retriever.retrieve.
        """
        means = means_of(question, self._generate)
        record.budget.later = (means,)
        found = await self._retriever.retrieve(plan, record) if plan else _NOTHING
        passages, settings = found.passages, found.settings
        searched = Searched.of(question.text, plan)
        answerability = NOT_ASKED
        if plan:
            with record.stage("judge"):
                answerability = await judged(plan.queries[0].demanded.text, passages, settings)
        wanted = question.refusal or settings.refusal or self._refusal
        if wanted is Refusal.OFF and passages:
            answerability = Answerability(answerability.confidence)
        refuses = question.needs_passages and _refuses(answerability, wanted)
        yield Sources(passages, record.degraded, searched, answerability, refuses)

        def begun() -> Draft:
            return Draft(passages, searched, answerability, refused=refuses, record=record, judge=self._judge)

        draft = begun()
        if refuses:
            yield await draft.add(refusal(question, searched, passages))
        else:
            with record.stage("generate") as stage:
                stage.note({"trivium.passages": len(passages), "trivium.mode": question.mode.value})
                try:
                    writing = writing_in_time(question, passages, means, self._timeouts.whole, record)
                    draft.left_out = left_out(writing, passages)
                    async with aclosing(self._generated(question, draft, writing, record)) as pieces:
                        seconds: float | None = record.seconds(self._timeouts.begin, GENERATE_SHARE)
                        while (piece := await _next_piece(pieces, record, seconds, writing)) is not None:
                            seconds = None
                            delta = await _taken(piece, draft, record)
                            if delta and not question.strict:
                                yield delta
                except TriviumError as error:
                    # What was sent cannot be taken back, so a model that breaks off is an error and no second answer.
                    is_seen = draft.has_begun and question.is_streamed and not question.strict
                    if is_seen or question.needs_model or _is_callers_mistake(error):
                        raise
                    anew, draft = draft.has_begun, begun()
                    async for delta in _instead(question, draft, record, error):
                        if not question.strict:
                            yield replace(delta, begins_anew=anew)
                        anew = False
                stage.note(draft.outcome())
            with record.stage("verify"):
                await draft.verify()
            if question.strict:
                yield await asyncio.to_thread(draft.keep_supported, refusal(question, searched, passages))
        summary = draft.summary()
        record.note(
            {
                "trivium.answerable": summary.answerability.answerable,
                "trivium.refused": summary.refused,
                "trivium.citations": len(summary.citations),
            }
        )
        record.tokens.update(prompt=summary.prompt_tokens, completion=summary.completion_tokens)
        yield summary

    def _generated(
        self, question: Question, draft: Draft, writing: Writing, record: Record
    ) -> AsyncGenerator[GeneratedText | GeneratedEnd, None]:
        return self._generate.generate(
            question.text,
            writing.passages,
            history=question.history,
            mode=writing.mode,
            sampling=question.sampling,
            tools=question.tools,
            tool_turns=question.tool_turns,
            standalone_question=draft.searched.search_query or "",
            asked=AskedFor(question.principal.reader, similar_question=record.cached.similar_question),
            timeout_seconds=writing.seconds,
        )


async def _next_piece(
    pieces: AsyncGenerator[GeneratedText | GeneratedEnd, None], record: Record, seconds: float | None, writing: Writing
) -> GeneratedText | GeneratedEnd | None:
    """What the generate service writes next, within a time, unless that is None; None after the end."""
    begin = time.monotonic()
    try:
        async with asyncio.timeout(seconds), record.waiting("generate"):
            piece = await anext(pieces, None)
    except (TimeoutError, DeadlineExceeded) as error:
        record.budget.paces.note(writing.means, writing.spent_seconds + time.monotonic() - begin, writing.size)
        if isinstance(error, DeadlineExceeded):
            raise
        raise DeadlineExceeded(f"The generate service did not begin to write within {seconds:.3g} s.") from error
    writing.spent_seconds += time.monotonic() - begin
    if isinstance(piece, GeneratedEnd) and not piece.is_cached and piece.degradation is None:
        record.budget.paces.note(writing.means, writing.spent_seconds, writing.size)
    return piece


async def _taken(piece: GeneratedText | GeneratedEnd, draft: Draft, record: Record) -> Delta | None:
    """Puts what the generate service wrote into the draft; what of it is to be shown, if anything."""
    if isinstance(piece, GeneratedEnd):
        draft.end(piece)
        record.cached = replace(record.cached, answer=piece.is_cached)
        if piece.degradation is not None:
            record.degrade(piece.degradation, _ITS_LOG)
    elif piece.text or piece.logprobs or piece.tool_calls:
        return await draft.add_generated(piece)
    return None


async def _instead(
    question: Question, draft: Draft, record: Record, error: TriviumError
) -> AsyncGenerator[Delta, None]:
    """What is said where the generate service wrote nothing: the passages, or that there are none."""
    if draft.passages:
        record.replace(Stage.GENERATE, error, "passages")
        draft.model = "passages"
        for text, index in passages_as_answer(draft.passages):
            yield await draft.add(text, index)
    else:
        record.replace(Stage.GENERATE, error, "refusal")
        draft.refused = True
        yield await draft.add(refusal(question, draft.searched, ()))


def _refuses(answerability: Answerability, wanted: Refusal | None) -> bool:
    """Whether a question is refused rather than answered."""
    if answerability.reason is UnanswerableReason.NO_PASSAGES or wanted is Refusal.REFUSE:
        return not answerability.answerable
    return wanted is None and answerability.refuses


def _is_callers_mistake(error: TriviumError) -> bool:
    """Whether the generate service refuses how the caller wants it to write."""
    field = error.field or ""
    return isinstance(error, InvalidField | TooLarge) and field.startswith(("sampling", "tools"))
