"""Reads what the gateway says of the indexes of collections."""

from trivium.gateway.v1 import gateway_service_pb2 as pb

from trivium_client._indexes import IndexBeside, IndexComparison, IndexRole, ReindexEstimate, ReindexProgress

_INDEX_ROLES: dict[int, IndexRole] = {
    pb.INDEX_ROLE_NEXT: "next",
    pb.INDEX_ROLE_PREVIOUS: "previous",
    pb.INDEX_ROLE_LEFT: "left",
}


def index_beside(message: pb.IndexBeside) -> IndexBeside:
    return IndexBeside(_INDEX_ROLES.get(message.role, "next"), message.model, message.model_fingerprint)


def comparison(message: pb.IndexComparison) -> IndexComparison:
    return IndexComparison(
        model_before=message.model_before,
        model_after=message.model_after,
        made_count=message.made_count,
        labelled_count=message.labelled_count,
        before=message.before,
        after=message.after,
        low=message.low,
        high=message.high,
        failed_count=message.failed_count,
        failed=tuple((one.id, one.error) for one in message.failed),
    )


def reindex_progress(message: pb.ReindexCollectionResponse) -> ReindexProgress:
    return ReindexProgress(
        message.done,
        message.done_count,
        message.total_count,
        message.held,
        message.same_model,
        comparison(message.comparison) if message.HasField("comparison") else None,
    )


def reindex_estimate(message: pb.EstimateReindexResponse) -> ReindexEstimate:
    return ReindexEstimate(
        message.model, message.piece_count, message.seconds, message.bytes, message.same_model, message.token_count
    )
