"""One connection to a gateway: where it is, how long calls may take, and what their failures mean."""

import json
import os
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import grpc
from trivium.gateway.v1 import gateway_service_pb2_grpc

from trivium_client._errors import InvalidRequest, error_from_rpc
from trivium_client._tls import channel_credentials

DEFAULT_ADDRESS = "127.0.0.1:50050"
ADDRESS_VARIABLE = "TRIVIUM_GATEWAY"
MAX_MESSAGE_BYTES = 64 << 20

# Calls are spread over all addresses of the gateway's name. One that a gateway turned away while it shut down is sent
# again by gRPC, at another address if there is one, unless something of its answer has come: of those calls that may be
# made twice. Ingestion repeats its batches by itself.
_REPEATED = (
    "Answer", "Retrieve", "GetDocument", "ListDocuments", "GetCollection", "ListCollections", "GetStatus",
)  # fmt: skip
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "trivium.gateway.v1.GatewayService", "method": method} for method in _REPEATED],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 1000, "tokenRatio": 1},
}

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
        tls_ca: File of the authorities to trust; see `Trivium`.
        tls_cert: File of the certificate to show.
        tls_key: File of its key.

    Raises:
        InvalidRequest: If the address is not HOST:PORT, or the files for TLS cannot be used.
    """

    def __init__(
        self,
        address: str | None,
        *,
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> None:
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
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),  # a call that does not fit is never repeated
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A gateway that comes back is found within a second, not after gRPC's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if host in ("localhost", "127.0.0.1", "[::1]"):
            options.append(("grpc.enable_http_proxy", 0))  # nobody's proxy leads to this machine
        credentials = channel_credentials(tls_ca, tls_cert, tls_key)
        self._channel = (
            grpc.insecure_channel(self.address, options=options)
            if credentials is None
            else grpc.secure_channel(self.address, credentials, options=options)
        )
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
