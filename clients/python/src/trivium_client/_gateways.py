"""Which of several gateways gets a call: not one that stopped without ending, nor one that was not there just now."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import grpc

HEALTH = "/grpc.health.v1.Health/Check"
"""What each is asked while it has calls. Any answer will do: who refuses is there."""
PULSE_SECONDS = 0.25
SILENT_SECONDS = 0.6
"""In that time it answers, or is silent: with the pulse, that is known after 0.85 seconds."""
IDLE_SECONDS = 10.0
"""For so long nothing is asked of them before nobody looks any more."""
_LATE_SECONDS = 0.15
"""An answer that is awaited for so much longer says that this process gets no turn, and nothing of the other."""
_AWAY_SECONDS = 1.0

Channel = TypeVar("Channel")


@dataclass(eq=False, slots=True)
class Gateway(Generic[Channel]):
    """One of several.

    Attributes:
        address: Where it is, HOST:PORT.
        channel: The connection to it.
        ask: Asks it for its health.
        running: The calls that it has.
        is_silent: Whether it takes calls and answers none.
        away_until: Until when it is not asked, since it refused to be.
    """

    address: str
    channel: Channel
    ask: Any
    running: set["GatewayCall[Any]"] = field(default_factory=set)
    is_silent: bool = False
    away_until: float = 0.0

    def note(self, error: Any) -> None:
        """Notes why a call failed."""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            self.away_until = time.monotonic() + _AWAY_SECONDS

    def silence(self) -> grpc.aio.AioRpcError:
        """What a call is told that was given up: as if the connection had broken."""
        return grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE,
            grpc.aio.Metadata(),
            grpc.aio.Metadata(),
            f"the gateway at {self.address} has stopped answering",
        )


class GatewayCall(Generic[Channel]):
    """A call that one of the gateways has, for threads or for an event loop.

    Args:
        gateway: Whose it is until it has ended.
        call: gRPC's own.
    """

    def __init__(self, gateway: Gateway[Channel], call: Any) -> None:
        self._gateway = gateway
        self._call = call
        self._is_given_up = False
        gateway.running.add(self)
        call.add_done_callback(lambda _: gateway.running.discard(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def give_up(self) -> None:
        """Ends it, because the gateway is silent."""
        self._is_given_up = True
        self._call.cancel()


class Gateways(Generic[Channel]):
    """Several gateways that do the same, each in its turn.

    Args:
        some: All of them.
    """

    def __init__(self, some: Sequence[Gateway[Channel]]) -> None:
        self.all = tuple(some)
        self._lock = threading.Lock()
        self._turn = 0

    def next(self) -> Gateway[Channel]:
        """Whose turn it is."""
        now = time.monotonic()
        speaking = [one for one in self.all if not one.is_silent]
        some = [one for one in speaking if one.away_until <= now] or speaking
        with self._lock:
            self._turn += 1
            return some[self._turn % len(some)]

    @property
    def awaited(self) -> list[Gateway[Channel]]:
        """Those that have calls, and those that were silent."""
        return [one for one in self.all if one.running or one.is_silent]

    def look(self, asked: Sequence[tuple[Gateway[Channel], bool]], seconds: float) -> None:
        """Takes up which have answered. What the silent ones have is given up; one is never taken for silent alone.

        Args:
            asked: Each that was asked, and whether it answered.
            seconds: How long that was awaited.
        """
        for one, answered in asked:
            if answered:
                one.is_silent = False
            elif seconds <= SILENT_SECONDS + _LATE_SECONDS and any(
                other is not one and not other.is_silent for other in self.all
            ):
                one.is_silent = True
        for one in self.all:
            if one.is_silent:
                for call in list(one.running):
                    call.give_up()


def answered(error: BaseException | None) -> bool:
    """Whether a gateway has said anything, be it an error; or nobody listens there, and calls fail by themselves."""
    return not isinstance(error, grpc.RpcError) or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED


def gateways_at(address: str, open_one: Callable[[str], Channel]) -> Gateways[Channel]:
    """Opens a connection to each of several addresses, separated by commas."""
    channels = [(one.strip(), open_one(one.strip())) for one in address.split(",")]
    return Gateways([Gateway(one, channel, channel.unary_unary(HEALTH)) for one, channel in channels])  # type: ignore[attr-defined]
