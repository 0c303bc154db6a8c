"""Background tasks that fail are noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry
from trivium_serving.background import Background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def background(registry: CollectorRegistry) -> AsyncIterator[Background]:
    background = Background("rerank", registry, first_pause_seconds=0.001, longest_pause_seconds=0.002)
    yield background
    await background.close()


def _failures(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("trivium_rerank_background_failures_total", {"task": "counting"})


async def test_background_failing_task_is_logged_counted_and_started_again(
    background: Background, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    starts, third = 0, asyncio.Event()

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise KeyError("nobody expected this")
        third.set()
        await asyncio.Event().wait()

    background.start("counting", work)
    assert _failures(registry) == 0

    await asyncio.wait_for(third.wait(), 10)
    assert _failures(registry) == 2
    assert "counting has failed" in caplog.text
    assert "nobody expected this" in caplog.text
    assert "Traceback" in caplog.text
    assert not background.broken


async def test_background_cancellation_from_within_is_a_failure_too(
    background: Background, registry: CollectorRegistry
) -> None:
    second = asyncio.Event()

    async def work() -> None:
        if _failures(registry):
            second.set()
            return
        inner = asyncio.ensure_future(asyncio.Event().wait())
        inner.cancel()
        await inner

    await asyncio.wait_for(background.start("counting", work), 10)

    assert second.is_set()
    assert _failures(registry) == 1


async def test_background_task_that_returns_is_done(background: Background, registry: CollectorRegistry) -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    await asyncio.wait_for(background.start("counting", work), 10)

    assert _failures(registry) == 0


async def test_background_closed_while_running_and_pausing_ends_quietly(registry: CollectorRegistry) -> None:
    background = Background("rerank", registry, first_pause_seconds=3600)
    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise RuntimeError

    async def run() -> None:
        await asyncio.Event().wait()

    tasks = [background.start("counting", fail), background.start("running", run)]
    await asyncio.wait_for(failed.wait(), 10)

    await asyncio.wait_for(background.close(), 10)

    assert all(task.cancelled() for task in tasks)


async def test_background_failure_of_what_cannot_be_replaced_breaks_the_service(background: Background) -> None:
    async def work() -> None:
        raise RuntimeError

    background.start("counting", work, restart=False)

    await asyncio.wait_for(background.wait_until_broken(), 10)
    assert background.broken


_SERVER = """
import asyncio, sys
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2
from trivium_serving.server import GrpcServer, serve_until_signal

async def main():
    server = GrpcServer(service="rerank", listen="127.0.0.1:0", full_names=("trivium.rerank.v1.RerankService",),
                        registry=CollectorRegistry())

    async def break_down():
        raise RuntimeError("the loop is gone")

    async def warm_up():
        server.background.start("loop", break_down, restart=False)

    async def close():
        print("closed", flush=True)

    return await serve_until_signal(server, metrics_port=0, warm_up=warm_up, close=close, drain_seconds=1)

sys.exit(asyncio.run(main()))
"""


async def test_background_that_broke_ends_its_process_with_status_1() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == 1, err
    assert b"closed" in out
