"""Hands out a few places, fairly between those who want one."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Turns"]


@dataclass(eq=False, slots=True)
class _Waiting:
    caller: str
    call: str
    place: asyncio.Future[None]


class Turns:
    """Next is, of those who wait, the caller that holds the fewest places, and of its calls the one that does.

    One place is kept for others than the caller that has all the rest.

    Args:
        places: Most held at once.
        max_waiting_calls: Most calls that wait; one caller may have half of them.
        on_change: Is told how many places are held, and how many turns are waited for.
    """

    def __init__(self, places: int, max_waiting_calls: int, on_change: Callable[[int, int], None]) -> None:
        self._places = places
        self._most_of_one = max(1, places - 1)
        self._max_waiting_calls = max_waiting_calls
        self._on_change = on_change
        self._waiting: list[_Waiting] = []
        self._held: Counter[tuple[str, str]] = Counter()
        self._held_by_caller: Counter[str] = Counter()
        self._last_turn: dict[str, int] = {}
        self._turn_count = 0

    @asynccontextmanager
    async def turn(self, caller: str, call: str) -> AsyncIterator[None]:
        """Hold a place.

        Args:
            caller: Who wants it.
            call: Which of its calls.

        Raises:
            Overloaded: Too many calls wait. One that waits already, or holds a place, is never refused.
        """
        self._check_room(caller, call)
        waiting = _Waiting(caller, call, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._give()
        try:
            await waiting.place
            yield
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                self._take_back(waiting)
            self._give()

    def _check_room(self, caller: str, call: str) -> None:
        calls = {(waiting.caller, waiting.call) for waiting in self._waiting}
        if (caller, call) in calls or self._held[caller, call]:
            return
        own = sum(1 for other, _ in calls if other == caller)
        if len(calls) >= self._max_waiting_calls or own >= max(1, self._max_waiting_calls // 2):
            raise Overloaded(
                f"{len(calls)} calls with HTML or PDF files wait for their text to be taken out, {own} of them yours, "
                "which is the limit. Try again shortly, with less at a time.",
                retry_after_seconds=2.0,
            )

    def _give(self) -> None:
        while self._waiting and self._held_by_caller.total() < self._places:
            free = [one for one in self._waiting if self._held_by_caller[one.caller] < self._most_of_one]
            if not free:
                break
            chosen = min(free, key=self._rank)  # the first of equals: those that wait stand in their order
            self._waiting.remove(chosen)
            self._held[chosen.caller, chosen.call] += 1
            self._held_by_caller[chosen.caller] += 1
            self._turn_count += 1
            self._last_turn[chosen.caller] = self._turn_count
            if not chosen.place.done():
                chosen.place.set_result(None)
        self._on_change(self._held_by_caller.total(), len(self._waiting))

    def _rank(self, waiting: _Waiting) -> tuple[int, int, int]:
        caller = waiting.caller
        return self._held_by_caller[caller], self._last_turn.get(caller, 0), self._held[caller, waiting.call]

    def _take_back(self, holder: _Waiting) -> None:
        self._held[holder.caller, holder.call] -= 1
        self._held_by_caller[holder.caller] -= 1
        self._held, self._held_by_caller = +self._held, +self._held_by_caller  # only what is held is remembered
        if not self._waiting:
            self._last_turn.clear()
