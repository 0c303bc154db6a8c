"""What is counted of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trivium_gateway.ingestion.jobs.queue import Load

__all__ = ["JobMetrics"]


class JobMetrics:
    """Jobs, their documents and bytes.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._jobs = Gauge(
            "trivium_gateway_jobs",
            "Jobs that have not ended: queued, running, and those of the running that something keeps.",
            ("state",),
            registry=registry,
        )
        self._pending = Gauge(
            "trivium_gateway_job_pending_documents", "Documents of jobs that have not ended.", registry=registry
        )
        self._bytes = Gauge(
            "trivium_gateway_job_bytes", "Bytes of documents of jobs that are kept on disk.", registry=registry
        )
        self._documents = Counter(
            "trivium_gateway_job_documents_total",
            "Documents of jobs that were tried: done, failed, or to be tried again since a service was not there.",
            ("outcome",),
            registry=registry,
        )
        for state in ("queued", "running", "waiting"):
            self._jobs.labels(state)
        for outcome in ("done", "failed", "waits"):
            self._documents.labels(outcome)

    def set_load(self, load: Load) -> None:
        """Notes how much there is."""
        self._jobs.labels("queued").set(load.queued)
        self._jobs.labels("running").set(load.running - load.waiting)
        self._jobs.labels("waiting").set(load.waiting)
        self._pending.set(load.pending_documents)
        self._bytes.set(load.bytes)

    def count(self, outcome: str) -> None:
        """Counts a document: `done`, `failed` or `waits`."""
        self._documents.labels(outcome).inc()
