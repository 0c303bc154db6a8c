"""What the services around a model count in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Collection

    from prometheus_client import CollectorRegistry
    from trivium_serving.errors import TriviumError


class Rejections:
    """Requests that were rejected, by reason; those of streams included.

    Args:
        service: The service's short name.
        reasons: What is a rejection; other errors show in the RPC metrics alone.
        registry: Where the metric is registered.
    """

    def __init__(self, service: str, reasons: Collection[str], registry: CollectorRegistry) -> None:
        self._reasons = frozenset(reasons)
        self._rejected = Counter(
            f"trivium_{service}_rejected_total", "Requests rejected, by reason.", ("reason",), registry=registry
        )
        for reason in sorted(self._reasons):
            self._rejected.labels(reason)

    def count(self, error: TriviumError) -> None:
        """Counts a request that ended with an error, if that is a rejection."""
        if error.reason in self._reasons:
            self._rejected.labels(error.reason).inc()
