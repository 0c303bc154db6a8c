"""Domain errors, the one table that gives each its gRPC and HTTP status, and how they travel.

    TriviumError
    ├── InvalidField          a field of the request breaks a rule
    ├── TooLarge              the request, or a part of it, is over a limit
    ├── NotFound              what the request names does not exist
    ├── AlreadyExists         what the request would create exists
    ├── FailedPrecondition    the request is fine, the state of the system is not
    ├── Unimplemented         the request is understood, but nothing here can do it
    ├── Overloaded            no capacity now; come back after `retry_after_seconds`
    ├── Unavailable           loading, draining, or something this service needs is down
    ├── StorageFull           no room to store it; repeating it does not help before there is
    └── DeadlineExceeded      the caller's time is over

On the wire an error is a `google.rpc.Status` with one `ErrorInfo` (AIP-193), plus `BadRequest` for a field and
`RetryInfo` for an overload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc
from google.protobuf import duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERNAL_MESSAGE = "Something broke inside the service. The log has the cause under this request's id."

_STATUS_DETAILS_KEY = "grpc-status-details-bin"
_OWN_DOMAINS = "trivium."


class TriviumError(Exception):
    """A failure that the caller is told about.

    Args:
        message: What is wrong, and what to do about it.
        reason: Stable identifier in UPPER_SNAKE_CASE, listed in docs/errors.md.
        metadata: Further facts for programs, as strings.

    Attributes:
        field: Path of the request's field that is at fault, if it is one.
        cause: What the log is to say beside the message; empty for nothing. See `because`.
    """

    default_reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        self.field: str | None = None
        self.cause = ""

    def because(self, cause: str) -> Self:
        """Notes what the error comes from, for the log: an upstream's own words, its address. No caller is told."""
        self.cause = cause
        return self


class InvalidField(TriviumError):
    """A field of the request breaks a rule.

    Args:
        field: Path of the field, for example `texts[3]`.
        message: The rule, and what came instead.
        reason: As in TriviumError.
    """

    default_reason = "INVALID_FIELD"

    def __init__(self, field: str, message: str, *, reason: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.field = field


class TooLarge(TriviumError):
    """The request, or a part of it, is over a limit.

    Args:
        message: The limit, and how large it was.
        reason: As in TriviumError.
        field: Path of the field that is too large, if it is one.
    """

    default_reason = "TOO_LARGE"

    def __init__(self, message: str, *, reason: str | None = None, field: str | None = None) -> None:
        super().__init__(message, reason=reason)
        self.field = field


class Unauthenticated(TriviumError):
    """Nobody knows who asks."""

    default_reason = "UNAUTHENTICATED"


class PermissionDenied(TriviumError):
    """Who asks may not do that."""

    default_reason = "PERMISSION_DENIED"


class NotFound(TriviumError):
    """What the request names does not exist."""

    default_reason = "NOT_FOUND"


class AlreadyExists(TriviumError):
    """What the request would create exists."""

    default_reason = "ALREADY_EXISTS"


class FailedPrecondition(TriviumError):
    """The request is fine, but the state of the system does not allow it."""

    default_reason = "FAILED_PRECONDITION"


class Unimplemented(TriviumError):
    """The request is understood, but nothing here can do it."""

    default_reason = "UNIMPLEMENTED"


class Overloaded(TriviumError):
    """No capacity now.

    Args:
        message: Which capacity.
        reason: As in TriviumError.
        retry_after_seconds: When it is worth trying again.
    """

    default_reason = "OVERLOADED"

    def __init__(self, message: str, *, reason: str | None = None, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(TriviumError):
    """Loading, draining, or something this service needs is down."""

    default_reason = "UNAVAILABLE"


class StorageFull(TriviumError):
    """There is no room to store it; repeating it does not help before there is."""

    default_reason = "STORAGE_FULL"


class DeadlineExceeded(TriviumError):
    """The caller's time is over."""

    default_reason = "DEADLINE_EXCEEDED"


def cause_of(error: BaseException) -> str:
    """What an error comes from, for the log: its cause, or else that of the error it was raised from."""
    return next((link.cause for link in chain_of(error) if isinstance(link, TriviumError) and link.cause), "")


def chain_of(error: BaseException) -> list[BaseException]:
    """An error and those that led to it, the latest first; an error may be among its own causes."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and not any(link is other for other in links):
        links.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return links


@dataclass(frozen=True, slots=True)
class Status:
    """How an error shows on each transport."""

    grpc_code: grpc.StatusCode
    http_status: int


_STATUS_BY_ERROR: dict[type[TriviumError], Status] = {
    InvalidField: Status(grpc.StatusCode.INVALID_ARGUMENT, 400),
    TooLarge: Status(grpc.StatusCode.INVALID_ARGUMENT, 413),
    Unauthenticated: Status(grpc.StatusCode.UNAUTHENTICATED, 401),
    PermissionDenied: Status(grpc.StatusCode.PERMISSION_DENIED, 403),
    NotFound: Status(grpc.StatusCode.NOT_FOUND, 404),
    AlreadyExists: Status(grpc.StatusCode.ALREADY_EXISTS, 409),
    FailedPrecondition: Status(grpc.StatusCode.FAILED_PRECONDITION, 409),
    Unimplemented: Status(grpc.StatusCode.UNIMPLEMENTED, 501),
    Overloaded: Status(grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    Unavailable: Status(grpc.StatusCode.UNAVAILABLE, 503),
    # 503 says whose fault it is; gRPC's UNAVAILABLE would make clients repeat the call at once.
    StorageFull: Status(grpc.StatusCode.FAILED_PRECONDITION, 503),
    DeadlineExceeded: Status(grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    TriviumError: Status(grpc.StatusCode.INTERNAL, 500),
}

_ERROR_BY_CODE: dict[grpc.StatusCode, type[TriviumError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
}


def status_of(error: TriviumError) -> Status:
    """The status of an error, by the nearest class in the table."""
    return next(_STATUS_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _STATUS_BY_ERROR)


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
