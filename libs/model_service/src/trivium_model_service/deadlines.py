"""When a caller stops waiting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import grpc


def deadline_of(context: grpc.aio.ServicerContext[Any, Any]) -> float | None:
    """The caller's deadline on the event loop's clock, in seconds; None if it waits for ever."""
    left: float | None = context.time_remaining()
    return None if left is None else asyncio.get_running_loop().time() + left


def seconds_left(deadline: float | None) -> float | None:
    """How long it is to a deadline on the event loop's clock; None for never."""
    return None if deadline is None else deadline - asyncio.get_running_loop().time()
