"""What can go wrong, as one tree of exceptions."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

_DETAILS_KEY = "grpc-status-details-bin"
_NOTHING: Mapping[str, str] = MappingProxyType({})
_WORDS = ("status", "reason", "message")


class TriviumError(Exception):
    """Anything that went wrong with a call. Catch this one to catch all of them.

    ```
    TriviumError
    ├── InvalidRequest          the call is wrong as it stands; `field` says where
    │   ├── TooLarge            over a limit
    │   ├── Unauthenticated     no key, or one that is not taken
    │   ├── PermissionDenied    the key lacks a scope
    │   ├── NotFound            no such document or collection
    │   ├── AlreadyExists       the name is taken
    │   └── FailedPrecondition  not in this state
    ├── TemporaryError          the same call may succeed later
    │   ├── Overloaded          no capacity now; `retry_after_seconds` says when to come back
    │   ├── Unavailable         something the gateway needs is down, loading or draining
    │   ├── GatewayUnreachable  no gateway answers at the address
    │   └── DeadlineExceeded    not done in time
    ├── Cancelled               given up: the client was closed, or the gateway shut down under the call
    └── InternalError           a fault of Trivium; the gateway's log says more
    ```

    Attributes:
        message: What is wrong, and what to do about it.
        reason: The same as a constant in UPPER_SNAKE_CASE, stable across versions.
        field: The field of the request that is wrong, if it is one.
        retry_after_seconds: How long to wait before trying again, if the gateway said so.
        metadata: Further facts that the gateway gave.
        request_id: The id under which the gateway and all services log the call; empty if it was never sent.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "UNKNOWN",
        field: str | None = None,
        retry_after_seconds: float | None = None,
        metadata: Mapping[str, str] = _NOTHING,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.retry_after_seconds = retry_after_seconds
        self.metadata = metadata
        self.request_id = request_id


class InvalidRequest(TriviumError):
    """The call is wrong as it stands: repeating it gives the same error."""


class TooLarge(InvalidRequest):
    """Something is over a limit; the message names the limit."""


class Unauthenticated(InvalidRequest):
    """The gateway asks for a key, and there is none, or one that is wrong, expired or revoked."""


class PermissionDenied(InvalidRequest):
    """The key may not do that; the message names the scope that it lacks."""


class NotFound(InvalidRequest):
    """There is no such document or collection."""


class AlreadyExists(InvalidRequest):
    """The name is taken."""


class FailedPrecondition(InvalidRequest):
    """The call does not fit the state that the data is in."""


class TemporaryError(TriviumError):
    """The same call may succeed later."""


class Overloaded(TemporaryError):
    """There is no capacity for the call now."""


class Unavailable(TemporaryError):
    """Something that the gateway needs for this call is down, loading or draining."""


class GatewayUnreachable(TemporaryError):
    """No gateway answers at the address, or the connection to it was lost."""


class DeadlineExceeded(TemporaryError):
    """The call was not done within its timeout."""


class Cancelled(TriviumError):
    """The call was given up: the client was closed, or a gateway shut down that had not begun it."""


class InternalError(TriviumError):
    """A fault of Trivium, not of the call; the gateway's log says more under the `request_id`."""


_BY_CODE: dict[grpc.StatusCode, type[TriviumError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
}


def error_from_body(body: object) -> TriviumError | None:
    """The exception that says the same as an error of the gateway's over HTTP; None if it is none of its.

    Args:
        body: What came, parsed; within JSON-RPC the error is in `data`.
    """
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("data"), dict):
        error = error["data"]
    if not isinstance(error, dict) or not all(isinstance(error.get(name), str) for name in _WORDS):
        return None
    code = grpc.StatusCode.__members__.get(error["status"], grpc.StatusCode.UNKNOWN)
    kind = _BY_CODE.get(code, InternalError)
    return kind(error["message"], reason=error["reason"], field=error.get("field"))


