"""What is counted at the gateway's door: before a request is anybody's question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from trivium_serving.body_budget import BodyBudget


class DoorMetrics:
    """Bodies that are held.

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

    def follow_bodies(self, budget: BodyBudget) -> None:
        """Shows what a budget holds."""
        self._body_bytes.set_function(lambda: budget.held_bytes)

    def count_refused_body(self) -> None:
        """Counts a body that was refused."""
        self._bodies_refused.inc()
