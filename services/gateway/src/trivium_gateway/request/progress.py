"""One request on its way through the stages: its time, what was measured, what was replaced."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_serving import tracing
from trivium_serving.degradation_log import DegradationLog, lasting_reason
from trivium_serving.errors import TriviumError

from trivium_gateway.domain.degradation import Degradation, Stage, degradable_reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from trivium_serving.pulse import Pulse

    from trivium_gateway.request.deadline import Deadline
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.outcomes import Outcomes
    from trivium_gateway.request.timing import StageClock, Timings

_log = DegradationLog(logging.getLogger(__name__))


class Progress:
    """What the stages of one request share.

    Args:
        deadline: When the caller stops waiting.
        clock: Times the stages.
        pulses: By stage, embed, search, rerank or generate, whether what it runs in answers at all.
        outcomes: Where it is noted whether each stage worked.
        metrics: Where degradations are counted.
    """

    def __init__(
        self,
        deadline: Deadline,
        clock: StageClock,
        pulses: Mapping[str, Pulse],
        outcomes: Outcomes,
        metrics: QuestionMetrics,
    ) -> None:
        self._deadline = deadline
        self._clock = clock
        self._pulses = pulses
        self._outcomes = outcomes
        self._metrics = metrics
        self._degraded: list[Degradation] = []
        self._span = tracing.current()
        self.candidates = 0
        """How many candidates were reranked, or found if none were to be."""

    @property
    def degraded(self) -> tuple[Degradation, ...]:
        """What was replaced so far."""
        return tuple(self._degraded)

    def timings(self) -> Timings:
        """What was measured so far."""
        return self._clock.timings()

    @contextmanager
    def time(self, stage: str) -> Iterator[tracing.Span]:
        """Times the block as one stage: embed, search, rerank or generate. Gives the stage's span.

        Whether the stage worked is noted, too: an error within means that it did not, and so does a replacement.
        """
        replaced = len(self._degraded)
        try:
            with self._clock.stage(stage) as span:
                yield span
        except TriviumError as error:
            self._outcomes.failed(stage, error)
            raise
        if len(self._degraded) == replaced:
            self._outcomes.worked(stage)

    def seconds(self, at_most: float, share: float) -> float:
        """How long something may take; see Deadline.stage_seconds."""
        return self._deadline.stage_seconds(at_most, share)

    def waiting(self, stage: str) -> AbstractAsyncContextManager[None]:
        """Waits for a stage within the block, which ends if the stage falls silent; see Pulse.waiting."""
        return self._pulses[stage].waiting()

    def replace(self, stage: Stage, error: TriviumError, fallback: str) -> None:
        """Notes that a stage failed and what takes its place.

        Raises:
            TriviumError: The error itself, if the request is at fault and nothing may take the stage's place.
        """
        reason = degradable_reason(error)
        if reason is None:
            raise error
        if stage is Stage.GENERATE:  # replaced while it is timed, so that its error does not get out of that
            self._outcomes.failed(stage, error)
        self.note(Degradation(stage, reason, fallback, lasting_reason(error)), error)

    def note(self, degradation: Degradation, cause: TriviumError | str) -> None:
        """Notes a degradation.

        Args:
            degradation: What was replaced.
            cause: What it comes from, for the log.
        """
        _log.note(degradation.stage, degradation.reason, degradation.fallback, cause)
        self._degraded.append(degradation)
        self._metrics.count_degraded(degradation)
        self._span.set({"trivium.degraded": [str(one) for one in self._degraded]})
