"""vLLM's own metrics beside ours: queue, KV-cache use, prefix hits and the rest, under vLLM's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric


class EngineMetrics(Collector):
    """Reads from the process's global registry, where vLLM puts its metrics, those that are vLLM's."""

    def collect(self) -> Iterator[Metric]:
        """The engine's metrics; none before it is loaded."""
        for metric in REGISTRY.collect():
            if metric.name.startswith("vllm:"):
                yield metric

    def describe(self) -> list[Metric]:
        """Nothing: which metrics there are is vLLM's business."""
        return []
