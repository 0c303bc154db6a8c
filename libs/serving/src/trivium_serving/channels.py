"""Channels to other services, and what travels with each call."""

from __future__ import annotations

import json
from typing import Any

import grpc

from trivium_serving.renewed_channel import RenewedChannel
from trivium_serving.request_context import REQUEST_ID_KEY, TENANT_KEY, request_id, tenant
from trivium_serving.spread_channel import SpreadChannel, addresses_of
from trivium_serving.tls import CurrentTls, TlsFiles
from trivium_serving.traced_calls import traced_calls

MAX_MESSAGE_BYTES = 64 << 20

# Calls are spread over all addresses of a name. One that a server turned away while it shut down is repeated, at
# another address if there is one: every RPC of the services may be, and none is once something of its answer has come.
# A server that shuts down ends those that it had not begun with CANCELLED; a caller's own cancellation is never
# repeated. The throttle ends the repeating while a service is gone for good, so that a fallback is not held up.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
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

CHANNEL_OPTIONS = (
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.per_rpc_retry_buffer_size", MAX_MESSAGE_BYTES),  # a call that does not fit is never repeated
    # In a rolling update an address goes as another comes: half a minute, gRPC's own pause, is too long to learn it.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # While calls run, the transport itself is asked: one of several replicas that hangs loses its calls to the others.
    ("grpc.keepalive_time_ms", 1_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    # While one of the pings that gRPC sends for reasons of its own waits for its answer, it sends none to keep alive.
    ("grpc.http2.ping_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A service that was restarted is used again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # The time to connect, despite its name.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
    # Most of what travels are vectors, which compression does not make shorter.
    ("grpc.compression_enabled_algorithms_bitset", 1),
)


def open_channel(target: str, *, health: str = "") -> grpc.aio.Channel:
    """A channel to a service; it connects when first used, and again whenever it has to.

    Args:
        target: `HOST:PORT`, or any other name that gRPC resolves; with several addresses, each is used in turn, but for
            one that is slower than the others: see SpreadChannel.
        health: A name in the service's health: only addresses that serve it are used, and the channel is ready while
            one does. Empty for all of them.

    Raises:
        TlsError: The environment asks for TLS with files that cannot be used.
    """
    if addresses_of(target) is None:
        return _open_one(target, "", health)
    return SpreadChannel(target, lambda address, name: _open_one(address, name, health))


def _open_one(target: str, name: str, health: str) -> grpc.aio.Channel:
    """A channel to a service; to one replica of a name, which is not called again there if it turns a call away."""
    config = _SERVICE_CONFIG | ({"healthCheckConfig": {"serviceName": health}} if health else {})
    options: tuple[tuple[str, Any], ...] = (("grpc.service_config", json.dumps(config)), *CHANNEL_OPTIONS[1:])
    if name:
        options = (*options, ("grpc.default_authority", name), ("grpc.ssl_target_name_override", name))
    if target.startswith("ipv4:") and "," not in target:
        options = (*options, ("grpc.enable_retries", 0))
    files = TlsFiles.from_environment()
    if files.authorities is not None:
        return RenewedChannel(
            CurrentTls(files),
            lambda content: grpc.aio.secure_channel(
                target, content.channel_credentials(), options=options, interceptors=traced_calls(target)
            ),
        )
    return grpc.aio.insecure_channel(target, options=options, interceptors=traced_calls(target))


def ejected_replicas(channel: grpc.aio.Channel) -> int:
    """How many of the replicas behind a channel get no calls, because they are slower than the others, or hang."""
    return len(channel.replicas.ejected) if isinstance(channel, SpreadChannel) else 0


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """Metadata for a call made on behalf of the current request."""
    current = ((REQUEST_ID_KEY, request_id()), (TENANT_KEY, tenant()))
    return tuple((key, value) for key, value in current if value)
