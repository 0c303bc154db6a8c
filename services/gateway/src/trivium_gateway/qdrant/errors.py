"""What a call that failed at Qdrant means. Its words may tell of its inside, so they are the error's cause."""

from collections.abc import Callable

import grpc
from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    Overloaded,
    StorageFull,
    TriviumError,
    Unavailable,
)
from trivium_serving.rpc_errors import reason_given_by
from trivium_serving.tls import hint

from trivium_gateway.domain.names import alias_behind, name_of

__all__ = ["closed", "qdrant_error"]

_NO_ROOM = "No space left on device"
"""What a Qdrant server says, with the code INTERNAL, and the embedded engine, too, when the volume is full."""


def qdrant_error(error: grpc.aio.AioRpcError, address: str, collection: str = "") -> TriviumError:
    """Say what a failed call means.

    Args:
        error: What it raised.
        address: Where Qdrant is.
        collection: The physical collection that it was about; empty for none.
    """
    code, details = error.code(), error.details() or ""
    meant: TriviumError
    if _NO_ROOM in details:
        meant = _storage_full()
    elif reason_given_by(error) == "READ_ONLY":
        meant = _read_only()
    elif collection and (of_collection := _OF_A_COLLECTION.get(reason_given_by(error))) is not None:
        meant = of_collection(collection)
    else:
        meant = _classified(error)
    return meant.because(f"Qdrant at {address}: {code.name}: {details}")


def closed(physical: str) -> TriviumError:
    """Say that Qdrant knows a physical collection and cannot open it."""
    return Unavailable(
        f"Qdrant knows the collection {_told(physical)!r} and cannot open it now. It may just be starting: try again. "
        "If it stays so, look into Qdrant's log.",
        reason="COLLECTION_UNAVAILABLE",
    )


def _classified(error: grpc.aio.AioRpcError) -> TriviumError:
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND:
        return NotFound("Qdrant does not have what was asked for.", reason="COLLECTION_NOT_FOUND")
    if code is grpc.StatusCode.ALREADY_EXISTS or "already exists" in details:
        return AlreadyExists("Qdrant already has what would be created.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("Qdrant did not answer in time.")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded("Qdrant has no capacity. Try again later.", retry_after_seconds=_retry_after_seconds(error))
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Unavailable(
            "Qdrant refuses the gateway's API key, or what the key allows is not enough. Check "
            "TRIVIUM_GATEWAY_QDRANT_API_KEY.",
            reason="UPSTREAM_UNAVAILABLE",
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(
            "Qdrant cannot be reached. "
            + (hint(details) or "Start it, or correct TRIVIUM_GATEWAY_QDRANT_URL and _QDRANT_GRPC_PORT."),
            reason="UPSTREAM_UNAVAILABLE",
        )
    return Unavailable(
        f"Qdrant failed with {code.name}. The gateway's log has what it said, under the request's id.",
        reason="UPSTREAM_FAILED",
    )


def _retry_after_seconds(error: grpc.aio.AioRpcError) -> float:
    """When a Qdrant without capacity wants to be asked again."""
    given = next((value for key, value in error.trailing_metadata() or () if key == "retry-after"), "")
    return float(given) if str(given).isdigit() else 1.0


def _storage_full() -> StorageFull:
    return StorageFull(
        "Qdrant's volume is full, so nothing can be written; questions are answered all the same. Give it more room, "
        "then send it again. Deleting makes no room in a Qdrant server."
    )


def _read_only() -> Unavailable:
    return Unavailable(
        "Qdrant's data folder can only be read now: nothing is written, and questions are answered. Make it "
        "writable, start Qdrant again, then send it again.",
        reason="STORAGE_READ_ONLY",
    )


def _told(physical: str) -> str:
    """The name that people use, if it has one."""
    return name_of(alias_behind(physical)) or physical


def _damaged(physical: str) -> TriviumError:
    return FailedPrecondition(
        f"The collection {_told(physical)!r} is damaged: Qdrant cannot read its files, which are as "
        "they were found. Restore them from a backup, or delete the collection and ingest its documents again. All "
        "other collections work.",
        reason="COLLECTION_DAMAGED",
    )


def _unable(physical: str) -> TriviumError:
    return FailedPrecondition(
        f"The embedded engine cannot do that for the collection {_told(physical)!r}. Do without, or use a Qdrant "
        "server: `trivium move` takes everything there.",
        reason="ENGINE_CANNOT",
    )


_OF_A_COLLECTION: dict[str, Callable[[str], TriviumError]] = {
    "COLLECTION_DAMAGED": _damaged,
    "OPENING": closed,
    "NOT_SUPPORTED": _unable,
}
"""By the reason that the embedded engine gives; a Qdrant server gives none."""
