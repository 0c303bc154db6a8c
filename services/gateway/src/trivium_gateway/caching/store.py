"""Where cached results are kept: in the memory of a gateway; redis_store.py is for several."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

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
    byte_count: int


class MemoryStore:
    """In memory. Whoever has the most in it loses first what it has not asked for longest.

    Attributes:
        byte_count: About how much memory it takes.

    Args:
        most_bytes: How much it may take.
        seconds: How long anything is kept at most.
        clock: Seconds that only grow.
    """

    def __init__(self, most_bytes: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.byte_count = 0
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._clock = clock
        self._kept: dict[str, OrderedDict[str, _Kept]] = {}
        self._bytes_of: Counter[str] = Counter()

    async def get(self, owner: str, key: str, coding: Coding) -> Any:
        """What is kept under a key."""
        del coding  # it is kept as it is
        own = self._kept.get(owner)
        kept = own.get(key) if own else None
        if own is None or kept is None:
            return None
        if kept.until <= self._clock():
            self._drop(owner, key)
            return None
        own.move_to_end(key)
        return kept.result

    async def put(self, owner: str, key: str, result: Result, coding: Coding) -> None:
        """Keeps something; what has no room beside nothing else is not kept."""
        del coding
        byte_count = result.byte_count + len(key) + _OVERHEAD_BYTES
        if key in self._kept.get(owner, ()):
            self._drop(owner, key)
        if byte_count > self._most_bytes:
            return
        self._kept.setdefault(owner, OrderedDict())[key] = _Kept(result, self._clock() + self._seconds, byte_count)
        self._count(owner, byte_count)
        while self.byte_count > self._most_bytes:
            largest = max(self._bytes_of, key=self._bytes_of.__getitem__)
            self._drop(largest, next(iter(self._kept[largest])))

    async def close(self) -> None:
        """Holds nothing but memory."""

    def _drop(self, owner: str, key: str) -> None:
        self._count(owner, -self._kept[owner].pop(key).byte_count)
        if not self._kept[owner]:
            del self._kept[owner], self._bytes_of[owner]

    def _count(self, owner: str, byte_count: int) -> None:
        self._bytes_of[owner] += byte_count
        self.byte_count += byte_count
