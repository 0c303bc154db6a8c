"""Bounds the bytes of requests' bodies that a process holds at once, over all its requests on all its ports."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_serving.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALWAYS_TAKEN_BYTES = 64 * 1024
"""A body up to this size is not counted, so that a question is heard beside any number of uploads."""


class BodyBudget:
    """How many bytes of bodies may be held at once. Belongs to one event loop.

    Args:
        max_bytes: Most bytes of all bodies together.
        count_refused: Called for each body that is refused.
    """

    def __init__(self, max_bytes: int, count_refused: Callable[[], None] = lambda: None) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._count_refused = count_refused
        self._freed = asyncio.Event()

    @contextmanager
    def body(self) -> Iterator[HeldBody]:
        """Holds the body of one request, and gives it back at the end."""
        held = HeldBody(self)
        try:
            yield held
        finally:
            held.shrink()

    def refuse(self) -> Overloaded:
        """Counts a body that is refused.

        Returns:
            The error for it (BODIES_IN_FLIGHT).
        """
        self._count_refused()
        return Overloaded(
            f"The bodies of running requests hold {self.held_bytes} of the {self.max_bytes} bytes that they may hold "
            "together, and this one does not fit beside them. Try again shortly.",
            reason="BODIES_IN_FLIGHT",
        )

    def give_back(self, count: int) -> None:
        """Gives bytes back, and wakes those who wait for room."""
        self.held_bytes -= count
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    async def wait_for_room(self) -> None:
        """Waits until some bytes are given back."""
        await self._freed.wait()


class HeldBody:
    """What one request's body holds of a budget.

    Args:
        budget: The budget.
    """

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._bytes = 0

    def grow(self, size: int) -> None:
        """Holds a body of `size` bytes, or one that has grown to it.

        Raises:
            Overloaded: There is no room for it (BODIES_IN_FLIGHT).
        """
        if not self._grown(size):
            raise self._budget.refuse()

    async def grow_when_there_is_room(self, size: int) -> None:
        """The same, once others have given back what they hold.

        Raises:
            Overloaded: There is never room for it (BODIES_IN_FLIGHT).
        """
        while not self._grown(size):
            if size > self._budget.max_bytes:
                raise self._budget.refuse()
            await self._budget.wait_for_room()

    def shrink(self) -> None:
        """Gives all of it back."""
        if self._bytes:
            self._budget.give_back(self._bytes)
            self._bytes = 0

    def _grown(self, size: int) -> bool:
        more = size - self._bytes if size > ALWAYS_TAKEN_BYTES else 0
        if more <= 0:
            return True
        if self._budget.held_bytes + more > self._budget.max_bytes:
            return False
        self._budget.held_bytes += more
        self._bytes += more
        return True
