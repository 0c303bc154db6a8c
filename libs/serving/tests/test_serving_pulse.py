"""Waits for a service end when it hangs, and not while it is busy."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1 import rerank_service_pb2_grpc
from trivium_serving.channels import open_channel
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from trivium_serving.pulse import Pulse, health_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SERVER = """
import asyncio
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc
from trivium_serving.server import GrpcServer

class Servicer(rerank_service_pb2_grpc.RerankServiceServicer):
    async def Rerank(self, request, context):
        await asyncio.Event().wait()

async def main():
    server = GrpcServer(service="rerank", listen="127.0.0.1:0", full_names=("trivium.rerank.v1.RerankService",),
                        registry=CollectorRegistry())
    rerank_service_pb2_grpc.add_RerankServiceServicer_to_server(Servicer(), server.grpc)
    print(await server.start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Remote:
    """A process that answers its health, and never a call; and a pulse of it."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.channel = open_channel(f"127.0.0.1:{port}")
        self.stub: Any = rerank_service_pb2_grpc.RerankServiceStub(self.channel)
        self.silences = 0
        self.asked = 0
        ask = health_of(self.channel)

        async def counted(seconds: float) -> None:
            await ask(seconds)
            self.asked += 1

        self.pulse = Pulse("The rerank service", counted, self._note)

    def _note(self) -> None:
        self.silences += 1

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    async def call(self) -> None:
        async with self.pulse.waiting():
            await self.stub.Rerank(pb.RerankRequest(query="q", texts=["a"]), timeout=60)


@pytest.fixture
async def remote() -> AsyncIterator[Remote]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _SERVER, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    remote = Remote(process, int(await asyncio.wait_for(process.stdout.readline(), 60)))
    watching = asyncio.create_task(remote.pulse.watch())
    yield remote
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await remote.channel.close()
    process.kill()
    await process.wait()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event
            await asyncio.sleep(0.01)


async def test_pulse_of_a_process_that_is_stopped_ends_waits_and_refuses_more_until_it_goes_on(remote: Remote) -> None:
    await _until(lambda: remote.asked)
    waiting = asyncio.create_task(remote.call())
    begin = time.monotonic()
    remote.send(signal.SIGSTOP)
    with pytest.raises(Unavailable, match="The rerank service does not answer"):
        await waiting
    assert time.monotonic() - begin < 10  # of the 60 that the call itself had
    assert remote.pulse.silent
    assert remote.silences == 1

    with pytest.raises(Unavailable):
        async with remote.pulse.waiting():
            pytest.fail("it was waited for again")

    remote.send(signal.SIGCONT)
    await _until(lambda: not remote.pulse.silent)


async def test_pulse_of_a_process_that_is_busy_lets_its_callers_wait(remote: Remote) -> None:
    waiting = asyncio.create_task(remote.call())
    await _until(lambda: remote.asked > 8)
    assert not waiting.done()
    assert remote.silences == 0
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


class Script:
    """Answers as the test says: with an error, or None for none."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = iter(answers)
        self.done = asyncio.Event()

    async def ask(self, seconds: float) -> None:
        answer = next(self._answers, "end")
        if isinstance(answer, str):
            self.done.set()
            return
        await asyncio.sleep(0)
        if answer is not None:
            raise answer


LATE = DeadlineExceeded("late")


@pytest.mark.parametrize(
    ("answers", "silences"),
    [
        ((None, LATE, None), 0),
        ((LATE, LATE, LATE, LATE, None), 0),  # one of four replicas answers
        ((LATE, LATE, LATE, LATE, FailedPrecondition("no")), 0),  # an error is an answer
        ((Unavailable("gone"), Unavailable("gone")), 0),  # it refuses calls by itself
        ((LATE, LATE, LATE, LATE, LATE), 1),
    ],
)
async def test_pulse_is_silent_only_if_nobody_answers_twice(answers: Any, silences: int) -> None:
    script, counted = Script(*answers), []
    watching = asyncio.create_task(Pulse("It", script.ask, lambda: counted.append(1)).watch())
    await asyncio.wait_for(script.done.wait(), 30)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert len(counted) == silences


async def test_pulse_of_a_service_that_always_answers_late_learns_to_wait_for_it() -> None:
    answers, silences = [], []

    async def ask(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.9))
        if seconds <= 0.9:
            raise LATE
        answers.append(1)

    pulse = Pulse("It", ask, lambda: silences.append(1))
    watching = asyncio.create_task(pulse.watch())
    await _until(lambda: answers)
    await _until(lambda: not pulse.silent)
    answers.clear()
    await _until(lambda: len(answers) > 3)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert len(silences) == 1  # the first time


async def test_pulse_of_a_process_that_stands_still_now_and_then_falls_silent_once(remote: Remote) -> None:
    await _until(lambda: remote.asked)
    for _ in range(3):
        remote.send(signal.SIGSTOP)
        await asyncio.sleep(2)  # how long it stands still is what is tested
        remote.send(signal.SIGCONT)
        asked = remote.asked
        await _until(lambda asked=asked: remote.asked > asked + 1)
    assert remote.silences == 1


async def test_waiting_whose_block_times_out_by_itself_says_so() -> None:
    async def ask(seconds: float) -> None:
        pass

    pulse = Pulse("It", ask)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0), pulse.waiting():
            await asyncio.Event().wait()


async def test_pulse_of_who_gets_no_turn_itself_is_not_silent() -> None:
    looks, silences = [], []

    async def ask(seconds: float) -> None:
        looks.append(1)
        if len(looks) <= 5:  # one alone, and four at once
            await asyncio.sleep(seconds + 0.4)  # as where the machine gives no processor to who waits for its time
            raise LATE

    watching = asyncio.create_task(Pulse("It", ask, lambda: silences.append(1)).watch())
    await _until(lambda: len(looks) > 10)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert silences == []
