"""What is counted at the gateway's surfaces: connections, bodies, HTTP requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from trivium_serving.metrics import DURATION_BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry
    from trivium_serving.body_budget import BodyBudget


_CLOSING_REASONS = ("evicted", "refused", "keep_alive", "head", "slow_reader")


class DoorMetrics:
    """Connections, and bodies that are held.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._body_bytes = Gauge(
            "trivium_gateway_body_bytes_in_flight",
            "Bytes of request bodies over 64 KiB that are held.",
            registry=registry,
        )
        self._bodies_refused = Counter(
            "trivium_gateway_bodies_refused_total",
            "Request bodies refused for want of room for them.",
            registry=registry,
        )

        self._connections = Gauge("trivium_gateway_http_connections", "Open HTTP connections.", registry=registry)
        self._closed = Counter(
            "trivium_gateway_http_connections_closed_total",
            "HTTP connections that the gateway closed.",
            ("reason",),
            registry=registry,
        )
        for reason in _CLOSING_REASONS:
            self._closed.labels(reason)

    def follow_connections(self, count: Callable[[], int]) -> None:
        """Shows how many connections are open."""
        self._connections.set_function(count)

    def count_closed(self, reason: str) -> None:
        """Counts a connection that the gateway closed.

        Args:
            reason: One of `evicted` (silent, for a new one), `refused` (all are at work), `keep_alive` (silent between
                requests), `head` (a head that did not come, or an answered body), `slow_reader`.
        """
        self._closed.labels(reason).inc()

    def follow_bodies(self, budget: BodyBudget) -> None:
        """Shows what a budget holds."""
        self._body_bytes.set_function(lambda: budget.held_bytes)

    def count_refused_body(self) -> None:
        """Counts a body that was refused."""
        self._bodies_refused.inc()


class HttpMetrics:
    """Rate, errors and duration of HTTP requests, by route template.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "trivium_gateway_http_requests_total",
            "HTTP requests by outcome; status 499 is a client that left.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._duration = Histogram(
            "trivium_gateway_http_request_duration_seconds",
            "Time from an HTTP request's arrival to the end of its response.",
            ("method", "route"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )

    def declare(self, method: str, route: str) -> None:
        """Makes a route's series exist from the start, so that rates over them are right."""
        self._requests.labels(method, route, "200")
        self._duration.labels(method, route)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts one request that ended.

        Args:
            method: Its method; an unknown one is counted as `OTHER`.
            route: Template of its route, for example `/v1/documents/{id}`; `unknown` if none matched.
            status: Its HTTP status.
            seconds: How long it took.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(seconds)
