"""Knows which stages can be used now, and whether any answer can be given at all."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from trivium_serving.errors import TriviumError, Unavailable, cause_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from trivium_serving.background import Background

    from trivium_gateway.health.metrics import StageMetrics
    from trivium_gateway.request.outcomes import Outcomes

_logger = logging.getLogger(__name__)

SEARCH = "search"

_TRIAL_SECONDS = 5.0
_SHORTEST_SECONDS = 0.1
"""Between two looks at a stage whose calls fail."""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How one stage is.

    Attributes:
        stage: Its name.
        ready: Whether it can be used.
        model: Its model, or Qdrant's version; empty while it cannot be asked.
        detail: What is wrong, or worth knowing; may be empty.
    """

    stage: str
    ready: bool
    model: str
    detail: str


class StageProbe(Protocol):
    """Looks at one stage."""

    @property
    def stage(self) -> str:
        """The stage's name."""

    async def look(self) -> StageStatus:
        """How the stage is. Ends within a second or so, and raises nothing but TriviumError."""

    async def warm_up(self) -> None:
        """Has the stage do its work once.

        Raises:
            TriviumError: It could not.
        """


class Readiness:
    """Looks at all stages, again and again.

    The gateway is ready once every stage was warmed up (or, if one does not come, has been waited for long enough), and
    from then on while the search works: every other stage has something to take its place.

    Args:
        probes: One per stage, the search among them.
        metrics: Where each stage's state is shown.
        interval_seconds: Pause between two looks at a stage; a shorter one where a call to it has failed.
        warm_up_seconds: How long to wait, once the search works, for stages that do not come.
        on_change: Called when `ready` changes.
        outcomes: How the calls of each stage end. One whose last calls have all failed has to do its work before it is
            believed to be ready.
        addresses: Where each stage's service is, to be told beside what is wrong with it; nothing to tell nobody.
    """

    def __init__(
        self,
        probes: Sequence[StageProbe],
        *,
        metrics: StageMetrics,
        interval_seconds: float,
        warm_up_seconds: float,
        on_change: Callable[[bool], Awaitable[None]],
        outcomes: Outcomes,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self._probes = probes
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._warm_up_seconds = warm_up_seconds
        self._on_change = on_change
        self._outcomes = outcomes
        self._addresses = addresses or {}
        self._failed = {one.stage: asyncio.Event() for one in probes}
        outcomes.on_failure = self._look_soon
        self._statuses = {one.stage: StageStatus(one.stage, False, "", "Not looked at yet.") for one in probes}
        self._cold = {one.stage for one in probes}
        self._searching_since: float | None = None
        self._draining = False
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether any answer, a degraded one included, is possible."""
        return self._ready

    def stages(self) -> tuple[StageStatus, ...]:
        """How each stage is."""
        return tuple(self._statuses.values())

    def watch(self, background: Background) -> None:
        """Looks at the stages until the background ends."""
        for probe in self._probes:
            background.start(f"probe.{probe.stage}", partial(self._watch, probe))

    async def drain(self) -> None:
        """From now on the gateway is not ready, whatever its stages are."""
        self._draining = True
        await self._update()

    async def _watch(self, probe: StageProbe) -> None:
        failed = self._failed[probe.stage]
        while True:
            failed.clear()
            try:
                await self._look(probe)
            finally:
                await self._update()
            shortest_seconds = min(_SHORTEST_SECONDS, self._interval_seconds)
            await asyncio.sleep(shortest_seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(failed.wait(), self._interval_seconds - shortest_seconds)

    def _look_soon(self, stage: str) -> None:
        """Has a stage looked at that is taken for ready, and has just failed."""
        if stage in self._failed and self._statuses[stage].ready:
            self._failed[stage].set()

    async def _look(self, probe: StageProbe) -> None:
        cause = ""
        try:
            status = await probe.look()
            if status.ready and probe.stage in self._cold:
                await probe.warm_up()
                self._cold.discard(probe.stage)
            elif status.ready and (failures := self._outcomes.failures(probe.stage)):
                await self._try(probe, failures)
        except TriviumError as error:
            where = f" (at {self._addresses[probe.stage]})" if probe.stage in self._addresses else ""
            status, cause = StageStatus(probe.stage, False, "", error.message + where), cause_of(error)
        except Exception:
            self._note(StageStatus(probe.stage, False, "", "Looking at it failed; the log has the cause."), "")
            raise
        self._note(status, cause)

    async def _try(self, probe: StageProbe, failures: int) -> None:
        """Has a stage that says that it is well do its work, because its last calls have all failed."""
        seen = f"The last {failures} calls have failed, and so has a trial."
        try:
            async with asyncio.timeout(_TRIAL_SECONDS):
                await probe.warm_up()
        except TimeoutError as error:
            raise Unavailable(f"{seen} It did not end within {_TRIAL_SECONDS:g} s.") from error
        except TriviumError as error:
            raise Unavailable(f"{seen} {error.message}", reason=error.reason) from error
        self._outcomes.worked(probe.stage)

    def _note(self, status: StageStatus, cause: str) -> None:
        before = self._statuses[status.stage]
        self._statuses[status.stage] = status
        self._metrics.set_ready(status.stage, status.ready)
        if (status.ready, status.detail) != (before.ready, before.detail):
            state = "ready" if status.ready else "not ready"
            _logger.info("%s is %s", status.stage, ": ".join(filter(None, (state, status.detail, cause))))

    async def _update(self) -> None:
        ready = self._decide()
        if ready is not self._ready:
            self._ready = ready
            _logger.info("ready" if ready else "not ready: no answer is possible now")
            await self._on_change(ready)

    def _decide(self) -> bool:
        searching = self._statuses[SEARCH].ready and SEARCH not in self._cold
        if self._draining or not searching:
            return False
        if self._searching_since is None:
            self._searching_since = time.monotonic()
        waited_seconds = time.monotonic() - self._searching_since
        return self._ready or not self._cold or waited_seconds >= self._warm_up_seconds
