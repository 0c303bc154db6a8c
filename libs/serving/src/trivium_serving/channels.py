"""Channels to other services, and what travels with each call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from trivium_serving.request_context import REQUEST_ID_KEY, request_id

if TYPE_CHECKING:
    from typing import Any

MAX_MESSAGE_BYTES = 64 << 20

_CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # A service that was restarted is used again within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel to a service; it connects when first used, and again whenever it has to.

    Args:
        target: `HOST:PORT`, or any other name that gRPC resolves.
    """
    return grpc.aio.insecure_channel(target, options=_CHANNEL_OPTIONS)


def outgoing_metadata() -> tuple[tuple[str, str], ...]:
    """Metadata for a call made on behalf of the current request."""
    current = request_id()
    return ((REQUEST_ID_KEY, current),) if current else ()


def remaining_seconds(context: grpc.aio.ServicerContext[Any, Any], at_most: float) -> float:
    """How long a call may still take: what is left of the caller's deadline, within `at_most` seconds."""
    left: float | None = context.time_remaining()
    return at_most if left is None else max(0.0, min(left, at_most))
