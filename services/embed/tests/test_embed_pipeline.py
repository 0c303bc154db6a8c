"""Order, concurrency and bounds of a stream's answers."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from trivium_embed.pipeline import answer_in_order


async def numbers(count: int, pulled: list[int] | None = None) -> AsyncIterator[int]:
    for number in range(count):
        if pulled is not None:
            pulled.append(number)
        yield number


async def until_idle() -> None:
    """Lets every task run as far as it can without outside help."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_answer_in_order_later_request_done_first_keeps_order() -> None:
    second_done = asyncio.Event()

    async def answer(number: int) -> int:
        if number == 0:
            await second_done.wait()
        if number == 1:
            second_done.set()
        return number * 10

    assert [answered async for answered in answer_in_order(numbers(5), answer, at_most=2)] == [0, 10, 20, 30, 40]


async def test_answer_in_order_slow_reader_holds_back_requests() -> None:
    pulled: list[int] = []

    async def answer(number: int) -> int:
        return number

    answers = answer_in_order(numbers(100, pulled), answer, at_most=3)
    assert await anext(answers) == 0
    await until_idle()
    assert pulled == [0, 1, 2]  # the first keeps its place until the reader comes back for the next

    assert await anext(answers) == 1
    await until_idle()
    assert pulled == [0, 1, 2, 3]
    assert [answered async for answered in answers] == list(range(2, 100))


async def test_answer_in_order_closed_early_cancels_work() -> None:
    cancelled: list[int] = []

    async def answer(number: int) -> int:
        if number == 0:
            return number
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return number

    answers = answer_in_order(numbers(10), answer, at_most=4)
    assert await anext(answers) == 0
    await until_idle()
    await answers.aclose()
    await until_idle()

    assert sorted(cancelled) == [1, 2, 3]


async def test_answer_in_order_broken_requests_raises_after_what_came_before() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError("the caller is gone")

    async def answer(number: int) -> int:
        return number

    answers = answer_in_order(broken(), answer, at_most=4)
    assert await anext(answers) == 1
    with pytest.raises(ConnectionError):
        await anext(answers)
