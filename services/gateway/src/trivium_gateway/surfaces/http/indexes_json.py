"""The indexes of collections, and how they are made anew, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trivium_gateway.domain.comparison import IndexComparison
    from trivium_gateway.domain.indexes import IndexBeside
    from trivium_gateway.ingestion.rebuilding.models import RebuildingEstimate
    from trivium_gateway.library.reindexing import ReindexProgress


def beside_json(beside: IndexBeside | None) -> dict[str, Any] | None:
    """The index beside the one that answers."""
    if beside is None:
        return None
    return {"role": beside.role.value, "model": beside.made.model, "model_fingerprint": beside.made.fingerprint}


def comparison_json(comparison: IndexComparison | None) -> dict[str, Any] | None:
    """How two indexes answer the same questions."""
    if comparison is None:
        return None
    failed = [{"id": one, "error": why} for one, why in comparison.failed]
    return {**asdict(comparison), "is_worse": comparison.is_worse, "failed": failed}


def reindex_json(progress: ReindexProgress) -> dict[str, Any]:
    """How far a collection is that is made anew."""
    return {
        "kind": "reindex",
        "state": "done" if progress.done else "held" if progress.is_held else "running",
        "done": progress.done_count,
        "total": progress.total_count,
        "is_same_model": progress.is_same_model,
        "comparison": comparison_json(progress.comparison),
    }


def estimate_json(estimate: RebuildingEstimate) -> dict[str, Any]:
    """What it would take to give a collection another model."""
    return asdict(estimate)
