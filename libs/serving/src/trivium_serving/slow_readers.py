"""Clients that do not read what they are given: few of them are waited for, so that they leave room for others."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

_PATIENCE_SECONDS = 2.0


class SlowReaders:
    """Gives up whoever has read nothing for longest, while there are too many. Belongs to one event loop.

    A short pause is nobody's fault: who reads nothing is waited for in any case for two seconds.

    Args:
        most: How many are waited for longer.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Hashable, tuple[float, Callable[[], None]]] = {}  # longest first
        self._look: asyncio.TimerHandle | None = None

    def add(self, reader: Hashable, give_up: Callable[[], None]) -> None:
        """Notes that somebody reads nothing.

        Args:
            reader: Who.
            give_up: Called at most once, if nobody waits for them any more.
        """
        self._waiting.setdefault(reader, (time.monotonic(), give_up))
        self._give_up_some()

    def remove(self, reader: Hashable) -> None:
        """Notes that somebody reads again, or has left."""
        self._waiting.pop(reader, None)

    @contextmanager
    def waiting_for(self, reader: Hashable, give_up: Callable[[], None]) -> Iterator[None]:
        """Waits for somebody within the block; see add."""
        self.add(reader, give_up)
        try:
            yield
        finally:
            self.remove(reader)

    def _give_up_some(self) -> None:
        while len(self._waiting) > self._most:
            # Who is one too many, and since when: a reader that only pauses is none of them.
            since, _ = next(itertools.islice(self._waiting.values(), self._most, None))
            left_seconds = since + _PATIENCE_SECONDS - time.monotonic()
            if left_seconds > 0:
                if self._look is None:
                    self._look = asyncio.get_running_loop().call_later(left_seconds, self._look_again)
                return
            _, give_up = self._waiting.pop(next(iter(self._waiting)))
            give_up()

    def _look_again(self) -> None:
        self._look = None
        self._give_up_some()
