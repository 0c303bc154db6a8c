"""Guards a server's connections: how many there are, how long they may be silent, and how slowly they may read."""

from __future__ import annotations

import logging
import math
import re
import resource
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import h11
from trivium_serving.slow_readers import SlowReaders
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from trivium_gateway.surfaces.metrics import DoorMetrics

_logger = logging.getLogger(__name__)

# Of the files that the process may have open, beside what it needs for other services, uploads and itself.
_HTTP_SHARE, _GRPC_SHARE = 0.6, 0.2
_MOST_CONNECTIONS = 20_000
_MOST_FILES = 65_536
_RESERVE = 16
_LEAST_ACCEPTED, _MOST_ACCEPTED, _ACCEPTED_SHARE = 4, 64, 40
_LINGER_SECONDS = 5.0
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:", re.IGNORECASE)
_CODING = re.compile(rb"\ntransfer-encoding[ \t]*:", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"

MOST_HEAD_BYTES = 65_536
"""Of a request's line and headers: as much as h11 holds of what has not come whole."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may do.

    Attributes:
        max_connections: Most of them. For one more, that which has been silent longest is closed; while all are at
            work, a few more are let in to ask how the gateway is.
        keep_alive_seconds: How long one may be silent between two requests.
        head_seconds: How long a request's head may take, or its body after it was answered.
        stall_seconds: How long a client may read nothing of a response.
    """

    max_connections: int
    keep_alive_seconds: float = 75.0
    head_seconds: float = 15.0
    stall_seconds: float = 30.0

    @property
    def accepted_at_once(self) -> int:
        """How many new ones to let in before others have been closed for them, which takes a few turns of the loop."""
        return max(_LEAST_ACCEPTED, min(_MOST_ACCEPTED, self.max_connections // _ACCEPTED_SHARE))


def raise_file_limit() -> int:
    """Lets the process open as many files as its hard limit allows, up to 65,536.

    Returns:
        How many that is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft


def http_connections_within(file_limit: int) -> int:
    """Most HTTP connections of a process that may have so many files open."""
    return max(_RESERVE, min(_MOST_CONNECTIONS, math.floor(file_limit * _HTTP_SHARE)))


def grpc_connections_within(file_limit: int) -> int:
    """Most gRPC connections of a process that may have so many files open."""
    return max(_RESERVE, min(_MOST_CONNECTIONS, math.floor(file_limit * _GRPC_SHARE)))


class Connections:
    """All connections of a server.

    Args:
        limits: What they may do.
        metrics: Where they are counted.
        refusal: Serves the requests on those that are over the limit.
        slow_readers: Where those are noted whose clients read nothing; each is waited for if None.
    """

    def __init__(
        self,
        limits: ConnectionLimits,
        metrics: DoorMetrics,
        refusal: ASGIApp,
        slow_readers: SlowReaders | None = None,
    ) -> None:
        self.limits = limits
        self.slow_readers = slow_readers or SlowReaders(limits.max_connections)
        self.metrics = metrics
        self.refusal = refusal
        self._open: set[GuardedProtocol] = set()
        self._waiting: dict[GuardedProtocol, None] = {}  # longest first
        self._is_short = False
        metrics.follow_connections(lambda: len(self._open))

    def add(self, connection: GuardedProtocol) -> bool:
        """Notes a connection, and makes room for it.

        Returns:
            Whether there is room for its requests; False if only for a look at how the gateway is.
        """
        self._open.add(connection)
        excess = len(self._open) - self.limits.max_connections
        self._warn(excess)
        if excess <= 0:
            return True
        if self._waiting:
            next(iter(self._waiting)).close("evicted")
            return True
        if excess > _RESERVE:
            connection.close("refused")
        return False

    def wait(self, connection: GuardedProtocol) -> None:
        """Notes that a connection waits for its client."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def work(self, connection: GuardedProtocol) -> None:
        """Notes that a connection has a request."""
        self._waiting.pop(connection, None)

    def remove(self, connection: GuardedProtocol) -> None:
        """Forgets a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def _warn(self, excess: int) -> None:
        is_short = excess > -0.1 * self.limits.max_connections
        if is_short and not self._is_short:
            _logger.warning(
                "%d of at most %d HTTP connections are open; silent ones are closed for new ones. If these are yours, "
                "raise the limit of open files or TRIVIUM_GATEWAY_MAX_CONNECTIONS.",
                len(self._open),
                self.limits.max_connections,
            )
        self._is_short = is_short


class GuardedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, on a connection that is not patient without end.

    Args:
        connections: All of the server.
        arguments: Those of uvicorn.
    """

    def __init__(self, connections: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._all = connections
        self._limits = connections.limits
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if not self._all.add(self):
            self.app = self._all.refusal
        self._follow()

    def connection_lost(self, error: Exception | None) -> None:
        for timer in (self._head_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._all.remove(self)
        self._all.slow_readers.remove(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow()

    def handle_events(self) -> None:
        if self.conn.their_state is h11.IDLE:
            # Others on the way may see other requests in these than this server does.
            head = self.conn.trailing_data[0].partition(_HEAD_END)[0]
            if len(head) > MOST_HEAD_BYTES:
                self.send_400_response(f"The request's line and headers have more than {MOST_HEAD_BYTES} bytes.")
                return
            if _BARE_LINE_FEED.search(head):
                self.send_400_response("A line ends without a carriage return.")
                return
            if _LENGTH.search(head) and _CODING.search(head):
                self.send_400_response("Content-Length and Transfer-Encoding exclude each other.")
                return
        super().handle_events()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._follow()

    def timeout_keep_alive_handler(self) -> None:
        self.close("keep_alive")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self.loop.call_later(self._limits.stall_seconds, self._abort, "slow_reader")
            self._all.slow_readers.add(self, partial(self._abort, "slow_reader"))

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
            self._all.slow_readers.remove(self)

    def close(self, reason: str) -> None:
        """Closes the connection, once the client has what was written, or after a while.

        Args:
            reason: Why, for the metrics.
        """
        if not self.transport.is_closing():
            self._all.metrics.count_closed(reason)
            self._all.remove(self)
            self.transport.close()
            self.loop.call_later(_LINGER_SECONDS, self.transport.abort)

    def _abort(self, reason: str) -> None:
        self._all.metrics.count_closed(reason)
        self.transport.abort()

    def _follow(self) -> None:
        """Sees whether the connection waits for its client, and for what."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self._all.work(self)
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
            return
        self._all.wait(self)
        between = self.timeout_keep_alive_task is not None and self.conn.their_state is h11.IDLE
        if not between and self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_seconds, self.close, "head")


def guarded(connections: Connections) -> Callable[..., GuardedProtocol]:
    """What makes the protocol of each connection of a server."""
    return lambda **arguments: GuardedProtocol(connections, **arguments)
