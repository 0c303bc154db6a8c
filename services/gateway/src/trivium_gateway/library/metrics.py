"""What the gateway counts of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_gateway.library.documents import DocumentStatus
from trivium_gateway.request.metrics import BoundedLabel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry

    from trivium_gateway.library.documents import DocumentResult

_MOST_COLLECTIONS = 20


class DocumentMetrics:
    """What became of documents.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._documents = Counter(
            "trivium_gateway_documents_total", "Documents received, by outcome.", ("outcome",), registry=registry
        )
        self._deleted = Counter("trivium_gateway_documents_deleted_total", "Documents deleted.", registry=registry)
        self._last_ingestion = Gauge(
            "trivium_gateway_last_ingestion_timestamp_seconds",
            "Unix time at which a document was last written, or found unchanged, in a collection.",
            ("collection",),
            registry=registry,
        )
        self._collections = BoundedLabel(_MOST_COLLECTIONS)
        for status in DocumentStatus:
            self._documents.labels(status.value)

    def count_received(self, collection: str, results: Iterable[DocumentResult]) -> None:
        """Counts the documents of one call by outcome.

        Args:
            collection: Name of the collection that they went to.
            results: What became of them.
        """
        statuses = [result.status for result in results]
        for status in statuses:
            self._documents.labels(status.value).inc()
        if any(status is not DocumentStatus.FAILED for status in statuses):
            self._last_ingestion.labels(self._collections.value(collection)).set_to_current_time()

    def count_deleted(self, count: int) -> None:
        """Counts documents that were deleted."""
        self._deleted.inc(count)
