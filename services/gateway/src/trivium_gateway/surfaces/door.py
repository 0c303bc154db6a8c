"""The door: who asks is said here, once for each request. Surfaces hand it on; nothing below them looks it up."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from trivium_serving.request_context import set_caller_timeout, set_tenant

from trivium_gateway.request.principal import EVERYBODY

if TYPE_CHECKING:
    from trivium_gateway.request.principal import Principal

_principal: ContextVar[Principal] = ContextVar("trivium_principal")


def let_in() -> None:
    """Notes who asks the request that has just come: everybody, as long as nobody has to say who they are."""
    _principal.set(EVERYBODY)
    set_tenant(EVERYBODY.tenant)


def let_call_in(context: Any) -> None:
    """Notes who makes a gRPC call, and how long they wait.

    Args:
        context: The call's, a grpc.aio.ServicerContext.
    """
    let_in()
    set_caller_timeout(context.time_remaining())


def principal() -> Principal:
    """Who asks the current request.

    Raises:
        LookupError: It has not come through the door.
    """
    return _principal.get()
