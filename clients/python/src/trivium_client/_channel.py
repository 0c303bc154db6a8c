"""How a channel to a gateway is opened: where it leads, its settings, its credentials, and the id of each call."""

import json
import os
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

from trivium_client._errors import InvalidRequest
from trivium_client._tls import channel_credentials

DEFAULT_ADDRESS = "127.0.0.1:50050"
ADDRESS_VARIABLE = "TRIVIUM_GATEWAY"
API_KEY_VARIABLE = "TRIVIUM_API_KEY"
REQUEST_ID_KEY = "x-request-id"
_MOST_GATEWAYS = 16
_PING_MS = 10_000
_PING_TIMEOUT_MS = 5_000
MAX_MESSAGE_BYTES = 64 << 20

# Calls are spread over all addresses of the gateway's name.
_SERVICE_CONFIG: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """What a channel is opened with.

    Attributes:
        address: The gateway's address, HOST:PORT; of several gateways with commas between them.
        retries: How often a call may be sent again.
        credentials: For TLS; None without.
        options: gRPC's channel arguments.
        api_key: What the gateway knows the caller by; empty for none.
    """

    address: str
    retries: int
    credentials: grpc.ChannelCredentials | None
    options: list[tuple[str, Any]] = field(repr=False)
    api_key: str = field(default="", repr=False)

    @property
    def are_several(self) -> bool:
        """Whether the address names several gateways."""
        return "," in self.address

    def metadata(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """What each attempt of a call brings along."""
        key = (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()
        return ((REQUEST_ID_KEY, request_id), *key)

    @classmethod
    def resolve(
        cls,
        address: str | None,
        *,
        retries: int,
        api_key: str | None = None,
        tls_ca: str | os.PathLike[str] | None = None,
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Takes what is not given from the environment; see `Trivium` for the arguments.

        Raises:
            InvalidRequest: If the address is not HOST:PORT, or the files for TLS cannot be used.
        """
        address = address or os.environ.get(ADDRESS_VARIABLE, "").strip() or DEFAULT_ADDRESS
        parts = [one.strip().rpartition(":") for one in address.split(",")]
        if "@" in address:  # unrepeated: addresses stand in messages and logs
            raise InvalidRequest(
                "the gateway's address holds a user name or a password; give HOST:PORT alone",
                reason="INVALID_ADDRESS",
                field="address",
            )
        if len(parts) > _MOST_GATEWAYS or any(
            "://" in host or not host or not port.isdigit() for host, _, port in parts
        ):
            raise InvalidRequest(
                f"the gateway's address is {address!r}; give HOST:PORT of its gRPC port, for example "
                f"{DEFAULT_ADDRESS}, and a comma between several, of which there are {_MOST_GATEWAYS} at most",
                reason="INVALID_ADDRESS",
                field="address",
            )
        if retries < 0:
            raise InvalidRequest(f"retries is {retries}; 0 is none", reason="INVALID_FIELD", field="retries")
        options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.dns_min_time_between_resolutions_ms", 1_000),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A gateway that comes back is found within a second, not after gRPC's two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            # The time to connect, despite its name.
            ("grpc.min_reconnect_backoff_ms", 2_000),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # While a call runs, the connection itself is asked: an answer may be silent for minutes, and so is a
            # connection that a NAT, a balancer or a machine that is gone has forgotten.
            ("grpc.keepalive_time_ms", _PING_MS),
            ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
            (
                "grpc.http2.ping_timeout_ms",
                _PING_TIMEOUT_MS,
            ),  # of pings that gRPC sends for reasons of its own: a minute
            ("grpc.http2.max_pings_without_data", 0),
        ]
        if all(host in ("localhost", "127.0.0.1", "[::1]") for host, _, _ in parts):
            options.append(("grpc.enable_http_proxy", 0))  # nobody's proxy leads to this machine
        return cls(address, retries, channel_credentials(tls_ca, tls_cert, tls_key), options, api_key_of(api_key))


def api_key_of(given: str | None = None) -> str:
    """The key to send: the one that is given, else the environment's; empty for none.

    Raises:
        InvalidRequest: It cannot be one.
    """
    key = (os.environ.get(API_KEY_VARIABLE, "") if given is None else given).strip()
    if not key.isascii() or not key.isprintable():
        raise InvalidRequest(
            "the key has characters that no key has; give it as it was shown, tv_...",
            reason="INVALID_FIELD",
            field="api_key",
        )
    return key


def new_request_id() -> str:
    """An id for one call and all its attempts, under which the gateway and all services log it."""
    return uuid.uuid4().hex
