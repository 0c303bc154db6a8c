"""Work that is wanted several times at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from trivium_model_service.flights import FlightFailed, Flights
from trivium_serving.errors import DeadlineExceeded, TooLarge, Unavailable


class Work:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.cancelled_count = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[int]) -> list[int]:
        self.calls.append(list(keys))
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.error is not None:
            raise self.error
        return [2 * key for key in keys]


def ask(
    flights: Flights[int, int], keys: list[int], work: Callable[[Sequence[int]], Awaitable[list[int]]], **more: float
) -> "asyncio.Task[dict[int, int]]":
    return asyncio.create_task(flights.get(keys, work, deadline=more.get("deadline")))


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_flights_equal_keys_at_once_are_computed_once() -> None:
    flights, work = Flights[int, int](), Work()
    asked = [ask(flights, [1, 2], work) for _ in range(100)]
    await settle()
    work.may_end.set()

    assert await asyncio.gather(*asked) == [{1: 2, 2: 4}] * 100
    assert work.calls == [[1, 2]]
    assert 1 not in flights


async def test_flights_overlapping_keys_compute_only_what_nobody_computes() -> None:
    flights, work = Flights[int, int](), Work()
    asked = [ask(flights, [1, 2], work), ask(flights, [2, 3], work)]
    await settle()
    work.may_end.set()

    assert await asyncio.gather(*asked) == [{1: 2, 2: 4}, {2: 4, 3: 6}]
    assert work.calls == [[1, 2], [3]]


async def test_flights_first_caller_leaves_the_others_get_their_values() -> None:
    flights, work = Flights[int, int](), Work()
    first, second = ask(flights, [1], work), ask(flights, [1], work)
    await settle()
    first.cancel()
    await settle()
    work.may_end.set()

    assert await second == {1: 2}
    assert (work.calls, work.cancelled_count) == ([[1]], 0)


async def test_flights_all_callers_leave_the_work_is_cancelled() -> None:
    flights, work = Flights[int, int](), Work()
    asked = [ask(flights, [1], work) for _ in range(3)]
    await settle()
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    await settle()

    assert work.cancelled_count == 1
    assert 1 not in flights


async def test_flights_work_that_broke_down_fails_all_and_is_tried_anew_later() -> None:
    flights, work = Flights[int, int](), Work()
    work.error = Unavailable("broken")
    asked = [ask(flights, [1], work) for _ in range(3)]
    await settle()
    work.may_end.set()

    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in errors] == [Unavailable] * 3
    work.error = None
    assert await ask(flights, [1], work) == {1: 2}


async def test_flights_work_that_fails_on_a_thing_says_what_it_was_for() -> None:
    flights, work = Flights[int, int](), Work()
    work.error = TooLarge("2 is too large")
    first, second = ask(flights, [1, 2], work), ask(flights, [1], work)
    await settle()
    work.may_end.set()

    for task in (first, second):
        with pytest.raises(FlightFailed) as failure:
            await task
        assert failure.value.keys == (1, 2)
        assert failure.value.error is work.error


async def test_flights_deadline_of_the_first_caller_ends_no_other() -> None:
    flights, work, soon = Flights[int, int](), Work(), Work()
    soon.error = DeadlineExceeded("late")
    first, second = ask(flights, [1], soon), ask(flights, [1], work)
    await settle()
    soon.may_end.set()
    work.may_end.set()

    with pytest.raises(DeadlineExceeded):
        await first
    assert await second == {1: 2}
    assert work.calls == [[1]]


async def test_flights_caller_past_its_deadline_leaves_alone() -> None:
    flights, work = Flights[int, int](), Work()
    patient = ask(flights, [1], work)
    hasty = ask(flights, [1], work, deadline=asyncio.get_running_loop().time() + 0.01)

    with pytest.raises(DeadlineExceeded):
        await hasty
    work.may_end.set()
    assert await patient == {1: 2}
    assert work.cancelled_count == 0
