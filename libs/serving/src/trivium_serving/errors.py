"""Domain errors, and the one table that gives each its gRPC and HTTP status. `rpc_errors` has how they travel.

TriviumError
├── InvalidField          a field of the request breaks a rule
├── TooLarge              the request, or a part of it, is over a limit
├── Unauthenticated       nobody knows who asks
├── PermissionDenied      who asks may not do it
├── NotFound              what the request names does not exist
├── AlreadyExists         what the request would create exists
├── FailedPrecondition    the request is fine, the state of the system is not
├── Unimplemented         the request is understood, but nothing here can do it
├── Overloaded            no capacity now; come back after `retry_after_seconds`
│   └── QuotaExceeded     the caller has used what it may; `standing` says how much that is
├── Unavailable           loading, draining, or something this service needs is down
├── StorageFull           no room to store it; repeating it does not help before there is
└── DeadlineExceeded      the caller's time is over
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import grpc

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERNAL_MESSAGE = "Something broke inside the service. The log has the cause under this request's id."


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


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with a limit.

    Attributes:
        limit: How much it may use.
        remaining: How much of that is left.
        reset_seconds: When all of it is there again, if nothing more is used.
    """

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """The same as headers of HTTP."""
        values = {"Limit": self.limit, "Remaining": self.remaining, "Reset": self.reset_seconds}
        return {f"X-RateLimit-{name}": str(value) for name, value in values.items()}


class QuotaExceeded(Overloaded):
    """The caller has used what it may, or stored it.

    Args:
        message: Of what, and how much that is.
        reason: Why, if not because it was used.
        standing: How it stands with that limit.
        retry_after_seconds: When there will be some again.
    """

    default_reason = "QUOTA_EXCEEDED"

    def __init__(
        self, message: str, *, reason: str | None = None, standing: Standing, retry_after_seconds: float
    ) -> None:
        super().__init__(message, reason=reason, retry_after_seconds=retry_after_seconds)
        self.standing = standing
        self.metadata = {
            "limit": str(standing.limit),
            "remaining": str(standing.remaining),
            "reset_seconds": str(standing.reset_seconds),
        }


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


def status_of(error: TriviumError) -> Status:
    """The status of an error, by the nearest class in the table."""
    return next(_STATUS_BY_ERROR[cls] for cls in type(error).__mro__ if cls in _STATUS_BY_ERROR)
