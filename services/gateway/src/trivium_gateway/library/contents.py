"""Whether what is in a collection may have changed: a mark in its own record in Qdrant, which each write moves."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from trivium_serving.errors import NotFound, TriviumError

from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.versions import ABANDONED_SECONDS
from trivium_gateway.qdrant.collections import QdrantCollections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["Contents", "is_left", "is_settled"]

_logger = logging.getLogger(__name__)

_SETTLED = "settled:"
_MOVING = "moving:"

_changed_here: ContextVar[frozenset[str]] = ContextVar("trivium_changed_here", default=frozenset())
"""Indexes that whoever runs now has said it is changing."""


def is_settled(mark: str) -> bool:
    """Whether nobody was writing as a mark was set: what was read since is the collection's as long as it stands."""
    return mark.startswith(_SETTLED)


def is_left(mark: str) -> bool:
    """Whether a write has set a mark that cannot be going on any more: its gateway was killed."""
    begun = mark.removeprefix(_MOVING).partition(":")[0] if mark.startswith(_MOVING) else ""
    return bool(begun) and time.time() - int(begun, 16) > ABANDONED_SECONDS


class Contents:
    """Moves and reads the marks of physical collections.

    A write sets a mark that says so before it begins, and one that nobody has seen yet once it has ended. So one that
    is the same before a search and at any time later says that no write has ended in between, whichever gateway's, and
    none was broken off by a crash: that leaves the mark of a write, until the next one, or `settle` an hour later.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._qdrant = QdrantCollections(connection)
        self._locks = KeyedLocks()
        self._writes: Counter[str] = Counter()
        self._ends: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def changing(self, physical: str) -> AsyncIterator[None]:
        """Writes within the block, and whatever it calls; cheap where a caller has said it already.

        Args:
            physical: The collection's name in Qdrant.

        Raises:
            TriviumError: The mark cannot be set, and nothing may be written.
        """
        outside = _changed_here.get()
        if physical in outside:
            yield
            return
        async with self._locks.hold([(physical,)]):
            if not self._writes[physical]:
                await self._qdrant.keep_contents(physical, f"{_MOVING}{int(time.time()):x}:{secrets.token_hex(8)}")
            self._writes[physical] += 1
        _changed_here.set(outside | {physical})
        try:
            yield
        finally:
            _changed_here.set(outside)
            # To the end, also if the caller leaves: nobody else would.
            end = asyncio.ensure_future(self._end(physical))
            self._ends.add(end)
            end.add_done_callback(self._ends.discard)
            await asyncio.shield(end)

    async def mark(self, physical: str) -> str:
        """The mark as Qdrant has it now; empty for a collection that only earlier versions of Trivium wrote to.

        Raises:
            TriviumError: It cannot be read.
        """
        return (await self._qdrant.describe(physical)).contents

    async def settle(self, physical: str) -> None:
        """Settles what a write has left that was broken off long ago.

        Raises:
            TriviumError: It cannot.
        """
        async with self.changing(physical):
            pass

    async def _end(self, physical: str) -> None:
        async with self._locks.hold([(physical,)]):
            self._writes[physical] -= 1
            others = self._writes[physical]
            if not others:
                del self._writes[physical]
            kind = f"{_MOVING}{int(time.time()):x}:" if others else _SETTLED
            try:
                with suppress(NotFound):  # deleted since
                    await self._qdrant.keep_contents(physical, kind + secrets.token_hex(8))
            except TriviumError as error:
                _logger.warning(
                    "nothing of a collection is cached until it is written to again, or an hour is over: %s",
                    error.cause or error.message,
                )
