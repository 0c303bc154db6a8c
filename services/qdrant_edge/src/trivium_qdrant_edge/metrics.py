"""Metrics: those that a Qdrant server has too, under its names, and the engine's own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from trivium_serving.errors import TriviumError
from trivium_serving.metrics import DURATION_BUCKETS

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
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
        for collection in collections:
            with suppress(TriviumError):  # deleted while we look
                points.add_metric((collection.name,), collection.points_count())
        yield points


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
            "Time to force a collection's changes to the disk; the engine does nothing else meanwhile.",
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
