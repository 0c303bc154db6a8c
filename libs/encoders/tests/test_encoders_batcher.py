"""What happens when batches fail, workers die and callers leave; sessions that break on purpose."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from trivium_encoders import (
    DeadlineExpired,
    EncoderClosed,
    EncoderFailed,
    EncoderUnavailable,
    ModelUnsupported,
    Priority,
    Role,
    crew,
)
from trivium_encoders.batcher import Batcher, Computed
from trivium_encoders.crew import CrewPlan
from trivium_encoders.metrics import EncoderMetrics
from trivium_encoders.runtimes.base import Item, ItemResult, Source
from trivium_encoders.tokenization import TokenIds

POISON, FATAL, HANGING, SESSION_KILLING = "poison", "fatal", "hanging", "session-killing"


class WorkerKilled(BaseException):
    """Ends a worker's thread."""


class BreakableSession:
    """Answers with each text's length; breaks on special texts."""

    def __init__(self, lab: "Lab", *, express: bool) -> None:
        self._lab = lab
        self._express = express
        self._broken = False
        lab.priorities[express] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def run(self, items: Sequence[Item]) -> list[ItemResult]:
        texts = [item.source.text for item in items]
        self._lab.batches.append(texts)
        if not self._express:
            self._lab.gate.wait(10)
        if HANGING in texts:
            self._lab.release.wait(10)
        if FATAL in texts:
            raise WorkerKilled("killed by the test")
        self._broken = self._broken or SESSION_KILLING in texts
        if self._broken:
            raise RuntimeError("the session is broken")
        if POISON in texts:
            raise ValueError("cannot read this text")
        return [ItemResult(np.array([len(text)], np.float32)) for text in texts]


class Lab:
    """A batcher over breakable sessions."""

    def __init__(self, worker_count: int = 1, stall_seconds: float = 60.0, express_tokens: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.priorities: dict[bool, int] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.release = threading.Event()
        self.opened = 0
        self.may_open = True
        self.registry = CollectorRegistry()
        open_express = partial(self._open, express=True) if express_tokens else None
        plan = CrewPlan(self._open, worker_count, item("probe"), "lab", stall_seconds, open_express)
        metrics = EncoderMetrics("lab", self.registry)
        self.batcher = Batcher(plan, budget_tokens=512, express_tokens=express_tokens, metrics=metrics)

    def _open(self, *, express: bool = False) -> BreakableSession:
        if not self.may_open:
            raise RuntimeError("no session can be opened")
        self.opened += 1
        return BreakableSession(self, express=express)

    async def run(self, *texts: str, **options: Any) -> list[float]:
        settings = {"priority": Priority.INTERACTIVE, "deadline": None} | options
        done: Computed = await self.batcher.run([item(text) for text in texts], **settings)
        return [float(result.values[0]) for result in done.results]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Lets the event loop turn until something is so."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for is the code's own state
                await asyncio.sleep(0.001)

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"trivium_lab_{name}", labels)
        assert value is not None
        return value


def item(text: str) -> Item:
    tokens = TokenIds(np.zeros(16, np.int32), None, np.zeros(16, np.bool_))
    return Item(tokens, Source(text, Role.DOCUMENT))


@asynccontextmanager
async def lab(worker_count: int = 1, stall_seconds: float = 60.0, express_tokens: int = 0) -> AsyncIterator[Lab]:
    made = Lab(worker_count, stall_seconds, express_tokens)
    await made.batcher.start()
    yield made
    made.gate.set()
    made.release.set()
    await made.batcher.close()


async def test_run_results_come_in_order_with_timings_and_metrics() -> None:
    async with lab(worker_count=2) as some:
        assert await some.run(*("x" * n for n in range(1, 50))) == list(range(1, 50))
        assert some.metric("batch_tokens_total") == 49 * 16
        assert some.metric("queue_texts", priority="interactive") == 0
        assert some.metric("queue_seconds_count", priority="interactive") == 1
        assert some.metric("workers_alive") == 2


