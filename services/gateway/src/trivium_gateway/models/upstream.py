"""What a failed call to one of the model services means to the gateway."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grpc import StatusCode
from trivium_serving.errors import DeadlineExceeded, InvalidField, Overloaded, TooLarge, TriviumError, Unavailable
from trivium_serving.rpc_errors import error_from_rpc, is_own_error
from trivium_serving.tls import hint

if TYPE_CHECKING:
    from collections.abc import Collection

    from grpc.aio import AioRpcError


def upstream_error(service: str, rpc_error: AioRpcError) -> TriviumError:
    """The domain error for a call to a service that failed.

    Errors that the service raised itself come through as they are. Those of the transport, or of whatever else answers
    at its address, name the service in our words: theirs, which may hold addresses, are the error's cause.

    Args:
        service: Its short name, for example `rerank`.
        rpc_error: What the call raised.
    """
    code, said = rpc_error.code(), rpc_error.details() or ""
    cause = f"the {service} service: {code.name}: {said}"
    error = error_from_rpc(rpc_error)
    if isinstance(error, DeadlineExceeded):
        return DeadlineExceeded(f"The {service} service did not answer in time.").because(cause)
    if is_own_error(rpc_error) and type(error) is not TriviumError:
        return error
    if isinstance(error, Overloaded):
        return Overloaded(f"The {service} service has no capacity. Try again later.").because(cause)
    if code is StatusCode.UNAVAILABLE:
        return Unavailable(
            f"The {service} service cannot be reached. "
            + (hint(said) or f"Start it, or correct {_setting_of(service)}."),
            reason="UPSTREAM_UNAVAILABLE",
        ).because(cause)
    return Unavailable(
        f"The {service} service failed with {code.name}; its log has the cause under this request's id.",
        reason="UPSTREAM_UNAVAILABLE",
    ).because(cause)


def _setting_of(service: str) -> str:
    """The setting with the address of a service, which has a point in its name if it is one of several."""
    kind, _, name = service.partition(".")
    return f"TRIVIUM_GATEWAY_{kind.upper()}_TARGET{'S' if name else ''}"


def blame(service: str, error: TriviumError, callers_fields: Collection[str]) -> TriviumError:
    """Tells input that our caller sent from input that we made: only the first is the caller's mistake.

    Args:
        service: The service's short name.
        error: What it raised.
        callers_fields: Fields of our request to it that hold what our own caller sent.

    Returns:
        The error itself, or Unavailable in its place if the service refuses what we made.
    """
    if not isinstance(error, InvalidField | TooLarge):
        return error
    field = re.split(r"[.\[]", error.field or "", maxsplit=1)[0]
    if field in callers_fields:
        return error
    return Unavailable(
        f"The {service} service refuses {field or 'the request'}: {error.message}", reason="UPSTREAM_REFUSED"
    )


def broken_answer(service: str, problem: str) -> Unavailable:
    """The error for an answer that breaks the contract.

    Args:
        service: The service's short name.
        problem: What is wrong with its answer.
    """
    return Unavailable(f"The {service} service sent an answer that {problem}.", reason="UPSTREAM_UNAVAILABLE")
