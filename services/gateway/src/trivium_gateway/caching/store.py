"""Where cached results are kept: in the memory of a gateway; redis_store.py is for several."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from trivium_gateway.caching.shares import Shares

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.caching.coding import Coding

_OVERHEAD_BYTES = 300
"""What Python needs around one entry, about."""


class Result(Protocol):
    """What can be kept; nothing in it ever changes."""

    @property
    def byte_count(self) -> int:
        """How much memory it takes, about."""


class CacheStore(Protocol):
    """Keeps results for a while. It may lose any of them at any time, and fails by having nothing."""

    async def get(self, owner: str, key: str, coding: Coding) -> Any:
        """What is kept under a key; None if nothing is.

        Args:
            owner: The tenant whose it is.
            key: Names it among all tenants'.
            coding: How it is written where it is kept as bytes.

        Raises:
            Unreadable: It is not written so.
        """

    async def put(self, owner: str, key: str, result: Result, coding: Coding) -> None:
        """Keeps something, in place of what was under its key; see `get`."""

    async def close(self) -> None:
        """Gives back what it holds."""


class _Kept(NamedTuple):
    result: Result
    until: float


class MemoryStore:
    """In memory, which tenants share: see Shares.

    Args:
        most_bytes: How much it may take.
        seconds: How long anything is kept at most.
        clock: Seconds that only grow.
    """

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares: Shares[str, _Kept] = Shares(most_bytes)
        self._seconds = seconds
        self._clock = clock

    @property
    def byte_count(self) -> int:
        """About how much memory it takes."""
        return self._shares.byte_count

    async def get(self, owner: str, key: str, coding: Coding) -> Any:
        """What is kept under a key."""
        del coding  # it is kept as it is
        kept = self._shares.get(owner, key)
        if kept is not None and kept.until <= self._clock():
            self._shares.drop(owner, key)
            return None
        return None if kept is None else kept.result

    async def put(self, owner: str, key: str, result: Result, coding: Coding) -> None:
        """Keeps something; what has no room beside nothing else is not kept."""
        del coding
        byte_count = result.byte_count + len(key) + _OVERHEAD_BYTES
        self._shares.put(owner, key, _Kept(result, self._clock() + self._seconds), byte_count)

    async def close(self) -> None:
        """Holds nothing but memory."""
