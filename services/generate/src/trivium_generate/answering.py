"""The one path from a request to an answer: by the model, or extractively, and never silently by the wrong one."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.degradation_log import DegradationLog, lasting_reason
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, InvalidField, Overloaded, Unavailable

from trivium_generate.answer import Degradation, Delta, Finish, FinishReason, Mode, ModelDescription, Timing
from trivium_generate.backends.base import PromptTooLong
from trivium_generate.citations import CitationParser
from trivium_generate.degradation import reason_of
from trivium_generate.model_answer import ModelAnswer, numbers_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from trivium_serving.admission import Admission

    from trivium_generate.answer import AnswerRequest
    from trivium_generate.backends.base import Output
    from trivium_generate.extractive.answering import ExtractiveAnswerer
    from trivium_generate.limits import Limits
    from trivium_generate.metrics import GenerateMetrics
    from trivium_generate.supervision import SupervisedModel

_logger = logging.getLogger(__name__)

EXTRACTIVE = ModelDescription(name="extractive", backend="extractive", fingerprint="extractive-2", runtime="python")

# Tokens are estimated from characters where only their order of magnitude counts.
_CHARS_PER_TOKEN = 4
# Time within the caller's deadline that is kept for an extractive answer, which takes much less; and its share at most.
_FALLBACK_SECONDS = 0.5
_FALLBACK_SHARE = 0.2


class Answerer:
    """Answers requests.

    Args:
        extractive: Answers without a model; always there.
        model: The language model; None if none is configured.
        limits: What a request may hold.
        metrics: Where answers are counted.
        extractive_places: Bounds the extractive answers at a time.
        model_places: Bounds the model's answers at a time.
    """

    def __init__(
        self,
        *,
        extractive: ExtractiveAnswerer,
        model: SupervisedModel | None,
        limits: Limits,
        metrics: GenerateMetrics,
        extractive_places: Admission,
        model_places: Admission,
    ) -> None:
        self._extractive = extractive
        self._model = model
        self._limits = limits
        self._metrics = metrics
        self._extractive_places = extractive_places
        self._model_places = model_places
        self._degradations = DegradationLog(_logger)

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Delta | Finish, None]:
        """Answers as a stream: deltas, then one finish.

        In mode AUTO a model that cannot answer is replaced by the extractive answer, as long as nothing of the
        model's answer has left: two answers are never glued together. Nor is an answer extracted that was to satisfy a
        schema or to call a tool, or that has no passages to be extracted from.

        Raises:
            InvalidField, TooLarge: The request breaks a limit, or asks in mode EXTRACTIVE for what needs a model.
            FailedPrecondition: No model is configured, and the request needs one.
            Unavailable: The model is loading or broken, or broke while it answered.
            Overloaded: There is no capacity.
        """
        begin = time.perf_counter()
        self._limits.check(request)
        self._check_means(request)
        degradation = None
        if self._model is not None and request.mode is not Mode.EXTRACTIVE:
            begun = False
            try:
                async with aclosing(self._by_model(self._model, _hurried(request), begin)) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except (Unavailable, Overloaded, PromptTooLong, FailedPrecondition, DeadlineExceeded) as error:
                if begun or request.mode is Mode.MODEL or not _is_extractable(request):
                    raise
                self._degradations.note("generate", reason_of(error), "extractive", error)
                degradation = Degradation("generate", reason_of(error), "extractive", lasting_reason(error))
        async with aclosing(self._extractively(request, degradation, begin)) as events:
            async for event in events:
                yield event

    async def warm_up(self, request: AnswerRequest) -> None:
        """Answers once extractively, so that the first caller does not wait for imports and connections."""
        await self._extractive.warm_up(request)

    def _check_means(self, request: AnswerRequest) -> None:
        """Whether what the request asks for can be done by the means that it allows."""
        need = _need_of_model(request)
        if request.mode is Mode.EXTRACTIVE:
            if need is not None:
                field, why = need
                raise InvalidField(field, f"An extractive answer cannot do that: {why}. Ask in mode AUTO or MODEL.")
        elif self._model is None:
            if request.mode is Mode.MODEL or need is not None:
                raise FailedPrecondition(
                    "No language model is configured. Set TRIVIUM_GENERATE_BACKEND and TRIVIUM_GENERATE_MODEL, "
                    "or ask in mode AUTO" + (f" without {need[0]}." if need and need[0] != "passages" else "."),
                    reason="NO_MODEL",
                )
        elif request.adapter and request.adapter not in self._model.adapters:
            known = ", ".join(self._model.adapters) or "none"
            raise InvalidField("adapter", f"There is no adapter {request.adapter}; there are: {known}.")

    async def _by_model(
        self, model: SupervisedModel, request: AnswerRequest, begin: float
    ) -> AsyncGenerator[Delta | Finish, None]:
        answer = ModelAnswer(model, request, self._metrics, begin)
        with self._model_places.admit(_estimate_tokens(request)), self._metrics.running(model.description.backend):
            async with aclosing(model.generate(request)) as outputs:
                for event in await _beginning(answer, outputs, request.deadline):
                    yield event
                async for output in outputs:
                    for event in answer.events_of(output):
                        yield event
        if not answer.is_over:
            raise Unavailable("The model ended its answer without saying why. Try again.")

    async def _extractively(
        self, request: AnswerRequest, degradation: Degradation | None, begin: float
    ) -> AsyncGenerator[Delta | Finish, None]:
        parser = CitationParser(numbers_of(request))
        with self._extractive_places.admit(_estimate_tokens(request)), self._metrics.running(EXTRACTIVE.backend):
            answer = await self._extractive.answer(request)
            self._metrics.first_token(EXTRACTIVE.backend, time.perf_counter() - begin)
            for part in answer.parts:
                if delta := parser.feed(part):
                    yield delta
            if delta := parser.finish():
                yield delta
        for used in (degradation, answer.degradation):
            if used is not None:
                self._metrics.fell_back(used)
        finish = Finish(
            reason=FinishReason.STOP,
            model=EXTRACTIVE,
            timing=Timing(
                tokenize_ms=answer.split_ms,
                compute_ms=answer.vectors_ms,
                total_ms=(time.perf_counter() - begin) * 1e3,
            ),
            degradation=degradation or answer.degradation,
            removed_citation_count=parser.removed_count,
        )
        self._metrics.finished(finish)
        yield finish


async def _beginning(
    answer: ModelAnswer, outputs: AsyncGenerator[Output, None], deadline: float | None
) -> Sequence[Delta | Finish]:
    """The first events of an answer, which has to begin before a deadline on the event loop's clock.

    Raises:
        DeadlineExceeded: It has not begun.
    """
    try:
        async with asyncio.timeout_at(deadline):
            async for output in outputs:
                events = answer.events_of(output)
                if answer.has_begun:
                    return events
    except TimeoutError as error:
        raise DeadlineExceeded("The model had written nothing of its answer in time. Allow more.") from error
    return ()


def _need_of_model(request: AnswerRequest) -> tuple[str, str] | None:
    """The field that only a language model can satisfy, if there is one, and why."""
    if request.sampling.json_schema:
        return "sampling.json_schema", "it consists of sentences of the passages, not of JSON"
    if not request.passages:
        return "passages", "there are no passages to extract it from"
    if request.tools.are_required:
        return "tools.choice", "it calls no tools"
    if request.adapter:
        return "adapter", "adapters belong to language models"
    return None


def _is_extractable(request: AnswerRequest) -> bool:
    """Whether an extractive answer is better than none: by another means, but still what was asked for."""
    return bool(request.passages) and not request.sampling.json_schema and not request.tools.are_required


def _hurried(request: AnswerRequest) -> AnswerRequest:
    """A request that the model has to begin to answer early enough for an extractive answer in its place."""
    if request.deadline is None or request.mode is not Mode.AUTO or not _is_extractable(request):
        return request
    left = request.deadline - asyncio.get_running_loop().time()
    return replace(request, deadline=request.deadline - min(_FALLBACK_SECONDS, left * _FALLBACK_SHARE))


def _estimate_tokens(request: AnswerRequest) -> int:
    turns, tools = (*request.history, *request.tool_turns), request.tools.definitions
    texts = [request.question, *(turn.content for turn in turns), *(p.text for p in request.passages)]
    schemas = sum(len(tool.description) + len(tool.parameters) for tool in tools)
    return (sum(map(len, texts)) + schemas) // _CHARS_PER_TOKEN + 1
