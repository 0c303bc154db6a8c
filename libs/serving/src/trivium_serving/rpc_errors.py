"""How domain errors travel over gRPC: as a `google.rpc.Status` with one `ErrorInfo` (AIP-193).

`BadRequest` comes with it for a field, and `RetryInfo` for an overload.
"""

from __future__ import annotations

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    NotFound,
    Overloaded,
    StorageFull,
    TooLarge,
    TriviumError,
    Unavailable,
    Unimplemented,
    status_of,
)

_STATUS_DETAILS_KEY = "grpc-status-details-bin"
_OWN_DOMAINS = "trivium."

_ERROR_BY_CODE: dict[grpc.StatusCode, type[TriviumError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def to_rpc_status(error: TriviumError, domain: str) -> status_pb2.Status:
    """The error as it travels over gRPC.

    Args:
        error: The error.
        domain: Who reports it, for example `trivium.embed.v1`.
    """
    name = status_of(error).grpc_code.name
    status = status_pb2.Status(code=code_pb2.Code.Value(name), message=error.message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=domain, metadata=error.metadata)
    if isinstance(error, TooLarge):
        info.metadata["too_large"] = "true"  # lets the receiver tell it from InvalidField, which has the same code
    status.details.add().Pack(info)
    if error.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=error.message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(retry_pushback_ms(error))
        status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def retry_pushback_ms(error: Overloaded) -> int:
    """When to try again, as gRPC's `grpc-retry-pushback-ms` wants it."""
    return max(1, round(error.retry_after_seconds * 1000))


def is_own_error(rpc_error: grpc.aio.AioRpcError) -> bool:
    """Whether one of Trivium's services raised it, so that its text is ours; not the transport, nor anybody else."""
    return _is_own(_read_details(rpc_error)[0])


def reason_given_by(rpc_error: grpc.aio.AioRpcError) -> str:
    """The reason that a failed call came back with, whoever gave it; empty for none."""
    reason: str = _read_details(rpc_error)[0].reason
    return reason


def error_from_rpc(rpc_error: grpc.aio.AioRpcError) -> TriviumError:
    """The domain error that a failed call stands for.

    Errors of Trivium's own services come back as they were raised. Any other peer's, and those of the transport, are
    classified by their code, and their words are the error's cause: nobody knows what they tell.
    """
    info, field, retry_after_seconds = _read_details(rpc_error)
    code, said = rpc_error.code(), rpc_error.details() or ""
    if _is_own(info):
        return _error_of(code, said, info, field, retry_after_seconds)
    message = f"A service that was asked failed with {code.name}."
    return _error_of(code, message, error_details_pb2.ErrorInfo(), None, None).because(said)


def _is_own(info: error_details_pb2.ErrorInfo) -> bool:
    domain: str = info.domain
    return domain.startswith(_OWN_DOMAINS)


def _error_of(
    code: grpc.StatusCode,
    message: str,
    info: error_details_pb2.ErrorInfo,
    field: str | None,
    retry_after_seconds: float | None,
) -> TriviumError:
    reason = info.reason or None
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        if info.metadata.get("too_large") == "true":
            return TooLarge(message, reason=reason, field=field)
        return InvalidField(field or "", message, reason=reason)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded(message, reason=reason, retry_after_seconds=retry_after_seconds or 1.0)
    kind = StorageFull if reason == StorageFull.default_reason else _ERROR_BY_CODE.get(code, TriviumError)
    return kind(message, reason=reason, metadata=info.metadata)


def _read_details(rpc_error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, str | None, float | None]:
    """Reads `grpc-status-details-bin`, for which grpcio-status has no decoder that takes an AioRpcError."""
    info, field, retry_after_seconds = error_details_pb2.ErrorInfo(), None, None
    raw = dict(rpc_error.trailing_metadata() or ()).get(_STATUS_DETAILS_KEY)
    if isinstance(raw, bytes):
        for detail in status_pb2.Status.FromString(raw).details:
            bad_request, retry_info = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                continue
            if detail.Unpack(bad_request) and bad_request.field_violations:
                field = bad_request.field_violations[0].field
            elif detail.Unpack(retry_info):
                retry_after_seconds = retry_info.retry_delay.ToMilliseconds() / 1000
    return info, field, retry_after_seconds
