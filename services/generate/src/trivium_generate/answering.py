"""The one path from a request to an answer: by the model, or extractively, and never silently by the wrong one."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, Overloaded, Unavailable

from trivium_generate.answer import Degradation, Delta, Finish, FinishReason, Mode, ModelDescription, Timing
from trivium_generate.backends.base import Beginning, Ending, PromptTooLong
from trivium_generate.citations import CitationParser
from trivium_generate.degradation import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from trivium_serving.admission import Admission

    from trivium_generate.answer import AnswerRequest
    from trivium_generate.extractive.answering import ExtractiveAnswerer
    from trivium_generate.limits import Limits
    from trivium_generate.metrics import GenerateMetrics
    from trivium_generate.supervision import SupervisedModel

EXTRACTIVE = ModelDescription(name="extractive", backend="extractive", fingerprint="extractive-1", runtime="python")

# Tokens are estimated from characters where only their order of magnitude counts.
_CHARS_PER_TOKEN = 4


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

    async def answer(self, request: AnswerRequest) -> AsyncGenerator[Delta | Finish, None]:
        """Answers as a stream: deltas, then one finish.

        In mode AUTO a model that cannot answer is replaced by the extractive answer, as long as nothing of the
        model's answer has left: two answers are never glued together.

        Raises:
            InvalidField, TooLarge: The request breaks a limit.
            FailedPrecondition: Mode MODEL, and no model is configured.
            Unavailable: The model is loading or broken, or broke while it answered.
            Overloaded: There is no capacity.
        """
        begin = time.perf_counter()
        self._limits.check(request)
        degradation = None
        if request.mode is Mode.MODEL and self._model is None:
            raise FailedPrecondition(
                "No language model is configured. Set TRIVIUM_GENERATE_BACKEND and TRIVIUM_GENERATE_MODEL, "
                "or ask in mode AUTO.",
                reason="NO_MODEL",
            )
        if self._model is not None and request.mode is not Mode.EXTRACTIVE:
            begun = False
            try:
                async with aclosing(self._by_model(self._model, request, begin)) as events:
                    async for event in events:
                        begun = True
                        yield event
                return
            except (Unavailable, Overloaded, PromptTooLong) as error:
                if begun or request.mode is Mode.MODEL:
                    raise
                degradation = Degradation("generate", reason_of(error), "extractive")
        async with aclosing(self._extractively(request, degradation, begin)) as events:
            async for event in events:
                yield event

    async def warm_up(self, request: AnswerRequest) -> None:
        """Answers once extractively, so that the first caller does not wait for imports and connections."""
        await self._extractive.warm_up(request)

    async def _by_model(
        self, model: SupervisedModel, request: AnswerRequest, begin: float
    ) -> AsyncGenerator[Delta | Finish, None]:
        backend = model.description.backend
        beginning, parser, last = Beginning(0, (), 0.0), CitationParser(()), None
        with self._model_places.admit(_estimate_tokens(request)), self._metrics.running(backend):
            async with aclosing(model.generate(request)) as outputs:
                async for output in outputs:
                    if isinstance(output, Beginning):
                        beginning = output
                        parser = CitationParser(_numbers(request).difference(output.dropped_passages))
                        continue
                    if isinstance(output, Ending):
                        if delta := parser.finish():
                            yield delta
                        yield self._model_finish(model, beginning, output, parser.removed_count, begin)
                        return
                    now = time.perf_counter()
                    if last is None:
                        self._metrics.first_token(backend, now - begin)
                    elif output.token_count:
                        self._metrics.next_tokens(output.token_count, now - last)
                    last = now
                    if delta := parser.feed(output.text):
                        yield delta
        raise Unavailable("The model ended its answer without saying why. Try again.")

    def _model_finish(
        self, model: SupervisedModel, beginning: Beginning, ending: Ending, removed_count: int, begin: float
    ) -> Finish:
        total_ms = (time.perf_counter() - begin) * 1e3
        finish = Finish(
            reason=ending.reason,
            model=model.description,
            timing=Timing(
                queue_ms=ending.queue_ms,
                tokenize_ms=beginning.prompt_ms,
                compute_ms=max(0.0, total_ms - ending.queue_ms - beginning.prompt_ms),
                total_ms=total_ms,
            ),
            prompt_tokens=beginning.prompt_tokens,
            completion_tokens=ending.completion_tokens,
            dropped_passages=beginning.dropped_passages,
            removed_citation_count=removed_count,
        )
        self._metrics.finished(finish)
        return finish

    async def _extractively(
        self, request: AnswerRequest, degradation: Degradation | None, begin: float
    ) -> AsyncGenerator[Delta | Finish, None]:
        parser = CitationParser(_numbers(request))
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


def _numbers(request: AnswerRequest) -> frozenset[int]:
    """The numbers of the passages of a request."""
    return frozenset(range(1, len(request.passages) + 1))


def _estimate_tokens(request: AnswerRequest) -> int:
    texts = [request.question, *(turn.content for turn in request.history), *(p.text for p in request.passages)]
    return sum(map(len, texts)) // _CHARS_PER_TOKEN + 1
