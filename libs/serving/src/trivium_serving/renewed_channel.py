"""A channel whose certificates can change while it is in use."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Self

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_serving.tls import CurrentTls, TlsContent

_LOOK_SECONDS = 1.0
# As long as the longest answer may take, and more.
_RETIRE_SECONDS = 600.0


class RenewedChannel(grpc.aio.Channel):
    """Passes each call to a channel with the present certificates, which gRPC's own channels read only once.

    When the files have changed, the next call opens another connection. The calls of the one before come to their end.

    Args:
        current: The certificates.
        open_one: Opens a channel with given ones.
    """

    def __init__(self, current: CurrentTls, open_one: Callable[[TlsContent], grpc.aio.Channel]) -> None:
        self._current = current
        self._open_one = open_one
        self._content = current.get()
        self._channel = open_one(self._content)
        self._looked = time.monotonic()
        self._retiring: set[asyncio.Task[None]] = set()

    def current_channel(self) -> grpc.aio.Channel:
        """The channel for the next call."""
        if time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            content = self._current.get()
            if content is not self._content:
                retired, self._content, self._channel = self._channel, content, self._open_one(content)
                task = asyncio.ensure_future(retired.close(_RETIRE_SECONDS))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
        return self._channel

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Method(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Method(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Method(self, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Method(self, "stream_stream", args, kwargs)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See grpc.aio.Channel."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See grpc.aio.Channel."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See grpc.aio.Channel."""
        await self._channel.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Closes the connections."""
        for task in self._retiring:
            task.cancel()  # which ends their calls
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._channel.close(grace)

    async def __aenter__(self) -> Self:
        """Opens nothing: a connection is made when it is first used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()


class _Method:
    """A method of a service, on whichever channel is the present one."""

    def __init__(self, owner: RenewedChannel, kind: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._owner = owner
        self._make = (kind, args, kwargs)
        self._channel: grpc.aio.Channel | None = None
        self._method: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        channel = self._owner.current_channel()
        if channel is not self._channel:
            kind, given, named = self._make
            self._method, self._channel = getattr(channel, kind)(*given, **named), channel
        return self._method(*args, **kwargs)
