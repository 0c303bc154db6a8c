"""Whether a service that others wait for answers at all; where it does not, their waits end."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from trivium_serving.errors import DeadlineExceeded, TriviumError, Unavailable
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Ask = Callable[[float], Awaitable[object]]
    """Has a service say anything within so many seconds. DeadlineExceeded means that it has not, Unavailable that
    nobody is there to say it; any other error is something that it said."""

_logger = logging.getLogger(__name__)

# With the pause before them they make one second: so long at most waits who has called what hangs.
_FIRST_ASK_SECONDS = 0.3
_SECOND_ASK_SECONDS = 0.55
_SILENT_ASK_SECONDS = 2.4
"""While it is silent nobody waits, so that a late answer is worth waiting for."""
_SLACK = 2.0
"""So many times as long as its slowest answer of late is a service waited for."""
_LONGEST_SECONDS = 5.0
"""Without an answer; what takes longer hangs, however slow it was before."""
_LATE_SECONDS = 0.1
"""That a look takes beyond its time where the machine has no processor for who looks."""
_FORGETTING_SECONDS = 10.0
"""In which what is known of its slowest answer is halved."""
_PAUSE_SECONDS = 0.15
_IDLE_PAUSE_SECONDS = 0.25
_WITNESSES = 4


class Pulse:
    """Asks a service again and again to say something, and ends the waits for one that is silent.

    A process that is gone refuses calls at once. One that hangs, stopped or cut off, takes them, and each caller would
    wait for as long as it may. So whoever waits for a service does it within `waiting`: that ends within a second
    of the silence, and until the service says something again it does not begin. A service that is only busy is not
    silent: its health costs it nothing.

    One answer that is missing is no silence. The second time several are asked for at once: they reach several replicas
    where there are some, and one that answers is enough.

    A service on a machine that is used up, or whose engine holds it up, answers late again and again, and does not
    hang. So its patience follows what its answers took of late, up to five seconds.

    Args:
        service: Who it is, for messages: `The embed service`.
        ask: Has it say something.
        on_silence: Called each time it falls silent.
    """

    def __init__(self, service: str, ask: Ask, on_silence: Callable[[], None] = lambda: None) -> None:
        self._service = service
        self._ask = ask
        self._on_silence = on_silence
        self._silent = False
        self._waits: set[asyncio.Timeout] = set()
        self._wanted = asyncio.Event()
        self._slowest_seconds = 0.0
        self._answered_at = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether it did not answer when it was asked last."""
        return self._silent

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Waits for the service within the block.

        Raises:
            Unavailable: The service is silent, or fell silent meanwhile; what ran in the block was cancelled.
        """
        if self._silent:
            raise self._silence()
        try:
            async with asyncio.timeout(None) as wait:
                self._waits.add(wait)
                self._wanted.set()
                try:
                    yield
                finally:
                    self._waits.discard(wait)
        except TimeoutError as error:
            if wait.expired():
                raise self._silence() from error
            raise

    async def watch(self) -> None:
        """Asks until cancelled: often while somebody waits, now and then otherwise."""
        try:
            await self._watch()
        finally:
            self._silent = False  # whom nobody asks is not silent

    async def _watch(self) -> None:
        missing = 0
        since = time.monotonic()
        while True:
            begin = time.monotonic()
            if missing == 0:
                since = begin
                allowed = _FIRST_ASK_SECONDS * self._stretch()
            else:
                allowed = _SILENT_ASK_SECONDS if self._silent else _SECOND_ASK_SECONDS * self._stretch()
            answered = await self._answers(_WITNESSES if missing else 1, allowed)
            if answered is None:
                missing += 1
                if missing > 1 and not self._is_late_itself(begin, allowed, since):
                    self._fall_silent()
                continue  # asking has taken its time
            if answered:
                missing = 0
                self._note(time.monotonic() - since)
                self._speak()
            await self._pause()

    def _is_late_itself(self, begin: float, allowed: float, since: float) -> bool:
        """Whether the look took much longer than it was allowed: then it is this process that gets no turn.

        On a machine with more work than it can do nobody answers in time, and nobody hangs. So the question is asked
        again, for as long as the longest silence.
        """
        now = time.monotonic()
        return now - begin - allowed > _LATE_SECONDS and now - since < _LONGEST_SECONDS

    def _stretch(self) -> float:
        """How much longer than usual it is waited for."""
        usual_seconds = _FIRST_ASK_SECONDS + _SECOND_ASK_SECONDS
        return min(max(1.0, _SLACK * self._slowest_seconds / usual_seconds), _LONGEST_SECONDS / usual_seconds)

    def _note(self, seconds: float) -> None:
        """Notes how long an answer was waited for; one that came after the longest was a hang, and says nothing."""
        now = time.monotonic()
        self._slowest_seconds *= 0.5 ** ((now - self._answered_at) / _FORGETTING_SECONDS)
        self._answered_at = now
        if seconds < _LONGEST_SECONDS:
            self._slowest_seconds = max(self._slowest_seconds, seconds)

    async def _answers(self, witnesses: int, seconds: float) -> bool | None:
        """Whether anything is heard; None if nothing is said, False if nobody is there."""
        asked = [asyncio.ensure_future(self._ask(seconds)) for _ in range(witnesses)]
        refused = False
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    await answer
                    return True
                except DeadlineExceeded:
                    continue
                except Unavailable:
                    refused = True
                except TriviumError:
                    return True
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return False if refused else None

    async def _pause(self) -> None:
        self._wanted.clear()
        await asyncio.sleep(_PAUSE_SECONDS)
        if not self._waits:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _IDLE_PAUSE_SECONDS)

    def _fall_silent(self) -> None:
        if self._silent:
            return
        self._silent = True
        _logger.warning("%s does not answer; %d calls no longer wait for it", self._service, len(self._waits))
        self._on_silence()
        now = asyncio.get_running_loop().time()
        for wait in self._waits:
            wait.reschedule(now)
        self._waits.clear()

    def _speak(self) -> None:
        if self._silent:
            self._silent = False
            _logger.info("%s answers again", self._service)

    def _silence(self) -> Unavailable:
        return Unavailable(
            f"{self._service} does not answer. Look whether its process hangs.", reason="UPSTREAM_UNAVAILABLE"
        )


def health_of(channel: grpc.aio.Channel) -> Ask:
    """Asks a gRPC service for its health: whatever it says, it says something."""
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its types know no methods

    async def ask(seconds: float) -> None:
        try:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error

    return ask
