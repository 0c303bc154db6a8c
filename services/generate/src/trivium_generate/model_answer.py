"""One answer of a language model: from what it puts out to what the caller gets."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_generate.answer import Delta, Finish, ModelDescription, Timing
from trivium_generate.backends.base import Beginning, Calling, Ending
from trivium_generate.backends.reasoning import Thoughtless
from trivium_generate.citations import CitationParser

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trivium_generate.answer import AnswerRequest, TokenLogprob
    from trivium_generate.backends.base import Output
    from trivium_generate.metrics import GenerateMetrics
    from trivium_generate.supervision import SupervisedModel


class ModelAnswer:
    """Leaves out what the model thinks, reads its citations, keeps log probabilities with their text, and counts.

    Args:
        model: What answers.
        request: What it answers.
        metrics: Where its tokens are counted.
        begin: When the request came, as `time.perf_counter` has it.
    """

    def __init__(self, model: SupervisedModel, request: AnswerRequest, metrics: GenerateMetrics, begin: float) -> None:
        self._description = _description(model, request)
        self._backend = model.description.backend
        self._request = request
        self._metrics = metrics
        self._begin = begin
        self._thoughtless = Thoughtless()
        self._beginning = Beginning(0, (), 0.0)
        self._parser = _parser(request, ())
        self._logprobs: tuple[TokenLogprob, ...] = ()
        self._last: float | None = None
        self.is_over = False
        """Whether its finish was given."""

    @property
    def has_begun(self) -> bool:
        """Whether the model has written anything of it, or ended it."""
        return self._last is not None or self.is_over

    def events_of(self, output: Output) -> Sequence[Delta | Finish]:
        """What the caller gets after an output of the model, in order.

        Raises:
            FailedPrecondition: The model ended without an answer (ANSWER_EMPTY).
        """
        return [event for one in self._thoughtless.of(output) for event in self._events_of(one)]

    def _events_of(self, output: Output) -> Iterator[Delta | Finish]:
        if isinstance(output, Beginning):
            self._beginning = output
            self._parser = _parser(self._request, numbers_of(self._request).difference(output.dropped_passages))
            return
        if isinstance(output, Ending):
            if delta := _with_logprobs(self._parser.finish(), self._logprobs, must_leave=True):
                yield delta
            self.is_over = True
            yield self._finish(output)
            return
        now, last = time.perf_counter(), self._last
        self._last = now
        if last is None:
            self._metrics.first_token(self._backend, now - self._begin)
        if isinstance(output, Calling):
            yield Delta("")
            return
        if last is not None and output.token_count:
            self._metrics.next_tokens(output.token_count, now - last)
        self._logprobs += output.logprobs
        delta = self._parser.finish() if output.tool_calls else self._parser.feed(output.text)
        if delta := _with_logprobs(delta, self._logprobs):
            self._logprobs = ()
            yield delta
        if output.tool_calls:
            yield Delta("", tool_calls=output.tool_calls)

    def _finish(self, ending: Ending) -> Finish:
        total_ms = (time.perf_counter() - self._begin) * 1e3
        beginning = self._beginning
        finish = Finish(
            reason=ending.reason,
            model=self._description,
            timing=Timing(
                queue_ms=ending.queue_ms,
                tokenize_ms=beginning.prompt_ms,
                compute_ms=max(0.0, total_ms - ending.queue_ms - beginning.prompt_ms),
                total_ms=total_ms,
            ),
            prompt_tokens=beginning.prompt_tokens if ending.prompt_tokens is None else ending.prompt_tokens,
            completion_tokens=ending.completion_tokens,
            is_usage_estimated=ending.is_estimated,
            dropped_passages=beginning.dropped_passages,
            dropped_turn_count=beginning.dropped_turn_count,
            removed_citation_count=self._parser.removed_count,
        )
        self._metrics.finished(finish)
        if ending.is_prompt_cut:
            self._metrics.prompt_cut()
        return finish


class _Verbatim:
    """In the place of a citation parser where the text is not prose: lets it pass as it is."""

    removed_count = 0

    def feed(self, piece: str) -> Delta | None:
        return Delta(piece) if piece else None

    def finish(self) -> Delta | None:
        return None


def numbers_of(request: AnswerRequest) -> frozenset[int]:
    """The numbers of the passages of a request."""
    return frozenset(range(1, len(request.passages) + 1))


def _description(model: SupervisedModel, request: AnswerRequest) -> ModelDescription:
    """What answers a request: the model, or one of its adapters."""
    if not request.adapter:
        return model.description
    fingerprint = f"{model.description.fingerprint}+{request.adapter}"
    return replace(model.description, name=request.adapter, fingerprint=fingerprint)


def _parser(request: AnswerRequest, citable: Collection[int]) -> CitationParser | _Verbatim:
    """What reads the model's answer: JSON, and what is made from no passages, holds no citations."""
    return _Verbatim() if request.sampling.json_schema or not request.passages else CitationParser(citable)


def _with_logprobs(
    delta: Delta | None, logprobs: tuple[TokenLogprob, ...], *, must_leave: bool = False
) -> Delta | None:
    if not logprobs or (delta is None and not must_leave):
        return delta
    return replace(delta or Delta(""), logprobs=logprobs)
