"""What the gateway counts of its stages' readiness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_gateway.request.metrics import TIMED_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class StageMetrics:
    """Which stages can be used now, and how often what they run in fell silent.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ready = Gauge(
            "trivium_gateway_stage_ready", "1 if the stage can be used, else 0.", ("stage",), registry=registry
        )
        self._silences = Counter(
            "trivium_gateway_stage_silences_total",
            "Times that what a stage runs in stopped answering, so that calls no longer waited for it.",
            ("stage",),
            registry=registry,
        )
        self._ejected = Gauge(
            "trivium_gateway_stage_ejected_replicas",
            "Replicas that get no calls because they are slower than the others, or hang.",
            ("stage",),
            registry=registry,
        )
        for stage in TIMED_STAGES:
            self.expect(stage)

    def expect(self, stage: str) -> None:
        """Shows a stage from now on, which cannot be used yet."""
        self._ready.labels(stage).set(0)
        self._silences.labels(stage)

    def follow_replicas(self, stage: str, count_ejected: Callable[[], int]) -> None:
        """Shows how many of a stage's replicas get no calls."""
        self._ejected.labels(stage).set_function(count_ejected)

    def set_ready(self, stage: str, ready: bool) -> None:
        """Notes whether a stage can be used."""
        self._ready.labels(stage).set(int(ready))

    def count_silence(self, stage: str) -> None:
        """Counts that what a stage runs in stopped answering."""
        self._silences.labels(stage).inc()
