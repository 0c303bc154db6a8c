"""Who is let in: the limit by simulation, the places on the event loop."""

from __future__ import annotations

import asyncio
import heapq
import random
from contextlib import AsyncExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.call_limit import CallLimit
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.request.outcomes import Outcomes
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.request.question_limit import QuestionLimit
from trivium_gateway.request.record import Record
from trivium_serving.errors import Overloaded


class Machine:
    """Questions on some processors that they share fairly, one after another for as many callers as there are."""

    def __init__(self, processors: float, work_seconds: float, limit: QuestionLimit | None = None) -> None:
        self.now = 0.0
        self.processors = processors
        self.work_seconds = work_seconds
        self.limit = limit or QuestionLimit(256, lambda: self.now)
        self.done = 0
        self._random = random.Random(1)

    def run(self, seconds: float, callers: int) -> float:
        """Lets time pass; returns the questions a second that were answered."""
        end, before = self.now + seconds, self.done
        running: list[tuple[float, float]] = []  # when it ends, when it began
        while self.now < end:
            while len(running) < min(callers, self.limit.allowed):
                slowdown = max(1.0, (len(running) + 1) / self.processors)
                took = self.work_seconds * slowdown * self._random.uniform(0.9, 1.1)
                heapq.heappush(running, (self.now + took, self.now))
            self.now, began = heapq.heappop(running)
            self.limit.observe("question", self.now - began, len(running) + 1)
            self.done += 1
        return (self.done - before) / seconds


def test_limit_under_overload_settles_where_nothing_is_lost_and_nobody_waits_for_long() -> None:
    machine = Machine(processors=2, work_seconds=0.1)
    machine.run(5, callers=1)
    machine.run(30, callers=256)
    rate = machine.run(30, callers=256)
    assert rate > 0.9 * 2 / 0.1
    assert 2 <= machine.limit.allowed <= 12


def test_limit_of_a_large_machine_rises_as_it_is_used() -> None:
    machine = Machine(processors=100, work_seconds=0.1)
    machine.run(5, callers=1)
    machine.run(60, callers=256)
    assert machine.limit.allowed > 90
    assert machine.run(20, callers=256) > 0.9 * 100 / 0.1


def test_limit_recovers_when_the_work_becomes_longer_for_good() -> None:
    machine = Machine(processors=4, work_seconds=0.1)
    machine.run(10, callers=1)
    machine.work_seconds = 1.0
    machine.run(200, callers=64)
    assert machine.run(100, callers=64) > 0.8 * 4 / 1.0


def test_limit_rests_where_questions_are_quick() -> None:
    machine = Machine(processors=8, work_seconds=0.002)
    machine.run(5, callers=4)
    assert machine.limit.allowed >= 16


@pytest.fixture
def admission() -> QuestionAdmission:
    return QuestionAdmission(256, QuestionMetrics(CollectorRegistry()))


async def _filled(admission: QuestionAdmission, stack: AsyncExitStack) -> None:
    """Takes all places."""
    for _ in range(admission.allowed):
        await stack.enter_async_context(admission.place("a", 60))


async def test_question_without_a_place_waits_its_turn(admission: QuestionAdmission) -> None:
    order: list[int] = []

    async def ask(number: int) -> None:
        async with admission.place("a", 60):
            order.append(number)

    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        waiting = [asyncio.create_task(ask(number)) for number in range(3)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2]


async def test_wait_for_a_place_is_a_stage_of_the_questions_that_wait(admission: QuestionAdmission) -> None:
    async def ask() -> list[str]:
        record = Record("retrieve", EVERYBODY, 60, {}, Outcomes())
        async with admission.place("a", 60, record.stage("wait")):
            with record.stage("embed"):
                pass
        assert all(one.seconds is not None for one in record.stages)
        return [one.name for one in record.stages]

    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        waiting = asyncio.create_task(ask())
        await asyncio.sleep(0)
        given_up = asyncio.create_task(ask())
        await asyncio.sleep(0)
        given_up.cancel()
    assert await waiting == ["wait", "embed"]
    assert await ask() == ["embed"]