class FailedCall(Protocol):
    """What gRPC raises, be it from a thread or from an event loop."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> Iterable[Any] | None: ...


def closed_error() -> Cancelled:
    """For calls of a client that is closed."""
    return Cancelled("this client is closed; make another", reason="CLIENT_CLOSED")


def error_from_rpc(
    error: FailedCall, address: str, timeout_seconds: float | None, request_id: str = ""
) -> TriviumError:
    """Turns what gRPC raises into the exception of this library that says the same.

    Args:
        error: What a call raised.
        address: The gateway's address, for messages.
        timeout_seconds: The call's timeout, for messages.
        request_id: The id that the call was sent with.
    """
    made = _from_details(error) or _from_code(error.code(), error.details() or "", address, timeout_seconds)
    made.request_id = request_id
    return made


def _from_code(code: grpc.StatusCode, text: str, address: str, timeout_seconds: float | None) -> TriviumError:
    """Without details, it was not the gateway that refused but gRPC itself, on either side."""
    if code is grpc.StatusCode.UNAVAILABLE:
        advice = _tls_advice(text) or "start it with `trivium up`, or name another address"
        return GatewayUnreachable(
            f"cannot reach the gateway at {address}; {advice} ({text.removesuffix(': OK').rsplit(': ', 1)[-1]})",
            reason="GATEWAY_UNREACHABLE",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        seconds = f" within {timeout_seconds:g} seconds" if timeout_seconds is not None else " in time"
        return DeadlineExceeded(f"the gateway at {address} did not answer{seconds}", reason="DEADLINE_EXCEEDED")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return TooLarge(f"a message is too large: {text}", reason="MESSAGE_TOO_LARGE")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return InternalError(
            f"the server at {address} does not know this call; is it Trivium's gateway, of this version? ({text})",
            reason="UNIMPLEMENTED",
        )
    return _BY_CODE.get(code, InternalError)(text or code.name, reason=code.name)


def _tls_advice(text: str) -> str:
    """What to do about a connection that failed, if that looks like a matter of TLS; otherwise empty."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate " + ("has expired" if "expired" in text else "is by no authority in TRIVIUM_TLS_CA")
    if "Hostname Verification" in text:
        return "its certificate is for another name than this"
    if "WRONG_VERSION_NUMBER" in text:
        return "it speaks no TLS: unset TRIVIUM_TLS_CA, or give the gateway a certificate"
    if "last error" in text and text.endswith("Socket closed"):  # as soon as it was open
        return "it closed the connection; if it speaks TLS, set TRIVIUM_TLS_CA, and if it asks for a certificate, that"
    return ""


def _from_details(error: FailedCall) -> TriviumError | None:
    """The error that the gateway described in `google.rpc` details; None if there are none."""
    status = _status(error)
    info, field, retry_after = None, None, None
    for packed in status.details if status is not None else ():
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            packed.Unpack(info)
        elif packed.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            request = error_details_pb2.BadRequest()
            packed.Unpack(request)
            field = request.field_violations[0].field if request.field_violations else None
        elif packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            retry = error_details_pb2.RetryInfo()
            packed.Unpack(retry)
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    if info is None:
        return None
    kind = _BY_CODE.get(error.code(), InternalError)
    metadata = dict(info.metadata)
    if metadata.pop("too_large", "") == "true":  # the code does not tell it from other invalid requests
        kind = TooLarge
    return kind(
        error.details() or "", reason=info.reason, field=field, retry_after_seconds=retry_after, metadata=metadata
    )


def _status(error: FailedCall) -> status_pb2.Status | None:
    """The status with details of a failed call, which gRPC's own decoder reads for threads only."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            status = status_pb2.Status()
            try:
                status.ParseFromString(value)
            except DecodeError:
                return None
            # Details that contradict the status line: a proxy rewrote it, which then counts.
            return status if status.code == error.code().value[0] and status.message == error.details() else None
    return None
