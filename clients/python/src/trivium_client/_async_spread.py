"""A channel to several gateways, for asyncio."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Self

import grpc

from trivium_client._channel import ChannelSettings
from trivium_client._gateways import (
    IDLE_SECONDS,
    PULSE_SECONDS,
    SILENT_SECONDS,
    GatewayCall,
    Gateways,
    answered,
    gateways_at,
)


def open_async_channel(settings: ChannelSettings) -> grpc.aio.Channel:
    """Opens a channel to a gateway, or to several."""

    def open_one(address: str) -> grpc.aio.Channel:
        if settings.credentials is None:
            return grpc.aio.insecure_channel(address, options=settings.options)
        return grpc.aio.secure_channel(address, settings.credentials, options=settings.options)

    return AsyncSpreadChannel(settings.address, open_one) if settings.are_several else open_one(settings.address)


class AsyncSpreadChannel(grpc.aio.Channel):
    """Gives each of several gateways its turn, and gives up what one has that has stopped answering.

    Args:
        address: Where they are.
        open_one: Opens a channel to one.
    """

    def __init__(self, address: str, open_one: Callable[[str], grpc.aio.Channel]) -> None:
        self.gateways: Gateways[grpc.aio.Channel] = gateways_at(address, open_one)
        self._looks: asyncio.Task[None] | None = None
        self._called_at = 0.0

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._method("unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._method("unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._method("stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._method("stream_stream", args, kwargs)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See grpc.aio.Channel; that of the first gateway."""
        return self.gateways.all[0].channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See grpc.aio.Channel; that of the first gateway."""
        await self.gateways.all[0].channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See grpc.aio.Channel; all of them."""
        await asyncio.gather(*(one.channel.channel_ready() for one in self.gateways.all))

    async def close(self, grace: float | None = None) -> None:
        """See grpc.aio.Channel."""
        if self._looks is not None:
            self._looks.cancel()
        await asyncio.gather(*(one.channel.close(grace) for one in self.gateways.all))

    async def __aenter__(self) -> Self:
        """Opens nothing: a connection is made when it is first used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()

    def _method(self, kind: str, args: tuple[Any, ...], named: dict[str, Any]) -> Callable[..., "_Call"]:
        methods = {one: getattr(one.channel, kind)(*args, **named) for one in self.gateways.all}

        def call(request: Any, **kwargs: Any) -> _Call:
            self._called_at = time.monotonic()
            if self._looks is None or self._looks.done():
                self._looks = asyncio.ensure_future(self._look())
            gateway = self.gateways.next()
            return _Call(gateway, methods[gateway](request, **kwargs))

        return call

    async def _look(self) -> None:
        """Looks which of them answer, until nothing is asked of them any more."""
        while (awaited := self.gateways.awaited) or time.monotonic() - self._called_at <= IDLE_SECONDS:
            begin = time.monotonic()
            asked = [one.ask(b"", timeout=SILENT_SECONDS) for one in awaited]
            said = await asyncio.gather(*asked, return_exceptions=True)
            seen = map(answered, (it if isinstance(it, BaseException) else None for it in said))
            self.gateways.look(list(zip(awaited, seen, strict=True)), time.monotonic() - begin)
            await asyncio.sleep(PULSE_SECONDS)


class _Call(GatewayCall[grpc.aio.Channel]):
    """A call that one of the gateways has."""

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    async def _answer(self) -> Any:
        try:
            return await self._call
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            self._tell(error)
            raise

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            async for one in self._call:
                yield one
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            self._tell(error)
            raise

    def _tell(self, error: BaseException) -> None:
        task = asyncio.current_task()
        if self._is_given_up and (task is None or not task.cancelling()):
            raise self._gateway.silence() from None
        if isinstance(error, grpc.aio.AioRpcError):
            self._gateway.note(error)
