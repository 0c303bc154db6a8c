"""The request that is being served, wherever in the code one is: its id, who asks, and whose data it is about."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

REQUEST_ID_KEY = "x-request-id"
TENANT_KEY = "x-trivium-tenant"

_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_request_id: ContextVar[str] = ContextVar("trivium_request_id", default="")
_caller_timeout: ContextVar[float | None] = ContextVar("trivium_caller_timeout", default=None)
_tenant: ContextVar[str] = ContextVar("trivium_tenant", default="")
_caller: ContextVar[str] = ContextVar("trivium_caller", default="")


def request_id() -> str:
    """The current request's id; empty outside a request."""
    return _request_id.get()


def begin_request(offered_id: str | None) -> str:
    """Makes the offered id the current one, or a new one if there is none or it is not fit for logs.

    Args:
        offered_id: What the caller sent: 1 to 128 letters, digits and `._:-`.
    """
    chosen = offered_id if offered_id and is_request_id(offered_id) else uuid.uuid4().hex
    _request_id.set(chosen)
    return chosen


def is_request_id(text: str) -> bool:
    """Whether a text may be a request's id: 1 to 128 letters, digits and `._:-`."""
    return _ACCEPTABLE_ID.fullmatch(text) is not None


def tenant() -> str:
    """Whose data the current request is about; empty where that is not known."""
    return _tenant.get()


def set_tenant(name: str) -> None:
    """Notes whose data the current request is about."""
    _tenant.set(name)


def caller() -> str:
    """Who asks, as far as that is known: the address that the request came from; empty outside a request."""
    return _caller.get()


def set_caller(name: str) -> None:
    """Notes who asks."""
    _caller.set(name)


def caller_timeout() -> float | None:
    """How many seconds the caller of the current request waits for the whole of it; None if it did not say."""
    return _caller_timeout.get()


def set_caller_timeout(seconds: float | None) -> None:
    """Notes how long the caller of the current request waits."""
    _caller_timeout.set(seconds)
