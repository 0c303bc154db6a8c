"""Bounds the work that a service accepts, so that overload is refused at once and never queued without end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_serving.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry


class Admission:
    """Counts the requests and tokens in flight. Belongs to one event loop.

    A single request is admitted whatever its size if nothing else is in flight, so that none is refused for ever.

    Args:
        service: The service's short name, for the metrics.
        registry: Where the metrics are registered.
        max_requests: Most requests in flight.
        max_tokens: Most tokens (or estimates of them) in flight.
    """

    def __init__(self, *, service: str, registry: CollectorRegistry, max_requests: int, max_tokens: int) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        self._requests = 0
        self._tokens = 0
        prefix = f"trivium_{service}"
        self._requests_gauge = Gauge(
            f"{prefix}_in_flight_requests", "Requests admitted and not ended.", registry=registry
        )
        self._tokens_gauge = Gauge(f"{prefix}_in_flight_tokens", "Tokens of the admitted requests.", registry=registry)
        self._refused = Counter(f"{prefix}_refused_total", "Requests refused for want of capacity.", registry=registry)

    @contextmanager
    def admit(self, tokens: int) -> Iterator[None]:
        """Holds a place for one request while the block runs.

        Args:
            tokens: How much work it is.

        Raises:
            Overloaded: There is no place.
        """
        busy = self._requests > 0
        if busy and (self._requests >= self._max_requests or self._tokens + tokens > self._max_tokens):
            self._refused.inc()
            raise Overloaded(
                f"{self._requests} requests with {self._tokens} tokens are in flight; the limits are "
                f"{self._max_requests} and {self._max_tokens}. Try again shortly, or send less at a time."
            )
        self._change(1, tokens)
        try:
            yield
        finally:
            self._change(-1, -tokens)

    def _change(self, requests: int, tokens: int) -> None:
        self._requests += requests
        self._tokens += tokens
        self._requests_gauge.set(self._requests)
        self._tokens_gauge.set(self._tokens)
