"""One at a time for each document or collection, within this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["KeyedLocks"]

_Key = tuple[str, ...]


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class KeyedLocks:
    """Locks by the names of what they guard; those that nobody uses take no memory."""

    def __init__(self) -> None:
        self._entries: dict[_Key, _Entry] = {}

    @asynccontextmanager
    async def hold(self, keys: Iterable[_Key]) -> AsyncIterator[None]:
        """Hold some locks. Who asks first holds first.

        Args:
            keys: What each guards: physical collection, tenant and document id, or the name of a collection.
        """
        async with AsyncExitStack() as held:
            # All holders take them in the same order, so that no two can wait for each other.
            for key in sorted(set(keys)):
                await held.enter_async_context(self._hold_one(key))
            yield

    @asynccontextmanager
    async def _hold_one(self, key: _Key) -> AsyncIterator[None]:
        entry = self._entries.setdefault(key, _Entry())
        entry.users += 1
        try:
            async with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[key]
