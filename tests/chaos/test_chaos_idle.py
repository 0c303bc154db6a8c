"""Thousands who connect and say nothing, and hundreds who send a byte a second: others notice nothing of them."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import TYPE_CHECKING

import pytest
from chaos.calls import percentile, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_BODY = b'{"question": "How heavy is the ferry?"}'
_HEAD = (
    b"POST /v1/answer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(_BODY)
)
_TOGETHER = 50
"""New connections at a time, as many as a listening socket keeps waiting."""
_TIMES = 2.0
_LEAST_SECONDS = 0.1
"""By less than that no answer is later than another: a machine with other work has no better clock."""


async def _questions(stack: Stack, seconds: float) -> list[float]:
    """How long one caller's questions take, one after the other; all are answered."""
    taken: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        question = {"question": f"How heavy is the ferry with the number {len(taken)} of {end}?"}
        outcome = await post(stack.http_port, "/v1/answer", question)
        assert outcome.status == 200
        taken.append(outcome.seconds)
    return taken


async def _dribble(port: int) -> None:
    """Sends a request a byte a second, for as long as the gateway takes it, and then another."""
    while True:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            for byte in _HEAD + _BODY:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        writer.close()


@contextlib.asynccontextmanager
async def _crowd(stack: Stack, silent: int, slow: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """So many who say nothing, and so many who send a byte a second."""
    writers: list[asyncio.StreamWriter] = []
    for start in range(0, silent, _TOGETHER):
        count = min(_TOGETHER, silent - start)
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", stack.http_port) for _ in range(count)))
        writers += [writer for _, writer in opened]
    dribbling = [asyncio.create_task(_dribble(stack.http_port)) for _ in range(slow)]
    try:
        yield writers
    finally:
        for task in dribbling:
            task.cancel()
        await asyncio.gather(*dribbling, return_exceptions=True)
        for writer in writers:
            writer.close()


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_silent_and_slow_clients_change_nothing_for_others(
    make_stack: Callable[..., Stack], scale: Scale, seen: Callable[[str], None]
) -> None:
    silent, slow = scale.pick((300, 50), (2000, 200))
    seconds = scale.pick(3.0, 30.0)
    stack = make_stack()
    stack.start()
    stack.wait_ready()
    stack.ingest(*({"id": f"d{n}", "text": f"The ferry with the number {n} weighs {n} tons."} for n in range(50)))

    async def experiment() -> tuple[list[float], list[float], int]:
        await _questions(stack, 1.0)
        alone = await _questions(stack, seconds)
        before = stack.memory_bytes("gateway")
        async with _crowd(stack, silent, slow):
            beside = await _questions(stack, seconds)
            return alone, beside, (stack.memory_bytes("gateway") - before) >> 20

    alone, beside, grown = asyncio.run(experiment())
    usual, meanwhile = percentile(alone, 0.99), percentile(beside, 0.99)
    seen(
        f"{silent} silent connections and {slow} clients that send a byte a second: {len(beside)} answers, p50 "
        f"{statistics.median(beside):.3f} s, p99 {meanwhile:.3f} s; alone {len(alone)}, {statistics.median(alone):.3f} "
        f"and {usual:.3f} s; the gateway grew by {grown} MiB"
    )
    if scale.long:  # a run with nothing beside it; what seconds say on a busy machine is about its other work
        assert statistics.median(beside) <= max(_TIMES * statistics.median(alone), _LEAST_SECONDS)
