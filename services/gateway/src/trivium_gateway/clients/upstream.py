"""What a failed call to one of the model services means to the gateway."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, InvalidField, TooLarge, TriviumError, Unavailable, error_from_rpc
from trivium_serving.tls import hint

if TYPE_CHECKING:
    from collections.abc import Collection

    from grpc.aio import AioRpcError


def upstream_error(service: str, rpc_error: AioRpcError) -> TriviumError:
    """The domain error for a call to a service that failed.

    Errors that the service raised itself come through as they are. Those of the transport name the service, because the
    text that gRPC has for them says nothing to the one who asked a question.

    Args:
        service: Its short name, for example `rerank`.
        rpc_error: What the call raised.
    """
    error = error_from_rpc(rpc_error)
    if isinstance(error, DeadlineExceeded):
        return DeadlineExceeded(f"The {service} service did not answer in time.")
    if isinstance(error, Unavailable) and not _has_details(rpc_error):
        return Unavailable(
            f"The {service} service cannot be reached. "
            + (hint(rpc_error.details() or "") or "Start it, or check the address that the gateway has for it."),
            reason="UPSTREAM_UNAVAILABLE",
        )
    if type(error) is TriviumError:
        return Unavailable(
            f"The {service} service failed with {rpc_error.code().name}; its log has the cause.",
            reason="UPSTREAM_UNAVAILABLE",
        )
    return error


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


def _has_details(rpc_error: AioRpcError) -> bool:
    """Whether one of Trivium's services raised the error, and not the transport."""
    return any(key == "grpc-status-details-bin" for key, _ in rpc_error.trailing_metadata() or ())


def broken_answer(service: str, problem: str) -> Unavailable:
    """The error for an answer that breaks the contract.

    Args:
        service: The service's short name.
        problem: What is wrong with its answer.
    """
    return Unavailable(f"The {service} service sent an answer that {problem}.", reason="UPSTREAM_UNAVAILABLE")
