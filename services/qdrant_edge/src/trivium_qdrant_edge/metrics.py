"""Metrics: those that a Qdrant server has too, under its names and with its labels, and the engine's own."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from trivium_serving.errors import TriviumError
from trivium_serving.metrics import DURATION_BUCKETS, RequestMetrics

from trivium_qdrant_edge.health_servicer import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

    from trivium_qdrant_edge.database import Database

OPTIMIZATION_OUTCOMES = ("done", "failed", "abandoned")


class QdrantMetrics(Collector):
    """What a Qdrant server says of itself and its collections, read at each scrape.

    Args:
        database: The collections.
        engine: What knows which of them are being optimized.
    """

    def __init__(self, database: Database, engine: EngineMetrics) -> None:
        self._database = database
        self._engine = engine

    def describe(self) -> Iterator[Metric]:
        """Names no metric, so that the registry does not read the collections at registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics of this moment."""
        app = GaugeMetricFamily("app_info", "information about qdrant server", labels=("name", "version"))
        app.add_metric(("qdrant-edge", API_VERSION), 1)
        yield app
        collections = self._database.collections()
        yield GaugeMetricFamily("collections_total", "number of collections", value=len(collections))
        points = GaugeMetricFamily("collection_points", "number of points per collection", labels=("id",))
        optimizations = GaugeMetricFamily(
            "collection_running_optimizations", "optimizations that run, per collection", labels=("id",)
        )
        for collection in collections:
            with suppress(TriviumError):  # deleted while we look
                points.add_metric((collection.name,), collection.points_count())
                optimizations.add_metric((collection.name,), float(collection.name in self._engine.optimizing_names))
        yield points
        yield optimizations
        yield from _process_metrics()


def _process_metrics() -> Iterator[Metric]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily(
        "process_minor_page_faults_total", "page faults without disk access", value=usage.ru_minflt
    )
    yield CounterMetricFamily("process_major_page_faults_total", "page faults with disk access", value=usage.ru_majflt)
    with suppress(OSError):  # Linux only
        resident_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        resident = resident_pages * os.sysconf("SC_PAGE_SIZE")
        yield GaugeMetricFamily("memory_resident_bytes", "memory in use", value=resident)
        yield GaugeMetricFamily("process_threads", "threads", value=len(os.listdir("/proc/self/task")))


class QdrantRequestMetrics(RequestMetrics):
    """Counts the calls of `qdrant.Points` as a Qdrant server does, beside what each service of Trivium counts.

    `status` is the number of the gRPC status code; a series appears with its first call.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("qdrant_edge", registry)
        labels = ("endpoint", "status")
        self._responses = Counter("grpc_responses_total", "total number of responses", labels, registry=registry)
        self._response_seconds = Histogram(
            "grpc_responses_duration_seconds", "response duration", labels, buckets=DURATION_BUCKETS, registry=registry
        )

    def observe(self, method: str, code: str, seconds: float) -> None:
        """Counts one RPC that ended, under both names."""
        super().observe(method, code, seconds)
        if method.startswith("Points/"):
            labels = (f"/qdrant.{method}", str(grpc.StatusCode[code].value[0]))
            self._responses.labels(*labels).inc()
            self._response_seconds.labels(*labels).observe(seconds)


class DataFolderMetrics:
    """What a start found that it could not open, or that nothing names; read at each scrape.

    Args:
        database: The collections.
        registry: Where they are registered.
    """

    def __init__(self, database: Database, registry: CollectorRegistry) -> None:
        damaged = Gauge(
            "trivium_qdrant_edge_damaged_collections",
            "Collections that cannot be opened, and are refused.",
            registry=registry,
        )
        damaged.set_function(lambda: len(database.damaged()))
        set_aside = Gauge(
            "trivium_qdrant_edge_set_aside_count",
            "Files and folders that no collection names, set aside by a start and still there.",
            registry=registry,
        )
        set_aside.set_function(database.set_aside_count)


class EngineMetrics:
    """What maintenance costs.

    Args:
        registry: Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.flush_seconds = Histogram(
            "trivium_qdrant_edge_flush_duration_seconds",
            "Time to force a collection's changes to the disk.",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.optimization_seconds = Histogram(
            "trivium_qdrant_edge_optimization_duration_seconds",
            "Time to build a collection's search index in the background.",
            buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800),
            registry=registry,
        )
        self.optimizations = Counter(
            "trivium_qdrant_edge_optimizations_total",
            "Search indexes built in the background, by outcome.",
            ("outcome",),
            registry=registry,
        )
        for outcome in OPTIMIZATION_OUTCOMES:
            self.optimizations.labels(outcome)
        self.optimizing_names: set[str] = set()

    @contextmanager
    def optimizing(self, name: str) -> Iterator[None]:
        """While the collection of this name is being optimized."""
        self.optimizing_names.add(name)
        try:
            yield
        finally:
            self.optimizing_names.discard(name)
