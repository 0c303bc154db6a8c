"""Rate, errors and duration of every RPC, and what a process takes of its machine."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from trivium_serving.tls import CurrentTls

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double every page of metrics, and Prometheus has no use for them

# From half a millisecond, which one RPC costs, to the longest answers.
DURATION_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0
)  # fmt: skip


class RequestMetrics:
    """RED metrics of one service: `trivium_<service>_requests_total` and `..._request_duration_seconds`.

    With them come those of its process, `process_*`, under the names that they have everywhere.

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
        ProcessCollector(registry=registry)

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


class CertificateMetrics:
    """When the certificate that a service shows ends, read at each scrape; 0 without TLS.

    Args:
        service: The service's short name.
        registry: Where the metric is registered.
    """

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._end = Gauge(
            f"trivium_{service}_certificate_end_timestamp_seconds",
            "Unix time at which the certificate for TLS ends; 0 without TLS.",
            registry=registry,
        )

    def follow(self, tls: CurrentTls) -> None:
        """Shows the end of what is in use: of the old certificate while a new one cannot be taken up."""
        self._end.set_function(lambda: ends.timestamp() if (ends := tls.get().ends) else 0.0)


class TaskMetrics:
    """How many tasks the event loop of a service has, read at each scrape: what is begun and never ended is seen here.

    Args:
        service: The service's short name.
        registry: Where the metric is registered.
    """

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        self._tasks = Gauge(f"trivium_{service}_tasks", "Tasks that have not ended.", registry=registry)

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Counts those of a loop."""
        self._tasks.set_function(lambda: float(len(asyncio.all_tasks(loop))))


class DiskMetrics:
    """Size and free space of the disk that a service keeps its data on, read at each scrape.

    Args:
        service: The service's short name.
        folder: Where its data are; it may not exist yet.
        registry: Where the metrics are registered.
    """

    def __init__(self, service: str, folder: Path, registry: CollectorRegistry) -> None:
        self._folder = folder.absolute()
        size = Gauge(f"trivium_{service}_disk_size_bytes", "Size of the disk with the data folder.", registry=registry)
        free = Gauge(f"trivium_{service}_disk_free_bytes", "What is free on that disk.", registry=registry)
        size.set_function(lambda: self._blocks()[0])
        free.set_function(lambda: self._blocks()[1])

    def _blocks(self) -> tuple[float, float]:
        there = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        disk = os.statvfs(there)
        return float(disk.f_blocks * disk.f_frsize), float(disk.f_bavail * disk.f_frsize)
