"""Calls that are made of one of several replicas, and of another one if that is slow or turns them away."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from trivium_serving.replicas import Replica, Replicas
    from trivium_serving.spread_channel import SpreadChannel

_ELSEWHERE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def _may_serve_elsewhere(error: BaseException) -> bool:
    """Whether a replica has turned a call away which another may take; one that has tried says that none would."""
    if not isinstance(error, grpc.aio.AioRpcError) or error.code() not in _ELSEWHERE:
        return False
    return ("grpc-retry-pushback-ms", "-1") not in [(key, value) for key, value in error.trailing_metadata() or ()]


def _usable(channel: grpc.aio.Channel) -> bool:
    return channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY


class _Method:
    """A method of the service, on each of its channels."""

    def __init__(self, owner: SpreadChannel, kind: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._owner = owner
        self._name: str = args[0]
        self._make = (kind, args, named)
        self._methods: dict[grpc.aio.Channel, Any] = {}
        self._whole = self._on(owner.whole)

    def _on(self, channel: grpc.aio.Channel) -> Any:
        if (method := self._methods.get(channel)) is None:
            kind, args, named = self._make
            if len(self._methods) > 2 * len(self._owner.replicas) + 2:  # those of replicas that are gone
                self._methods.clear()
            method = self._methods[channel] = getattr(channel, kind)(*args, **named)
        return method

    def _kind(self, request: Any) -> str:
        """What takes about the same time: a method, with a request of about a size."""
        return f"{self._name} {request.ByteSize().bit_length()}"

    def _next(self, without: Sequence[Replica[grpc.aio.Channel]] = ()) -> Replica[grpc.aio.Channel] | None:
        return self._owner.replicas.next(_usable, without)


class Unary(_Method):
    """With one answer."""

    def __call__(self, request: Any, *, timeout: float | None = None, **kwargs: Any) -> Any:
        if not self._owner.is_spread:
            return self._whole(request, timeout=timeout, **kwargs)
        return asyncio.ensure_future(self._spread(request, timeout, kwargs))

    async def _spread(self, request: Any, timeout: float | None, kwargs: dict[str, Any]) -> Any:
        until = None if timeout is None else time.monotonic() + timeout
        kind = self._kind(request)
        asked: list[Replica[grpc.aio.Channel]] = []
        running: dict[asyncio.Task[Any], Replica[grpc.aio.Channel]] = {}
        try:
            while (replica := self._next(asked)) is not None:
                left = None if until is None else max(0.001, until - time.monotonic())
                task = asyncio.ensure_future(self._ask(replica, kind, request, left, kwargs))
                asked.append(replica)
                running[task] = replica
                patience: float | None = self._owner.replicas.patience(replica, kind)
                while running:
                    done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                    if not done:
                        for slow in running.values():
                            self._owner.replicas.hangs(slow)
                        break  # and asks another one, too
                    for one in done:
                        running.pop(one)
                        error = one.exception()
                        if error is None:
                            return one.result()
                        if not _may_serve_elsewhere(error):
                            raise error
                    patience = None if running else patience
            if running:  # there is no further one to be asked
                for last in asyncio.as_completed(list(running)):
                    with suppress(grpc.aio.AioRpcError):
                        return await last
            left = None if until is None else max(0.001, until - time.monotonic())
            return await self._whole(request, timeout=left, **kwargs)
        finally:
            for task in running:
                task.cancel()
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # whichever it is

    async def _ask(
        self, replica: Replica[grpc.aio.Channel], kind: str, request: Any, left: float | None, kwargs: dict[str, Any]
    ) -> Any:
        replicas = self._owner.replicas
        call, done = replicas.begin(replica, kind), False
        try:
            answer = await self._on(replica.channel)(request, timeout=left, **kwargs)
            done = True
            return answer
        except grpc.aio.AioRpcError as error:
            done = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # it has taken at least so long
            raise
        finally:
            replicas.end(replica, call, done=done)


class Streamed(_Method):
    """With a stream of answers, of which the first one counts."""

    def __call__(self, request: Any, **kwargs: Any) -> Any:
        if not self._owner.is_spread or (replica := self._next()) is None:
            return self._whole(request, **kwargs)
        call = self._on(replica.channel)(request, **kwargs)
        elsewhere = partial(self._whole, request, **kwargs)
        return _Stream(self._owner.replicas, replica, self._kind(request), call, elsewhere)


class _Stream:
    """A stream of answers of one replica; or of any, if that one turned the call away before it had said anything."""

    def __init__(
        self,
        replicas: Replicas[grpc.aio.Channel],
        replica: Replica[grpc.aio.Channel],
        kind: str,
        call: Any,
        elsewhere: Callable[[], Any],
    ) -> None:
        self._call = call
        self._elsewhere = elsewhere
        begun = replicas.begin(replica, kind)
        self._noted: Callable[[bool], None] | None = lambda done: replicas.end(replica, begun, done=done)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def cancel(self) -> bool:
        """See grpc.aio.Call."""
        self._note(False)
        return bool(self._call.cancel())

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The answers."""
        begun = False
        try:
            async for one in self._call:
                self._note(True)
                begun = True
                yield one
        except grpc.aio.AioRpcError as error:
            self._note(error.code() is grpc.StatusCode.DEADLINE_EXCEEDED)
            if begun or not _may_serve_elsewhere(error):
                raise
            self._call = self._elsewhere()
            async for one in self._call:
                yield one
        finally:
            self._note(False)

    def _note(self, done: bool) -> None:
        noted, self._noted = self._noted, None
        if noted is not None:
            noted(done)
