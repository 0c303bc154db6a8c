"""What a tenant may have stored, and what who sends more is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_serving.errors import QuotaExceeded, Standing

from trivium_gateway.metering.kinds import STORED_KINDS, Kind, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trivium_gateway.metering.kinds import Quota

_RETRY_SECONDS = 60.0
"""Somebody has to delete something meanwhile."""


def stored_limits(quota: Quota) -> dict[Kind, int]:
    """How much may be stored, of each of STORED_KINDS that is limited."""
    return {kind: quota.limits[kind].amount for kind in STORED_KINDS if kind in quota.limits}


def stored_refusal(
    tenant: str, limits: Mapping[Kind, int], stored: Stored, growth: Stored
) -> tuple[Kind, QuotaExceeded] | None:
    """The limit that a document goes beyond, and what its sender is told; None if it fits."""
    for kind, most in limits.items():
        there, more = stored.of(kind), growth.of(kind)
        if more > 0 and there + more > most:
            return kind, QuotaExceeded(
                f"The tenant {tenant} may have {most} {kind.value}, and has {there}; {more} more do not fit. Delete "
                "some, or ask whoever runs the gateway for more.",
                reason="STORED_QUOTA_EXCEEDED",
                standing=Standing(most, max(0, most - there), 0),
                retry_after_seconds=_RETRY_SECONDS,
            )
    return None
