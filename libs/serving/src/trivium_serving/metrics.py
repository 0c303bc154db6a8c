"""Rate, errors and duration of every RPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram, disable_created_metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every page of metrics, and Prometheus has no use for them

# From half a millisecond, which one RPC costs, to the longest answers.
DURATION_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0
)  # fmt: skip


class RequestMetrics:
    """RED metrics of one service: `trivium_<service>_requests_total` and `..._request_duration_seconds`.

    Args:
        service: The service's short name, for example `embed`.
        registry: Where they are registered.
    """

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            f"trivium_{service}_requests_total", "RPCs by outcome.", ("method", "code"), registry=registry
        )
        self._duration = Histogram(
            f"trivium_{service}_request_duration_seconds",
            "Time from an RPC's arrival to its end.",
            ("method",),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )

    def declare(self, method: str) -> None:
        """Makes a method's series exist from the start, so that rates over them are right."""
        self._requests.labels(method, "OK")
        self._duration.labels(method)

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Counts one RPC that ended.

        Args:
            method: Its name without the service, for example `Embed`.
            code: Name of its gRPC status code.
            seconds: How long it took.
        """
        self._requests.labels(method, code).inc()
        self._duration.labels(method).observe(seconds)
