"""What is counted of usage and of its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.metering.kinds import USED_KINDS, Kind
from trivium_gateway.request.metrics import BoundedLabel

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_MOST_TENANTS = 50


class MeterMetrics:
    """Usage, refusals, and whether both can be kept.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._used = Counter(
            "trivium_gateway_usage_total", "What was used, by all tenants.", ("kind",), registry=registry
        )
        self._refused = Counter(
            "trivium_gateway_quota_refused_total",
            "Calls that were refused because a tenant, or one of its keys, had used what it may.",
            ("tenant", "kind"),
            registry=registry,
        )
        self._up = Gauge(
            "trivium_gateway_quota_store_up",
            "Whether usage is kept, and limits hold over all gateways; 0 while each holds them by itself.",
            registry=registry,
        )
        self._tenants = BoundedLabel(_MOST_TENANTS)
        self._up.set(1)
        for kind in USED_KINDS:
            self._used.labels(kind.value)
        for kind in Kind:
            self._refused.labels(self._tenants.value(DEFAULT_TENANT), kind.value)

    def count_used(self, kind: Kind, amount: int) -> None:
        """Counts what was used."""
        self._used.labels(kind.value).inc(amount)

    def count_refused(self, tenant: str, kind: Kind) -> None:
        """Counts a call that was refused."""
        self._refused.labels(self._tenants.value(tenant), kind.value).inc()

    def set_up(self, *, is_up: bool) -> None:
        """Notes whether the store answers."""
        self._up.set(is_up)
