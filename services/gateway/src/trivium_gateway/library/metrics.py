"""What the gateway counts of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_gateway.library.documents import DocumentStatus
from trivium_gateway.metering.kinds import Stored
from trivium_gateway.request.metrics import BoundedLabel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry

    from trivium_gateway.library.documents import DocumentResult

_MOST_COLLECTIONS = 20
_MOST_TENANTS = 50


class StoredMetrics:
    """What is stored, by tenant.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._documents = Gauge(
            "trivium_gateway_stored_documents",
            "Documents that are stored, as they were counted last.",
            ("tenant",),
            registry=registry,
        )
        self._bytes = Gauge(
            "trivium_gateway_stored_bytes",
            "Bytes of their texts in UTF-8, likewise.",
            ("tenant",),
            registry=registry,
        )

    def set(self, totals: Mapping[str, Stored]) -> None:
        """Notes what is stored: of those that have most by name, of all others together."""
        most = sorted(totals, key=lambda tenant: (-totals[tenant].bytes, tenant))
        shown = {tenant: totals[tenant] for tenant in most[:_MOST_TENANTS]}
        if rest := [totals[tenant] for tenant in most[_MOST_TENANTS:]]:
            shown["other"] = sum(rest, start=shown.get("other", Stored()))
        self._documents.clear()
        self._bytes.clear()
        for tenant, stored in shown.items():
            self._documents.labels(tenant).set(stored.documents)
            self._bytes.labels(tenant).set(stored.bytes)


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
