"""One connection to a gateway: where it is, how long calls may take, and what their failures mean."""

import os
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import grpc
from trivium.gateway.v1 import gateway_service_pb2_grpc

from trivium_client._errors import InvalidRequest, error_from_rpc

DEFAULT_ADDRESS = "127.0.0.1:50050"
ADDRESS_VARIABLE = "TRIVIUM_GATEWAY"
MAX_MESSAGE_BYTES = 64 << 20

Stub: TypeAlias = gateway_service_pb2_grpc.GatewayServiceStub

_Response = TypeVar("_Response")
_Streamed = TypeVar("_Streamed", covariant=True)


class Responses(Protocol[_Streamed]):
    """The responses of a streaming call, as they arrive."""

    def __iter__(self) -> Iterator[_Streamed]: ...

    def cancel(self) -> Any: ...


class Connection:
    """A channel to a gateway; safe to share between threads.

    Args:
        address: HOST:PORT; None for the environment's TRIVIUM_GATEWAY, else 127.0.0.1:50050.

    Raises:
        InvalidRequest: If the address is not HOST:PORT.
    """

    def __init__(self, address: str | None) -> None:
        self.address = address or os.environ.get(ADDRESS_VARIABLE, "").strip() or DEFAULT_ADDRESS
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit() or "://" in self.address:
            raise InvalidRequest(
                f"the gateway's address is {self.address!r}; give HOST:PORT of its gRPC port, "
                f"for example {DEFAULT_ADDRESS}",
                reason="INVALID_ADDRESS",
                field="address",
            )
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A gateway that comes back is found within a second, not after gRPC's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if host in ("localhost", "127.0.0.1", "[::1]"):
            options.append(("grpc.enable_http_proxy", 0))  # nobody's proxy leads to this machine
        self._channel = grpc.insecure_channel(self.address, options=options)
        self.stub: Stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)

    def unary(self, call: Callable[[Stub, float], _Response], timeout_seconds: float) -> _Response:
        """Makes one call and waits for its response.

        Raises:
            TriviumError: If the call fails.
        """
        try:
            return call(self.stub, timeout_seconds)
        except grpc.RpcError as error:
            raise error_from_rpc(error, self.address, timeout_seconds) from None

    def stream(
        self, call: Callable[[Stub, float], Responses[_Response]], timeout_seconds: float
    ) -> Generator[_Response, None, None]:
        """Yields the responses of one call. Closing the generator cancels the call.

        Raises:
            TriviumError: If the call fails.
        """
        responses = call(self.stub, timeout_seconds)
        try:
            yield from responses
        except grpc.RpcError as error:
            raise error_from_rpc(error, self.address, timeout_seconds) from None
        finally:
            responses.cancel()

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
