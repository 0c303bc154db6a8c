"""The indexes of collections, and how they are made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_gateway.domain.indexes import IndexRole

if TYPE_CHECKING:
    from trivium_gateway.domain.comparison import IndexComparison
    from trivium_gateway.domain.indexes import IndexBeside
    from trivium_gateway.ingestion.rebuilding.models import RebuildingEstimate
    from trivium_gateway.library.reindexing import ReindexProgress

_ROLES = {
    IndexRole.NEXT: pb.INDEX_ROLE_NEXT,
    IndexRole.PREVIOUS: pb.INDEX_ROLE_PREVIOUS,
    IndexRole.LEFT: pb.INDEX_ROLE_LEFT,
}


def beside_message(beside: IndexBeside) -> pb.IndexBeside:
    """The index beside the one that answers."""
    return pb.IndexBeside(role=_ROLES[beside.role], model=beside.made.model, model_fingerprint=beside.made.fingerprint)


def comparison_message(comparison: IndexComparison) -> pb.IndexComparison:
    """How two indexes answer the same questions."""
    return pb.IndexComparison(
        model_before=comparison.model_before,
        model_after=comparison.model_after,
        made_count=comparison.made_count,
        labelled_count=comparison.labelled_count,
        before=comparison.before,
        after=comparison.after,
        low=comparison.low,
        high=comparison.high,
        failed_count=comparison.failed_count,
        failed=[pb.FailedDocument(id=one, error=why) for one, why in comparison.failed],
    )


def progress_message(progress: ReindexProgress) -> pb.ReindexCollectionResponse:
    """How far a collection is that is made anew."""
    return pb.ReindexCollectionResponse(
        done=progress.done,
        done_count=progress.done_count,
        total_count=progress.total_count,
        held=progress.is_held,
        same_model=progress.is_same_model,
        comparison=comparison_message(progress.comparison) if progress.comparison else None,
    )


def estimate_message(estimate: RebuildingEstimate) -> pb.EstimateReindexResponse:
    """What it would take to give a collection another model."""
    return pb.EstimateReindexResponse(
        model=estimate.model,
        piece_count=estimate.pieces,
        seconds=estimate.seconds,
        bytes=estimate.bytes,
        same_model=estimate.is_same_model,
        token_count=estimate.tokens,
    )
