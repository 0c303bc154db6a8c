"""What ingestion counts and times."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from trivium_serving import tracing

__all__ = ["ExtractionMetrics", "IngestMetrics"]

_STAGES = ("parse", "lookup", "tokenize", "embed", "write")
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)


class IngestMetrics:
    """Seconds per stage, chunks, and documents in work.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "trivium_gateway_ingest_stage_duration_seconds",
            "Time of one step of ingestion: parsing a document, looking up, tokenizing, embedding or writing a batch.",
            ("stage",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._chunks = Counter("trivium_gateway_ingest_chunks_total", "Chunks embedded and written.", registry=registry)
        self._pending = Gauge(
            "trivium_gateway_ingest_pending_documents",
            "Documents that were received and are not yet written.",
            registry=registry,
        )
        for stage in _STAGES:
            self._seconds.labels(stage)

    @contextmanager
    def stage(self, stage: str) -> Iterator[None]:
        """Time a step, ended well or not: `parse`, `lookup`, `tokenize`, `embed` or `write`."""
        started = perf_counter()
        try:
            # A span for every document of a long stream would be too many.
            with tracing.span(f"ingest {stage}") if stage != "parse" else nullcontext():
                yield
        finally:
            self._seconds.labels(stage).observe(perf_counter() - started)

    def count_chunks(self, count: int) -> None:
        """Count chunks that were embedded and written."""
        self._chunks.inc(count)

    def track(self, task: asyncio.Task[None], documents: int) -> None:
        """Count documents as pending until the task that writes them has ended, however it does."""
        self._pending.inc(documents)
        task.add_done_callback(lambda _: self._pending.dec(documents))


class ExtractionMetrics:
    """Files whose text is taken out, and what became of the processes that do it.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._files = Gauge(
            "trivium_gateway_parse_files",
            "Files whose text is taken out now, or that wait for it.",
            ("state",),
            registry=registry,
        )
        self._ended = Counter(
            "trivium_gateway_parse_processes_ended_total",
            "Processes for that which ended: over a file's limit, with a call that was given up, by themselves, or "
            "because they had read enough.",
            ("cause",),
            registry=registry,
        )
        self.set_files(0, 0)
        for cause in ("limit", "cancelled", "died", "recycled"):
            self._ended.labels(cause)

    def set_files(self, running: int, waiting: int) -> None:
        """Note how many files are in work, and how many wait."""
        self._files.labels("running").set(running)
        self._files.labels("waiting").set(waiting)

    def count_ended(self, cause: str) -> None:
        """Count a process that ended: `limit`, `cancelled`, `died` or `recycled`."""
        self._ended.labels(cause).inc()
