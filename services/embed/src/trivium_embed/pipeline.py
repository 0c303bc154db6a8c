"""Answers a stream of requests in order, several at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def answer_in_order(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Answer]], *, at_most: int
) -> AsyncGenerator[Answer, None]:
    """Answers requests concurrently, and yields the answers in the order of the requests.

    A request keeps its place until its answer was taken, and only `at_most` have one: a caller that is slow to read
    is also read slowly, so memory stays bounded.

    Args:
        requests: The requests.
        answer: Answers one. If it raises, so does this, and all else is cancelled.
        at_most: Most requests that are worked on, or answered and not yet taken.
    """
    places = asyncio.Semaphore(at_most)
    answers: asyncio.Queue[asyncio.Future[Answer] | None] = asyncio.Queue()
    working: set[asyncio.Future[Answer]] = set()

    async def read() -> None:
        try:
            await places.acquire()
            async for request in requests:
                task = asyncio.ensure_future(answer(request))
                working.add(task)
                answers.put_nowait(task)
                await places.acquire()
        finally:
            answers.put_nowait(None)

    reader = asyncio.ensure_future(read())
    try:
        while (task := await answers.get()) is not None:
            yield await task
            working.discard(task)
            places.release()
        await reader
    finally:
        reader.cancel()
        for task in working:
            task.cancel()
