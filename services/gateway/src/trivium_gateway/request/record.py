"""What one request goes through: its time, its stages, what each saw and decided, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trivium_serving import tracing
from trivium_serving.degradation_log import DegradationLog, lasting_reason
from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    InvalidField,
    NotFound,
    Overloaded,
    QuotaExceeded,
    TooLarge,
    TriviumError,
)

from trivium_gateway.domain.cached import NOTHING_CACHED, Cached
from trivium_gateway.domain.degradation import Degradation, Reason, Stage, degradable_reason
from trivium_gateway.request.budget import TOO_SHORT, Budget

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from trivium_serving.pulse import Pulse

    from trivium_gateway.domain.standings import Ordered, Ranked
    from trivium_gateway.request.outcomes import Outcomes
    from trivium_gateway.request.principal import Principal

OPERATIONS = ("answer", "retrieve", "rerank", "embed")
OUTCOMES = ("ok", "degraded", "invalid", "overloaded", "timeout", "failed", "cancelled")

_log = DegradationLog(logging.getLogger(__name__))


@dataclass(slots=True)
class StageRecord:
    """One run of a stage.

    Attributes:
        name: The stage's name; a new stage needs nothing but a new one.
        start_seconds: When it began, from the arrival of the request.
        seconds: How long it took, ended well or not; None while it runs.
        facts: What it saw and decided, by the names that traces have for it: numbers, names and ids, never texts.
        size: How much it has to do, for Paces; 0 where its time says nothing of others'.
    """

    name: str
    start_seconds: float
    span: tracing.Span
    seconds: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    size: int = 0

    def note(self, facts: Mapping[str, tracing.AttributeValue]) -> None:
        """Notes what the stage saw or decided."""
        self.facts.update(facts)
        self.span.set(facts)


@dataclass(frozen=True, slots=True)
class StageTime:
    """When a stage ran, in milliseconds from the arrival of the request, and for how long."""

    name: str
    start: float
    duration: float


@dataclass(frozen=True, slots=True)
class Timings:
    """The times of one request.

    Attributes:
        stages: In the order in which they began; one that ran again is there again.
        total: Milliseconds from the arrival of the request until now.
    """

    stages: tuple[StageTime, ...]
    total: float

    def of(self, name: str) -> float | None:
        """Milliseconds of a stage, all its runs together; None if it did not run."""
        runs = [one.duration for one in self.stages if one.name == name]
        return sum(runs) if runs else None


class Record:
    """One question or query on its way.

    Whatever the stages see and decide is noted here, once: timings, `degraded` and traces are read off it on the way,
    and metrics when it has ended (see QuestionMetrics.observe).

    Args:
        operation: One of OPERATIONS.
        principal: Who asks.
        seconds: How long the caller waits.
        pulses: By service, embed, search, rerank or generate, whether what runs it answers at all.
        outcomes: Where it is noted whether each stage worked.
    """

    def __init__(
        self, operation: str, principal: Principal, seconds: float, pulses: Mapping[str, Pulse], outcomes: Outcomes
    ) -> None:
        self.operation = operation
        self.principal = principal
        self.stages: list[StageRecord] = []
        self.degraded: tuple[Degradation, ...] = ()
        """What was replaced so far."""
        self.tokens: Counter[str] = Counter()
        """Tokens that models read or wrote, by kind: see TOKEN_KINDS."""
        self.first_text_seconds: float | None = None
        """When there was text of the answer."""
        self.facts: dict[str, Any] = {}
        """What was seen and decided about the whole request, by the names that traces have for it."""
        self.outcome = ""
        self.settings: Mapping[str, Any] = {}
        """Settings of the search, the collection's and what the request sets."""
        self.found: Sequence[Sequence[Ranked]] = ()
        """What the search found for each query, best first, what it cut off behind the rest."""
        self.ordered: Sequence[Ordered] = ()
        """The candidates as they were ordered, best first."""
        self.cached: Cached = NOTHING_CACHED
        """What was not made anew."""
        self.budget = Budget(seconds, outcomes.paces)
        """What is left of the caller's time."""
        self._begin = time.perf_counter()
        self._pulses = pulses
        self._outcomes = outcomes
        self._span = tracing.current()

    def elapsed_seconds(self) -> float:
        """Since the arrival of the request."""
        return time.perf_counter() - self._begin

    def timings(self) -> Timings:
        """What was measured so far."""
        ended = [one for one in self.stages if one.seconds is not None]
        return Timings(
            tuple(StageTime(one.name, one.start_seconds * 1000, (one.seconds or 0.0) * 1000) for one in ended),
            self.elapsed_seconds() * 1000,
        )

    @contextmanager
    def stage(self, name: str, service: str = "") -> Iterator[StageRecord]:
        """Records the block as one run of a stage, which is also a span of the trace.

        Whether the stage worked is noted, too: an error within means that it did not, and so does a replacement.

        Args:
            name: The stage's.
            service: What it runs in, where there are several that it can; empty where there is one.
        """
        replaced = self.degraded
        try:
            with tracing.span(name) as span:
                run = StageRecord(name, self.elapsed_seconds(), span)
                self.stages.append(run)
                try:
                    yield run
                finally:
                    run.seconds = self.elapsed_seconds() - run.start_seconds
        except TriviumError as error:
            self._outcomes.failed(service or name, error)
            if isinstance(error, DeadlineExceeded) and error.reason != TOO_SHORT:
                self._pace(run)
            raise
        self._pace(run)
        if self.degraded == replaced:
            self._outcomes.worked(service or name)

    def _pace(self, run: StageRecord) -> None:
        if run.size:
            self.budget.paces.note(run.name, run.seconds or 0.0, run.size)

    def seconds(self, at_most: float, share: float) -> float:
        """How long something may take; see Budget.seconds."""
        return self.budget.seconds(at_most, share)

    def waiting(self, service: str) -> AbstractAsyncContextManager[None]:
        """Waits for a service within the block, which ends if the service falls silent; see Pulse.waiting."""
        return self._pulses[service].waiting()

    def replace(self, stage: str, error: TriviumError, fallback: str) -> None:
        """Notes that a stage failed and what takes its place.

        Raises:
            TriviumError: The error itself, if the request is at fault and nothing may take the stage's place.
        """
        reason = degradable_reason(error)
        if reason is None:
            raise error
        if stage == Stage.GENERATE:  # replaced while it is timed, so that its error does not get out of that
            self._outcomes.failed(stage, error)
        self.degrade(Degradation(stage, reason, fallback, lasting_reason(error)), error)

    def degrade(self, degradation: Degradation, cause: TriviumError | str) -> None:
        """Notes a degradation.

        Args:
            degradation: What was replaced.
            cause: What it comes from, for the log.
        """
        _log.note(degradation.stage, degradation.reason, degradation.fallback, cause)
        self.degraded += (degradation,)
        self._span.set({"trivium.degraded": [str(one) for one in self.degraded]})

    def fit(self, stage: str, fallback: str, cause: str) -> None:
        """Notes that a stage did less than it should, to be done in time."""
        self.budget.decided[stage, "fewer"] += 1
        self.degrade(Degradation(stage, Reason.TIMEOUT, fallback), cause)

    def note(self, facts: Mapping[str, tracing.AttributeValue]) -> None:
        """Notes what was seen or decided about the whole request."""
        self.facts.update(facts)
        self._span.set(facts)

    def begin_text(self) -> None:
        """Notes that there is text of the answer."""
        if self.first_text_seconds is None:
            self.first_text_seconds = self.elapsed_seconds()

    def end(self) -> None:
        """Notes that everything is there, by whatever means."""
        self.outcome = "degraded" if self.degraded else "ok"

    def fail(self, error: BaseException) -> None:
        """Notes how an error ended it, unless everything was there before."""
        self.outcome = self.outcome or _outcome_of(error)


def _outcome_of(error: BaseException) -> str:
    """What an error makes of a request: one of OUTCOMES."""
    if isinstance(error, (InvalidField, TooLarge, NotFound, AlreadyExists, QuotaExceeded)):
        return "invalid"
    if isinstance(error, Overloaded):
        return "overloaded"
    if isinstance(error, DeadlineExceeded):
        return "timeout"
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)) and not isinstance(error, TriviumError):
        return "cancelled"
    return "failed"
