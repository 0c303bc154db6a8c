"""Hands out a few places, fairly between those who want one."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import Overloaded

from trivium_gateway.request.fair_places import equal_weight, part_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Turns"]

_RECENT_SECONDS = 60.0
"""As long as one file may take: a tenant that has sent one since may have another, and should not wait so long."""


@dataclass(eq=False, slots=True)
class _Waiting:
    tenant: str
    caller: str
    call: str
    place: asyncio.Future[None]


class Turns:
    """Next is, of those who wait, the tenant that holds the fewest places, of its callers the one that does, and so on.

    One place is kept for others than the caller that has all the rest, and for another tenant if there is any.

    Args:
        places: Most held at once.
        max_waiting_calls: Most calls that wait; one caller may have half of them.
        on_change: Is told how many places are held, and how many turns are waited for.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        places: int,
        max_waiting_calls: int,
        on_change: Callable[[int, int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._most_of_one = max(1, places - 1)
        self._max_waiting_calls = max_waiting_calls
        self._on_change = on_change
        self._waiting: list[_Waiting] = []
        self._clock = clock
        self._held: Counter[tuple[str, ...]] = Counter()
        """Places by tenant, by tenant and caller, and by tenant, caller and call."""
        self._last_turn: dict[tuple[str, ...], int] = {}
        self._turn_count = 0
        self._heard: dict[str, float] = {}

    @asynccontextmanager
    async def turn(self, tenant: str, caller: str, call: str) -> AsyncIterator[None]:
        """Hold a place.

        Args:
            tenant: Whose file it is.
            caller: Who wants it.
            call: Which of its calls.

        Raises:
            Overloaded: Too many calls wait. One that waits already, or holds a place, is never refused.
        """
        self._check_room(tenant, caller, call)
        waiting = _Waiting(tenant, caller, call, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._heard = {one: at for one, at in self._heard.items() if self._clock() - at < _RECENT_SECONDS}
        self._heard[tenant] = self._clock()
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

    def _check_room(self, tenant: str, caller: str, call: str) -> None:
        calls = {_owners(waiting)[-1] for waiting in self._waiting}
        if (tenant, caller, call) in calls or self._held[tenant, caller, call]:
            return
        own = sum(1 for one in calls if one[:2] == (tenant, caller))
        of_tenants = Counter(one[0] for one in calls)
        part = part_of(self._max_waiting_calls, tenant, of_tenants, equal_weight)
        is_full = len(calls) >= self._max_waiting_calls and of_tenants[tenant] >= part
        if is_full or own >= max(1, self._max_waiting_calls // 2):
            raise Overloaded(
                f"{of_tenants[tenant]} calls with HTML or PDF files wait for their text to be taken out, {own} of them "
                "yours, which is the limit. Try again shortly, with less at a time.",
                retry_after_seconds=2.0,
            )

    def _give(self) -> None:
        while self._waiting and self._held_in_all() < self._places:
            free = [one for one in self._waiting if self._may_have_more(one)]
            if not free:
                break
            chosen = min(free, key=self._rank)  # the first of equals: those that wait stand in their order
            self._waiting.remove(chosen)
            self._turn_count += 1
            for owner in _owners(chosen):
                self._held[owner] += 1
                self._last_turn[owner] = self._turn_count
            if not chosen.place.done():
                chosen.place.set_result(None)
        self._on_change(self._held_in_all(), len(self._waiting))

    def _held_in_all(self) -> int:
        return sum(count for owner, count in self._held.items() if len(owner) == 1)

    def _may_have_more(self, waiting: _Waiting) -> bool:
        of_tenant, of_caller, _ = (self._held[owner] for owner in _owners(waiting))
        others = any(tenant != waiting.tenant for tenant in self._heard)
        return of_caller < self._most_of_one and not (others and of_tenant >= self._most_of_one)

    def _rank(self, waiting: _Waiting) -> tuple[int, ...]:
        return tuple(
            value for owner in _owners(waiting) for value in (self._held[owner], self._last_turn.get(owner, 0))
        )

    def _take_back(self, holder: _Waiting) -> None:
        self._held.subtract(_owners(holder))
        self._held = +self._held  # only what is held is remembered
        if not self._waiting:
            self._last_turn.clear()


def _owners(waiting: _Waiting) -> tuple[tuple[str, ...], ...]:
    """Its tenant, its caller, and its call."""
    return (waiting.tenant,), (waiting.tenant, waiting.caller), (waiting.tenant, waiting.caller, waiting.call)
