"""A channel to several gateways, for threads that wait."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from trivium_client._channel import ChannelSettings
from trivium_client._gateways import (
    IDLE_SECONDS,
    PULSE_SECONDS,
    SILENT_SECONDS,
    Gateway,
    GatewayCall,
    Gateways,
    answered,
    gateways_at,
)


def open_channel(settings: ChannelSettings) -> grpc.Channel:
    """Opens a channel to a gateway, or to several."""

    def open_one(address: str) -> grpc.Channel:
        if settings.credentials is None:
            return grpc.insecure_channel(address, options=settings.options)
        return grpc.secure_channel(address, settings.credentials, options=settings.options)

    return SpreadChannel(settings.address, open_one) if settings.are_several else open_one(settings.address)


class SpreadChannel(grpc.Channel):
    """Gives each of several gateways its turn, and gives up what one has that has stopped answering.

    Args:
        address: Where they are.
        open_one: Opens a channel to one.
    """

    def __init__(self, address: str, open_one: Callable[[str], grpc.Channel]) -> None:
        self.gateways: Gateways[grpc.Channel] = gateways_at(address, open_one)
        self._lock = threading.Lock()
        self._looks: threading.Thread | None = None
        self._called_at = 0.0
        self._is_closed = False

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.Channel."""
        return _Method(self, "unary_unary", args, kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.Channel."""
        return _Method(self, "unary_stream", args, kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.Channel."""
        return _Method(self, "stream_unary", args, kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        """See grpc.Channel."""
        return _Method(self, "stream_stream", args, kwargs)

    def subscribe(self, callback: Any, try_to_connect: bool = False) -> None:
        """See grpc.Channel."""
        for one in self.gateways.all:
            one.channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        """See grpc.Channel."""
        for one in self.gateways.all:
            one.channel.unsubscribe(callback)

    def close(self) -> None:
        """See grpc.Channel."""
        self._is_closed = True
        for one in self.gateways.all:
            one.channel.close()

    def __enter__(self) -> "SpreadChannel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self) -> Gateway[grpc.Channel]:
        """Whose turn it is, and has somebody look whether it answers."""
        self._called_at = time.monotonic()
        with self._lock:
            if self._looks is None:
                self._looks = threading.Thread(target=self._look, name="trivium-gateways", daemon=True)
                self._looks.start()
        return self.gateways.next()

    def _look(self) -> None:
        while not self._is_closed:
            awaited = self.gateways.awaited
            with self._lock:
                if not awaited and time.monotonic() - self._called_at > IDLE_SECONDS:
                    self._looks = None
                    return
            begin = time.monotonic()
            try:
                asked = [(one, one.ask.future(b"", timeout=SILENT_SECONDS)) for one in awaited]
                seen = [(one, answered(call.exception())) for one, call in asked]
            except (ValueError, grpc.FutureCancelledError):  # it was closed
                return
            self.gateways.look(seen, time.monotonic() - begin)
            time.sleep(PULSE_SECONDS)


class _Method:
    """A method of the gateways."""

    def __init__(self, owner: SpreadChannel, kind: str, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._owner = owner
        self._is_streamed = kind.endswith("stream")
        self._methods = {one: getattr(one.channel, kind)(*args, **named) for one in owner.gateways.all}

    def __call__(self, request: Any, **kwargs: Any) -> Any:
        if self._is_streamed:
            gateway = self._owner.next()
            return _Call(gateway, self._methods[gateway](request, **kwargs))
        call = self.future(request, **kwargs)
        try:
            return call.result()
        finally:
            call.cancel()  # if whoever waits for it was broken off

    def future(self, request: Any, **kwargs: Any) -> "_Call":
        """See grpc.UnaryUnaryMultiCallable."""
        gateway = self._owner.next()
        return _Call(gateway, self._methods[gateway].future(request, **kwargs))


class _Call(GatewayCall[grpc.Channel]):
    """A call that one of the gateways has."""

    def result(self, timeout: float | None = None) -> Any:
        """See grpc.Future."""
        try:
            return self._call.result(timeout)
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            self._tell(error)
            raise

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            self._tell(error)
            raise

    def _tell(self, error: Exception) -> None:
        if self._is_given_up:
            raise self._gateway.silence() from None
        if isinstance(error, grpc.RpcError):
            self._gateway.note(error)
