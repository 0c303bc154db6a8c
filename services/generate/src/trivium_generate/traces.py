"""The span of one answer, as OpenTelemetry's conventions for generative models describe it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_serving import tracing

from trivium_generate.answer import Delta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trivium_generate.answer import AnswerRequest, Finish


@contextmanager
def traced(request: AnswerRequest, model: str) -> Iterator[Callable[[Delta | Finish], None]]:
    """Tells an answer as a span: who wrote it, when its first text came, its tokens, and why it ended.

    Args:
        request: What it answers.
        model: Name of what is to write it.

    Yields:
        What takes note of each of its events.
    """
    if not tracing.is_on():
        yield lambda event: None
        return
    begin, has_begun = time.perf_counter(), False

    def note(event: Delta | Finish) -> None:
        nonlocal has_begun
        if not isinstance(event, Delta):
            span.set(_outcome(event))
        elif not has_begun:
            has_begun = True
            span.event("first token")
            span.set({"gen_ai.response.time_to_first_chunk": time.perf_counter() - begin})

    with tracing.span(f"chat {model}") as span:
        span.set(_asked(request, model))
        yield note


def _asked(request: AnswerRequest, model: str) -> tracing.Attributes:
    sampling = request.sampling
    given: dict[str, int | float | None] = {
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.seed": sampling.seed,
    }
    asked: dict[str, tracing.AttributeValue] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json" if sampling.json_schema else "text",
        "trivium.mode": request.mode.value,
        "trivium.passages": len(request.passages),
        "trivium.turns": len(request.history),
    }
    return asked | {name: value for name, value in given.items() if value is not None}


def _outcome(finish: Finish) -> tracing.Attributes:
    outcome: dict[str, tracing.AttributeValue] = {
        "gen_ai.provider.name": finish.model.backend,
        "gen_ai.response.model": finish.model.name,
        "gen_ai.response.finish_reasons": [finish.reason.value],
        "gen_ai.usage.input_tokens": finish.prompt_tokens,
        "gen_ai.usage.output_tokens": finish.completion_tokens,
        "trivium.queue_ms": finish.timing.queue_ms,
        "trivium.compute_ms": finish.timing.compute_ms,
        "trivium.dropped_passages": len(finish.dropped_passages),
    }
    if finish.degradation is not None:
        used = finish.degradation
        outcome["trivium.degraded"] = [f"{used.stage}:{used.reason}:{used.fallback}"]
    return outcome