async def test_run_bad_text_fails_alone() -> None:
    async with lab() as some:
        some.gate.clear()
        first = asyncio.create_task(some.run("occupies the worker"))
        await some.until(lambda: len(some.batches) == 2)  # the probe, and the first
        good = [asyncio.create_task(some.run("a" * n)) for n in range(1, 9)]
        bad = asyncio.create_task(some.run("fine", POISON))
        some.gate.set()
        assert await first == [19]
        assert [await task for task in good] == [[n] for n in range(1, 9)]
        with pytest.raises(EncoderFailed, match="text 1 could not be computed: cannot read this text") as failed:
            await bad
        assert failed.value.index == 1
        assert some.batcher.healthy
        assert some.metric("failed_texts_total") == 1


async def test_run_dead_worker_fails_its_calls_and_is_replaced() -> None:
    async with lab() as some:
        with pytest.raises(EncoderUnavailable, match=r"the worker died \(WorkerKilled: killed by the test\)"):
            await some.run(FATAL)
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("after") == [5]
        assert some.opened == 2
        assert some.metric("worker_deaths_total") == 1


async def test_run_dead_worker_health_is_false_until_the_replacement_is_warm() -> None:
    async with lab(worker_count=2) as some:
        some.may_open = False
        with pytest.raises(EncoderUnavailable):
            await some.run(FATAL)
        assert not some.batcher.healthy
        assert await some.run("the other worker still works") == [28]
        some.may_open = True
        await some.until(lambda: some.batcher.healthy)


async def test_run_no_worker_left_fails_at_once_and_recovers() -> None:
    async with lab() as some:
        some.may_open = False
        with pytest.raises(EncoderUnavailable):
            await some.run(FATAL)
        await some.until(lambda: some.metric("worker_deaths_total") >= 2)  # the replacement could not start either
        with pytest.raises(EncoderUnavailable, match="no worker is left"):
            await some.run("nobody takes it")
        some.may_open = True
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("back") == [4]


async def test_run_broken_session_blames_no_text_and_is_replaced() -> None:
    async with lab() as some:
        with pytest.raises(EncoderUnavailable, match="SessionBroken"):
            await some.run("innocent", SESSION_KILLING)
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("after") == [5]


async def test_run_batch_that_hangs_costs_its_worker() -> None:
    async with lab(stall_seconds=0.05) as some:
        with pytest.raises(EncoderUnavailable, match="a batch ran for more than"):
            await some.run(HANGING)
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("after") == [5]


async def test_run_batch_of_a_process_that_stood_still_keeps_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "_LATE_SECONDS", 0.05)
    async with lab(stall_seconds=0.1) as some:
        running = asyncio.ensure_future(some.run(HANGING))
        await some.until(lambda: [HANGING] in some.batches)
        threading.Event().wait(0.5)  # nothing of this process's event loop runs, as under SIGSTOP
        await asyncio.sleep(0)  # the timer's turn
        some.release.set()
        assert await running == [len(HANGING)]
    assert some.metric("worker_deaths_total") == 0


async def test_close_waits_for_a_worker_that_was_given_up() -> None:
    async with lab(stall_seconds=0.05) as some:
        with pytest.raises(EncoderUnavailable):
            await some.run(HANGING)
        [given_up] = some.batcher._crew._given_up
        closing = asyncio.ensure_future(some.batcher.close())
        await some.until(lambda: some.batcher._crew._closed)
        assert not closing.done()
        some.release.set()
        await closing
        assert given_up.join(0)


async def test_run_cancelled_call_is_never_computed() -> None:
    async with lab() as some:
        some.gate.clear()
        first = asyncio.create_task(some.run("occupies the worker"))
        await some.until(lambda: len(some.batches) == 2)
        left = asyncio.create_task(some.run("leaves", "leaves too"))
        stays = asyncio.create_task(some.run("stays"))
        await some.until(lambda: some.metric("queue_texts", priority="interactive") == 3)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        assert some.metric("queue_texts", priority="interactive") == 1
        some.gate.set()
        assert await stays == [5]
        await first
        assert some.batches[2:] == [["stays"]]
        assert some.metric("dropped_texts_total", reason="cancelled") == 2


