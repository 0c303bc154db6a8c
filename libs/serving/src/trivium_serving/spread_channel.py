"""A channel to a service of several replicas, of which one that is slow or hangs costs its callers little."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import grpc

from trivium_serving.replicas import Replicas
from trivium_serving.spread_calls import Streamed, Unary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_logger = logging.getLogger(__name__)

_RESOLVE_SECONDS = 2.0
_RETIRE_SECONDS = 600.0
_HEALTH = "/grpc.health."


def addresses_of(target: str) -> tuple[str, int] | Sequence[str] | None:
    """What a target stands for: a host and a port, several addresses; None for one, or for what gRPC has to resolve."""
    if target.startswith("ipv4:"):
        some = target.removeprefix("ipv4:").split(",")
        return some if len(some) > 1 else None
    name = target.removeprefix("dns:///")
    host, _, port = name.rpartition(":")
    if "/" in name or not port.isdigit() or not host or host == "localhost":
        return None
    with suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        return None
    return host, int(port)


class SpreadChannel(grpc.aio.Channel):
    """Spreads calls over the replicas that a name has, as Replicas says, each over a connection of its own.

    A call with one answer is made elsewhere, too, if it takes much longer than others, and whichever answers first
    counts; one that a replica turned away is made elsewhere. While the name has one address, all is left to gRPC; so
    are calls that send a stream, and those for health.

    Args:
        target: The name, or several addresses; see addresses_of.
        open_one: Opens a channel to a target, and says by which name the other side is known, if by another.
    """

    def __init__(self, target: str, open_one: Callable[[str, str], grpc.aio.Channel]) -> None:
        self._open_one = open_one
        self._where = addresses_of(target)
        self._whole = open_one(target, "")
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._follows: asyncio.Task[None] | None = None
        self.replicas: Replicas[grpc.aio.Channel] = Replicas(
            lambda address: _logger.warning("%s of %s is slow or hangs; others are asked", address, target)
        )

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        if args[0].startswith(_HEALTH):
            return self._whole.unary_unary(*args, **kwargs)
        return Unary(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        if args[0].startswith(_HEALTH):
            return self._whole.unary_stream(*args, **kwargs)
        return Streamed(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._whole.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.aio.Channel."""
        return self._whole.stream_stream(*args, **kwargs)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See grpc.aio.Channel."""
        return self._whole.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See grpc.aio.Channel."""
        await self._whole.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See grpc.aio.Channel."""
        await self._whole.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Closes the connections."""
        for task in (*self._retiring, *([self._follows] if self._follows else [])):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(one.close(grace) for one in (self._whole, *self._channels.values())))

    async def __aenter__(self) -> Self:
        """Opens nothing: a connection is made when it is first used."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()

    @property
    def is_spread(self) -> bool:
        """Whether there are several replicas now."""
        if self._follows is None:
            self._follows = asyncio.ensure_future(self._follow())
        return len(self.replicas) > 1

    @property
    def whole(self) -> grpc.aio.Channel:
        """A channel to whichever replica gRPC takes."""
        return self._whole

    async def _follow(self) -> None:
        """Learns which addresses there are, until cancelled."""
        while True:
            self._set(await self._addresses())
            if not isinstance(self._where, tuple):
                return
            await asyncio.sleep(_RESOLVE_SECONDS)

    async def _addresses(self) -> Sequence[str] | None:
        """The addresses, or None if nobody says so now: then they stay as they are."""
        if not isinstance(self._where, tuple):
            return self._where or ()
        host, port = self._where
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # UnicodeError: no name at all
            return None
        hosts = {str(to[0]) for kind, _, _, _, to in found if kind is socket.AF_INET}
        return sorted(f"ipv4:{one}:{port}" for one in hosts)

    def _set(self, addresses: Sequence[str] | None) -> None:
        if addresses is None:
            return
        wanted = [one if one.startswith("ipv4:") else f"ipv4:{one}" for one in addresses]
        wanted = wanted if len(wanted) > 1 else []
        host = self._where[0] if isinstance(self._where, tuple) else ""
        self._channels = {one: self._channels.get(one) or self._open_one(one, str(host)) for one in wanted}
        for gone in self.replicas.set(self._channels):
            task = asyncio.ensure_future(gone.close(_RETIRE_SECONDS))  # its calls come to their end
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)