async def test_question_beyond_those_that_may_wait_is_refused_at_once(admission: QuestionAdmission) -> None:
    async def ask() -> None:
        async with admission.place("a", 60):
            pass

    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        waiting = [asyncio.create_task(ask()) for _ in range(admission.allowed)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as refused:
            await ask()
        assert refused.value.retry_after_seconds >= 1
    await asyncio.gather(*waiting)


async def test_question_that_was_let_in_is_not_refused_once_it_is_read(admission: QuestionAdmission) -> None:
    let_in: list[asyncio.Task[None]] = []
    all_read = asyncio.Event()

    async def ask() -> None:
        with admission.coming("a"):
            await all_read.wait()
            async with admission.place("a", 60):
                pass

    while admission.refusal("a") is None:
        let_in.append(asyncio.create_task(ask()))
        await asyncio.sleep(0)
    assert len(let_in) == 2 * admission.allowed  # as many as there are places, and as many may wait
    all_read.set()
    await asyncio.gather(*let_in)  # none is refused
    assert admission.refusal("a") is None


async def test_question_that_is_given_up_while_it_is_read_keeps_nobody_out(admission: QuestionAdmission) -> None:
    for _ in range(1000):
        assert admission.refusal("a") is None
        with suppress(ValueError), admission.coming("a"):
            raise ValueError("no JSON")


async def test_questions_that_are_not_sent_keep_nobody_out_for_long(admission: QuestionAdmission) -> None:
    async with AsyncExitStack() as stack:
        while admission.refusal("a") is None:
            stack.enter_context(admission.coming("a"))  # whose bodies never come
        async with asyncio.timeout(20):
            while admission.refusal("a") is not None:  # noqa: ASYNC110  # what it waits for is time
                await asyncio.sleep(0.01)


async def test_question_whose_turn_does_not_come_is_refused_and_leaves_the_line(admission: QuestionAdmission) -> None:
    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        with pytest.raises(Overloaded):
            async with admission.place("a", 0.01):
                pass
    async with admission.place("a", 60):
        pass


async def test_question_that_waits_longer_than_expected_is_not_refused(admission: QuestionAdmission) -> None:
    async def ask() -> None:
        async with admission.place("a", 60):
            pass

    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        waiting = asyncio.create_task(ask())
        await asyncio.sleep(0.7)
        assert not waiting.done()
    await waiting


async def test_caller_that_leaves_while_it_waits_takes_no_place(admission: QuestionAdmission) -> None:
    async def ask() -> None:
        async with admission.place("a", 60):
            await asyncio.Event().wait()

    for when in ("waiting", "its turn comes", "let in"):
        async with AsyncExitStack() as stack:
            await _filled(admission, stack)
            waiting = asyncio.create_task(ask())
            await asyncio.sleep(0)
            if when != "let in":
                waiting.cancel()
            if when == "waiting":
                await asyncio.gather(waiting, return_exceptions=True)
        waiting.cancel()
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(outcome, asyncio.CancelledError)
    async with AsyncExitStack() as stack:
        await _filled(admission, stack)  # all of them are free


async def test_place_that_is_left_early_is_the_next_ones(admission: QuestionAdmission) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(5 * admission.allowed):
            place = await stack.enter_async_context(admission.place("a", 60))
            place.leave()
        await _filled(admission, stack)


async def test_bulk_work_waits_for_questions_and_runs_one_at_a_time_among_them(admission: QuestionAdmission) -> None:
    running: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        async with admission.bulk():
            running.append(number)
            most = max(most, len(running))
            await asyncio.sleep(0)
            running.remove(number)

    await asyncio.gather(*(work(number) for number in range(4)))
    assert most == 4  # nobody asks

    most = 0
    async with admission.place("a", 60):
        working = [asyncio.create_task(work(number)) for number in range(4)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert most == 0
    await asyncio.gather(*working)
    assert most == 1


async def test_bulk_work_waits_longer_while_questions_are_refused(
    admission: QuestionAdmission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium_gateway.request.admission._LONGEST_YIELD_SECONDS", 0.01)
    monkeypatch.setattr("trivium_gateway.request.admission._LONGEST_YIELD_UNDER_OVERLOAD_SECONDS", 600.0)

    async def work() -> None:
        async with admission.bulk():
            pass

    async with AsyncExitStack() as stack:
        await _filled(admission, stack)
        await asyncio.wait_for(work(), 20)  # nobody is refused
        while admission.refusal("a") is None:
            stack.enter_context(admission.coming("a"))
        working = asyncio.create_task(work())
        done, _ = await asyncio.wait((working,), timeout=0.5)
        assert not done
    await asyncio.wait_for(working, 20)  # as soon as nobody asks


async def test_calls_beyond_their_limit_are_refused() -> None:
    limit = CallLimit("ingestions", 1, 60)
    async with limit.call("a"):
        with pytest.raises(Overloaded, match="1 ingestions"):
            async with limit.call("a"):
                pass
    async with limit.call("a"):
        pass
