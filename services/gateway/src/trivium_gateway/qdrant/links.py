"""The connection to Qdrant that is in use, and its replacement by another one where nothing comes back any more."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from trivium_gateway.qdrant.client import QdrantClient

__all__ = ["QdrantLinks"]

_logger = logging.getLogger(__name__)

_Call = Callable[[QdrantClient, float], Awaitable[Any]]

_SILENT_SECONDS = 0.3
"""How long a call may take, while nothing else is heard, before the connection itself is looked at."""
_PING_SECONDS = 5.0
_NEXT_TRY_SECONDS = (_SILENT_SECONDS, _SILENT_SECONDS, _PING_SECONDS)
"""How long to wait, with each further connection, before the next one is tried."""
_GRACE_SECONDS = 0.05
"""How much longer the old one may take than a new one: answers of both may be under way, and what lives is kept."""


class _Link:
    """One connection."""

    def __init__(self, client: QdrantClient) -> None:
        self.client = client
        self.heard_at = 0.0
        self.call_count = 0

    async def make(self, call: _Call, timeout_seconds: float) -> Any:
        try:
            answer = await call(self.client, timeout_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                self.heard_at = time.monotonic()
            raise
        self.heard_at = time.monotonic()
        return answer

    async def ping(self) -> bool:
        """Whether Qdrant says anything over it, be it an error."""
        try:
            await self.client.version(_PING_SECONDS)
        except grpc.aio.AioRpcError as error:
            return error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        return True


class QdrantLinks:
    """Makes calls over one connection, and over another one once that is dead without having been closed.

    A node that hangs, and a NAT or balancer that has forgotten a connection, take bytes and send none. When a call gets
    no answer and nothing else is heard, the same short question is asked over this connection and over new ones. A
    Qdrant that is only slow answers the older question first, and nothing changes. Otherwise the new connection takes
    over, and calls that wait are made again over it: all calls of the gateway may be made twice.

    Args:
        open_client: Opens another client, whose connection is its own.
    """

    def __init__(self, open_client: Callable[[], QdrantClient]) -> None:
        self._open_client = open_client
        self._link = _Link(open_client())
        self._look: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, call: _Call, timeout_seconds: float) -> Any:
        """Make a call.

        Args:
            call: Makes it, with a client and the seconds that it may take.
            timeout_seconds: Its deadline, all attempts together.

        Raises:
            AioRpcError: It failed.
        """
        started, link = time.monotonic(), self._link
        first = asyncio.ensure_future(self._attempt(link, call, timeout_seconds))
        attempts: set[asyncio.Future[Any]] = {first}
        try:
            await asyncio.wait(attempts, timeout=_SILENT_SECONDS)
            if not first.done() and link.heard_at < started:
                fresh = await self._replacement(link, first)
                if fresh is not None and not first.done():
                    remaining_seconds = max(0.001, timeout_seconds - (time.monotonic() - started))
                    attempts.add(asyncio.ensure_future(self._attempt(fresh, call, remaining_seconds)))
            return await _first_answer(attempts)
        finally:
            for attempt in attempts:
                attempt.cancel()

    async def close(self) -> None:
        """Close all connections."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)
        await asyncio.gather(self._link.client.close(), *self._closing, return_exceptions=True)

    async def _attempt(self, link: _Link, call: _Call, timeout_seconds: float) -> Any:
        link.call_count += 1
        try:
            return await link.make(call, timeout_seconds)
        finally:
            link.call_count -= 1
            self._close_unused(link)

    async def _replacement(self, link: _Link, call: asyncio.Future[Any]) -> _Link | None:
        """Wait until it is known whether a connection is dead, or the call is answered after all.

        Returns:
            The connection to use in its place; None if there is no need.
        """
        if self._link is not link:
            return self._link
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_at(link))
        look = self._look
        await asyncio.wait({look, call}, return_when=asyncio.FIRST_COMPLETED)
        if look.done() and (error := look.exception()) is not None:
            _logger.warning("no other connection to Qdrant can be opened: %s", error)
        return self._link if self._link is not link else None

    async def _look_at(self, link: _Link) -> None:
        """Ask over a connection and over new ones, and take the one that answers first."""
        old = asyncio.create_task(link.ping())
        pings: dict[asyncio.Task[bool], _Link] = {}
        taken: _Link | None = None
        try:
            # A balancer may lead a new connection to the same node.
            for seconds in _NEXT_TRY_SECONDS:
                fresh = _Link(self._open_client())
                pings[asyncio.create_task(fresh.ping())] = fresh
                await _first_good((old, *pings), seconds)
                await asyncio.wait({old}, timeout=_GRACE_SECONDS)
                if old.done() and old.result():
                    return
                taken = next((pings[ping] for ping in pings if ping.done() and ping.result()), None)
                if taken is not None:
                    _logger.warning("the connection to Qdrant is silent; another one takes its place")
                    self._link = taken
                    return
        finally:
            for ping in (old, *pings):
                ping.cancel()
            for one in (link, *pings.values()):
                self._close_unused(one)

    def _close_unused(self, link: _Link) -> None:
        """Close a connection that is replaced, once no call waits on it: that would be cancelled."""
        if link is self._link or link.call_count:
            return
        task = asyncio.create_task(link.client.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _first_good(pings: Iterable[asyncio.Task[bool]], timeout_seconds: float) -> None:
    """Wait until one of some pings has come back, or all have failed."""
    pending = set(pings)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                if any(one.result() for one in done):
                    return


async def _first_answer(attempts: set[asyncio.Future[Any]]) -> Any:
    """Give what the first attempt brings that does not fail; if all fail, raise what the last one did."""
    pending = set(attempts)
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        good = next((one for one in done if not one.cancelled() and one.exception() is None), None)
        if good is not None or not pending:
            return (good or done.pop()).result()
