"""Measures the stages of one request, and traces them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving import tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds per stage; None where a stage did not run.

    Attributes:
        embed: The question's embedding.
        search: The search.
        rerank: The reranking.
        generate: The writing of the answer.
        total: From the arrival of the request until now.
    """

    embed: float | None
    search: float | None
    rerank: float | None
    generate: float | None
    total: float


class StageClock:
    """Times the stages of one request, and reports each to the metrics.

    Args:
        report: Called with a stage's name and its seconds when it ends, well or not.
    """

    def __init__(self, report: Callable[[str, float], None]) -> None:
        self._report = report
        self._start = time.perf_counter()
        self._milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[tracing.Span]:
        """Times the block as one stage, embed, search, rerank or generate, which is also a span."""
        start = time.perf_counter()
        try:
            with tracing.span(name) as span:
                yield span
        finally:
            seconds = time.perf_counter() - start
            self._milliseconds[name] = seconds * 1000
            self._report(name, seconds)

    def timings(self) -> Timings:
        """What was measured so far."""
        measured = self._milliseconds
        return Timings(
            embed=measured.get("embed"),
            search=measured.get("search"),
            rerank=measured.get("rerank"),
            generate=measured.get("generate"),
            total=(time.perf_counter() - self._start) * 1000,
        )
