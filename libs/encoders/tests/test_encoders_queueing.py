"""Which texts share a batch, and which go first."""

import asyncio

import numpy as np
import pytest
from trivium_encoders import DeadlineExpired, Priority, Role
from trivium_encoders.queueing import BULK_PATIENCE_SECONDS, Job, WaitingQueue
from trivium_encoders.runtimes.base import Item, Source, padded_length
from trivium_encoders.tokenization import TokenIds


def item(length: int) -> Item:
    """A text of some tokens."""
    tokens = TokenIds(np.zeros(length, np.int32), None, np.zeros(length, np.bool_))
    return Item(tokens, Source("", Role.DOCUMENT))


def job(
    *lengths: int, priority: Priority = Priority.INTERACTIVE, at: float = 0.0, deadline: float | None = None
) -> Job:
    """A call with texts of these lengths."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return Job([item(length) for length in lengths], priority, deadline, at, future)


def queue_of(*jobs: Job, budget: int = 512, express: int = 0) -> WaitingQueue:
    queue = WaitingQueue(budget, express)
    for waiting in jobs:
        queue.add(waiting)
    return queue


def lengths_taken(queue: WaitingQueue, now: float = 0.0, idle: int = 1) -> list[int]:
    return [entry.item.length for entry in queue.take(now, idle)]


async def test_take_many_lengths_batches_stay_within_the_budget_and_lose_no_text() -> None:
    lengths = np.clip(np.random.default_rng(7).lognormal(4, 0.8, 300), 2, 500).astype(int).tolist()
    queue = queue_of(job(*lengths))
    taken: list[int] = []
    padded = 0
    while batch := lengths_taken(queue):
        size = padded_length(max(batch)) * len(batch)
        assert size <= 512 or len(batch) == 1
        padded += size
        taken += batch
    assert sorted(taken) == sorted(lengths)
    assert sum(lengths) / padded > 0.85


async def test_take_oldest_text_begins_the_batch_and_like_lengths_fill_it() -> None:
    queue = queue_of(job(100, 10), job(97, 20, 500, 101))
    assert lengths_taken(queue) == [100, 97, 101]
    assert lengths_taken(queue) == [10]
    assert lengths_taken(queue) == [20]
    assert lengths_taken(queue) == [500]
    assert lengths_taken(queue) == []


async def test_take_text_over_the_budget_is_served_alone() -> None:
    queue = queue_of(job(30, 5000, 30))
    assert lengths_taken(queue) == [30, 30]
    assert lengths_taken(queue) == [5000]


async def test_take_interactive_goes_before_bulk_and_shares_no_batch() -> None:
    queue = queue_of(job(16, 16, priority=Priority.BULK), job(16, at=0.5))
    first = queue.take(1.0, 1)
    assert [entry.job.priority for entry in first] == [Priority.INTERACTIVE]
    assert [entry.job.priority for entry in queue.take(1.0, 1)] == [Priority.BULK] * 2


async def test_take_bulk_that_waited_long_goes_before_newer_interactive() -> None:
    late = BULK_PATIENCE_SECONDS + 0.1
    queue = queue_of(job(16, priority=Priority.BULK), job(32, at=late - 0.2), job(48, at=late))
    assert lengths_taken(queue, late) == [32]
    assert [entry.job.priority for entry in queue.take(late, 1)] == [Priority.BULK]
    assert lengths_taken(queue, late) == [48]


async def test_take_steady_short_texts_do_not_starve_a_long_one() -> None:
    queue = queue_of(job(400))
    for second in range(1, 5):
        queue.add(job(*[16] * 100, at=second))
    assert lengths_taken(queue) == [400]


async def test_take_little_work_is_split_over_idle_workers() -> None:
    queue = queue_of(job(*[64] * 8))
    assert [len(queue.take(0.0, idle)) for idle in (2, 1)] == [4, 4]


async def test_take_one_short_text_is_not_held_back_for_other_workers() -> None:
    assert lengths_taken(queue_of(job(5)), idle=8) == [5]


async def test_take_cancelled_job_is_dropped_before_any_work() -> None:
    left, stays = job(16, 16), job(16)
    queue = queue_of(left, stays)
    left.future.cancel()
    assert [entry.job for entry in queue.take(0.0, 1)] == [stays]
    assert queue.text_count(Priority.INTERACTIVE) == 0


async def test_drop_takes_what_waits_out_of_the_counts() -> None:
    some = job(*[100] * 9)
    queue = queue_of(some)
    assert len(queue.take(0.0, 1)) == 4
    assert queue.text_count(Priority.INTERACTIVE) == 5
    assert queue.drop(some) == 5
    assert queue.drop(some) == 0
    assert queue.text_count(Priority.INTERACTIVE) == 0
    assert queue.take(0.0, 1) == []


async def test_take_job_past_its_deadline_fails_without_work() -> None:
    late, stays = job(16, deadline=5.0), job(16, deadline=6.0)
    queue = queue_of(late, stays)
    assert [entry.job for entry in queue.take(5.0, 1)] == [stays]
    with pytest.raises(DeadlineExpired):
        late.future.result()


async def test_take_express_takes_short_interactive_calls_only() -> None:
    bulk, long, short = job(5, priority=Priority.BULK), job(100, 100, 100), job(5, 20)
    queue = queue_of(bulk, long, short, express=64)
    assert [(entry.job, entry.item.length) for entry in queue.take_express(0.0)] == [(short, 5)]
    assert [(entry.job, entry.item.length) for entry in queue.take_express(0.0)] == [(short, 20)]
    assert queue.take_express(0.0) == []
    assert queue.text_count(Priority.INTERACTIVE) == 3


async def test_take_express_batches_stay_within_the_express_budget() -> None:
    queue = queue_of(*(job(16) for _ in range(5)), express=64)
    assert [len(queue.take_express(0.0)) for _ in range(3)] == [4, 1, 0]


async def test_take_short_call_is_also_taken_by_the_other_workers_and_only_once() -> None:
    first, second = job(16), job(16)
    queue = queue_of(first, express=16)
    assert [entry.job for entry in queue.take(0.0, 1)] == [first]
    assert queue.take_express(0.0) == []
    queue.add(second)
    assert [entry.job for entry in queue.take_express(0.0)] == [second]
    assert queue.take(0.0, 1) == []


async def test_take_express_late_and_cancelled_calls_are_dropped_before_any_work() -> None:
    late, left = job(16, deadline=5.0), job(16)
    queue = queue_of(late, left, express=64)
    left.future.cancel()
    assert queue.take_express(5.0) == []
    with pytest.raises(DeadlineExpired):
        late.future.result()


async def test_queue_emptied_many_times_keeps_nothing() -> None:
    """What is taken or dropped leaves all orders, or a service would grow for ever."""
    queue = WaitingQueue(512, 64)
    for round_number in range(200):
        some = job(*range(1, 400, 13))
        queue.add(some)
        queue.add(job(20, 30))
        queue.take(0.0, 1)
        if round_number % 3:
            queue.take_express(0.0)
        if round_number % 2:
            some.future.cancel()
        queue.drop(some)
        while queue.take(0.0, 1):
            pass
    assert queue.take_express(0.0) == []
    for lane in (*queue._lanes.values(), queue._short):
        assert not lane._arrivals
        assert not any(lane._by_length.values())
        assert (lane.texts, lane.tokens) == (0, 0)
