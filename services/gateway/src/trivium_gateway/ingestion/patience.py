"""Repeats a call to a service that is busy or restarting, for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trivium_serving.errors import Overloaded, Unavailable

__all__ = ["patiently"]

_Result = TypeVar("_Result")

_OVERLOADED_PATIENCE_SECONDS = 120.0
# Longer than a cluster of Qdrant takes to give a shard another leader.
_UNAVAILABLE_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.25


async def patiently(call: Callable[[], Awaitable[_Result]]) -> _Result:
    """Make a call, again and again while the service has no capacity, and for some seconds while it is not there.

    Args:
        call: Makes the call; repeating it does no harm.

    Raises:
        Overloaded: There still is no capacity.
        Unavailable: The service is still not there.
    """
    started = time.monotonic()
    while True:
        try:
            return await call()
        except Overloaded as error:
            if time.monotonic() - started > _OVERLOADED_PATIENCE_SECONDS:
                raise
            pause = min(max(error.retry_after_seconds, 0.05), 5.0)
        except Unavailable:
            if time.monotonic() - started > _UNAVAILABLE_PATIENCE_SECONDS:
                raise
            pause = _PAUSE_SECONDS
        await asyncio.sleep(pause)
