"""When the gateway is ready, by stages that come and go on command."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from trivium_gateway.health.metrics import StageMetrics
from trivium_gateway.health.readiness import Readiness, StageStatus
from trivium_gateway.request.outcomes import Outcomes
from trivium_serving.background import Background
from trivium_serving.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

STAGES = ("embed", "search", "rerank", "generate")


class SwitchedProbe:
    """A stage that a test switches on and off, and whose warm-up it can make fail."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.up = True
        self.warms = True
        self.breaks = False
        self.looks = 0
        self.warm_ups = 0

    async def look(self) -> StageStatus:
        self.looks += 1
        if self.breaks:
            raise KeyError(self.stage)
        if not self.up:
            raise Unavailable(f"{self.stage} is off")
        return StageStatus(self.stage, True, f"{self.stage}-model", "")

    async def warm_up(self) -> None:
        self.warm_ups += 1
        if not self.warms:
            raise Unavailable(f"{self.stage} does not warm")


class Watched:
    """A Readiness that looks all the time, and what it reported."""

    def __init__(self, warm_up_seconds: float = 60, interval_seconds: float = 0.001) -> None:
        self.probes = {stage: SwitchedProbe(stage) for stage in STAGES}
        self.registry = CollectorRegistry()
        self.background = Background("gateway", self.registry, first_pause_seconds=0.001)
        self.changes: list[bool] = []
        self.outcomes = Outcomes()
        self.readiness = Readiness(
            tuple(self.probes.values()),
            metrics=StageMetrics(self.registry),
            interval_seconds=interval_seconds,
            warm_up_seconds=warm_up_seconds,
            on_change=self._note,
            outcomes=self.outcomes,
        )

    async def _note(self, ready: bool) -> None:
        self.changes.append(ready)

    def stage(self, name: str) -> StageStatus:
        return next(one for one in self.readiness.stages() if one.stage == name)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        self.readiness.watch(self.background)
        try:
            yield
        finally:
            await self.background.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.001)


async def test_ready_once_every_stage_was_warmed_up_once() -> None:
    watched = Watched()
    watched.probes["rerank"].up = False
    async with watched.watching():
        await until(lambda: all(watched.stage(name).ready for name in ("embed", "search", "generate")))
        assert not watched.readiness.ready

        watched.probes["rerank"].up = True
        await until(lambda: watched.readiness.ready)

    assert [probe.warm_ups for probe in watched.probes.values()] == [1, 1, 1, 1]
    assert watched.changes == [True]


async def test_stage_whose_call_has_failed_is_looked_at_before_its_time() -> None:
    watched = Watched(interval_seconds=1000)
    async with watched.watching():
        await until(lambda: watched.readiness.ready)
        watched.probes["embed"].up = False
        watched.outcomes.failed("embed", Unavailable("gone"))
        await until(lambda: not watched.stage("embed").ready)

        watched.outcomes.failed("embed", Unavailable("gone"))  # that is known by now
        watched.outcomes.failed("rerank", Unavailable("a connection was lost, and made again"))
        await until(lambda: watched.probes["rerank"].looks == 2)
    assert watched.probes["embed"].looks == 2
    assert watched.stage("rerank").ready


async def test_ready_stays_while_the_search_works() -> None:
    watched = Watched()
    async with watched.watching():
        await until(lambda: watched.readiness.ready)
        for name in ("embed", "rerank", "generate"):
            watched.probes[name].up = False
        await until(lambda: not any(watched.stage(name).ready for name in ("embed", "rerank", "generate")))
        assert watched.readiness.ready

        watched.probes["search"].up = False
        await until(lambda: not watched.readiness.ready)
        watched.probes["search"].up = True
        await until(lambda: watched.readiness.ready)

    assert watched.changes == [True, False, True]
    assert watched.probes["search"].warm_ups == 1


async def test_ready_without_a_stage_that_does_not_come_in_time() -> None:
    watched = Watched(warm_up_seconds=0.05)
    watched.probes["generate"].warms = False
    async with watched.watching():
        await until(lambda: watched.readiness.ready)

        assert watched.stage("generate") == StageStatus("generate", False, "", "generate does not warm")


async def test_ready_never_comes_without_the_search() -> None:
    watched = Watched(warm_up_seconds=0)
    watched.probes["search"].up = False
    async with watched.watching():
        await until(lambda: all(watched.stage(name).ready for name in ("embed", "rerank", "generate")))
        await until(lambda: watched.probes["search"].looks > 5)

    assert watched.changes == []


async def test_stages_say_what_is_wrong_and_metrics_show_it() -> None:
    watched = Watched()
    async with watched.watching():
        await until(lambda: watched.readiness.ready)
        assert watched.stage("embed") == StageStatus("embed", True, "embed-model", "")
        assert watched.registry.get_sample_value("trivium_gateway_stage_ready", {"stage": "embed"}) == 1

        watched.probes["embed"].up = False
        await until(lambda: not watched.stage("embed").ready)
        assert watched.stage("embed").detail == "embed is off"
        assert watched.registry.get_sample_value("trivium_gateway_stage_ready", {"stage": "embed"}) == 0


async def test_drain_ends_readiness_for_good() -> None:
    watched = Watched()
    async with watched.watching():
        await until(lambda: watched.readiness.ready)
        await watched.readiness.drain()
        assert not watched.readiness.ready
        looks = watched.probes["search"].looks
        await until(lambda: watched.probes["search"].looks > looks + 2)

    assert watched.changes == [True, False]


async def test_stage_whose_probe_breaks_is_not_ready_until_it_works_again() -> None:
    watched = Watched()
    async with watched.watching():
        await until(lambda: watched.readiness.ready)
        watched.probes["search"].breaks = True
        await until(lambda: not watched.readiness.ready)
        assert "the log has the cause" in watched.stage("search").detail
        assert watched.stage("embed").ready
        task = {"task": "probe.search"}
        assert watched.registry.get_sample_value("trivium_gateway_background_failures_total", task)

        watched.probes["search"].breaks = False
        await until(lambda: watched.readiness.ready)