async def test_run_call_past_its_deadline_is_never_computed() -> None:
    async with lab() as some:
        some.gate.clear()
        first = asyncio.create_task(some.run("occupies the worker"))
        await some.until(lambda: len(some.batches) == 2)
        now = asyncio.get_running_loop().time()
        late = asyncio.create_task(some.run("late", deadline=now - 1))
        await some.until(lambda: some.metric("queue_texts", priority="interactive") == 1)
        some.gate.set()
        with pytest.raises(DeadlineExpired, match="nothing was computed"):
            await late
        await first
        assert some.batches[2:] == []
        assert some.metric("dropped_texts_total", reason="deadline") == 1


async def test_close_fails_what_waits_and_finishes_what_runs() -> None:
    async with lab() as some:
        some.gate.clear()
        running = asyncio.create_task(some.run("running"))
        await some.until(lambda: len(some.batches) == 2)
        waiting = asyncio.create_task(some.run("waiting"))
        await some.until(lambda: some.metric("queue_texts", priority="interactive") == 1)
        closing = asyncio.create_task(some.batcher.close())
        with pytest.raises(EncoderClosed):
            await waiting
        some.gate.set()
        assert await running == [7]
        await closing
        with pytest.raises(EncoderClosed):
            await some.run("later")


async def test_start_session_that_cannot_compute_is_refused() -> None:
    some = Lab(worker_count=2)
    some.may_open = False
    with pytest.raises(ModelUnsupported, match="no session can be opened"):
        await some.batcher.start()


async def test_run_calls_of_one_moment_share_a_batch() -> None:
    async with lab() as some:
        await asyncio.gather(*(some.run("x" * n) for n in range(1, 9)))
        assert len(some.batches) == 2  # the probe, and all eight


async def test_run_short_call_is_answered_while_every_other_worker_is_busy() -> None:
    async with lab(express_tokens=16) as some:
        some.gate.clear()
        bulk = asyncio.create_task(some.run("a", "b", priority=Priority.BULK))
        await some.until(lambda: ["a", "b"] in some.batches)
        waiting = asyncio.create_task(some.run("two texts", "are no short call here"))
        assert await some.run("a question") == [10]
        assert not bulk.done()
        assert not waiting.done()
        some.gate.set()
        assert await bulk == [1, 1]
        assert await waiting == [9, 22]


async def test_run_dead_express_worker_fails_its_call_alone_and_is_replaced() -> None:
    async with lab(express_tokens=16) as some:
        assert some.metric("workers_alive") == 2
        some.gate.clear()
        bulk = asyncio.create_task(some.run("occupies the worker", priority=Priority.BULK))
        await some.until(lambda: ["occupies the worker"] in some.batches)
        some.may_open = False
        with pytest.raises(EncoderUnavailable, match="the worker died"):
            await some.run(FATAL)
        assert not some.batcher.healthy
        some.may_open = True
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("a question") == [10]
        some.gate.set()
        assert await bulk == [19]


async def test_start_workers_go_behind_event_loops_and_the_express_worker_does_not() -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    async with lab(express_tokens=16) as some:
        assert some.priorities[True] == own
        assert some.priorities[False] > own or own == 19


async def test_run_express_worker_left_alone_takes_no_call() -> None:
    async with lab(express_tokens=16) as some:
        some.may_open = False
        with pytest.raises(EncoderUnavailable):
            await some.run(FATAL)  # an idle worker goes before the express worker
        await some.until(lambda: some.metric("worker_deaths_total") >= 2)
        with pytest.raises(EncoderUnavailable, match="no worker is left"):
            await some.run("a question")
        some.may_open = True
        await some.until(lambda: some.batcher.healthy)
        assert await some.run("back") == [4]
