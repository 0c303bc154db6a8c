"""The door: who asks is said here, once for each request. Surfaces hand it on; nothing below them looks it up."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField
from trivium_serving.request_context import set_caller_timeout, set_tenant

from trivium_gateway.access.guard import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivium_gateway.access.guard import Guard
    from trivium_gateway.request.principal import Principal

_principal: ContextVar[Principal] = ContextVar("trivium_principal")

CREDENTIAL_HEADERS = ("authorization", "x-api-key", "x-trivium-user", "x-trivium-groups")


def let_in(guard: Guard, headers: Iterable[tuple[str, Any]]) -> Principal:
    """Notes who makes the request that has just come.

    Args:
        guard: Knows who may.
        headers: The request's, or its metadata; names in small letters.

    Raises:
        InvalidField: One that says who asks is there twice and says two things, of which a proxy may have meant one.
        TriviumError: See Guard.principal.
    """
    said = dict.fromkeys(CREDENTIAL_HEADERS, "")
    for name, value in headers:
        if name in said:
            if said[name] and said[name] != value:
                raise InvalidField(name, f"{name} is there twice, and says two things. Send it once.")
            said[name] = str(value)
    brought = guard.principal(Credentials(*said.values()))
    _principal.set(brought)
    set_tenant(brought.tenant)
    return brought


def let_call_in(guard: Guard, context: Any) -> None:
    """Notes who makes a gRPC call, and how long they wait.

    Args:
        guard: Knows who may.
        context: The call's, a grpc.aio.ServicerContext.

    Raises:
        TriviumError: See Guard.principal.
    """
    set_caller_timeout(context.time_remaining())
    let_in(guard, context.invocation_metadata() or ())


def principal() -> Principal:
    """Who asks the current request.

    Raises:
        LookupError: It has not come through the door.
    """
    return _principal.get()
