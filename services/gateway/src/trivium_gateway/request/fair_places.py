"""A few places, shared fairly by the tenants that want them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractContextManager

NOTHING_DONE = nullcontext()
"""Nothing is done while one waits."""
_RECENT_SECONDS = 1.0
"""Who asks one question after the other is heard again within that time."""
_LONGEST_REST_SECONDS = 1.0
_MOST_REMEMBERED = 1_000


def equal_weight(_tenant: str) -> float:
    """The weight of tenants that all count the same."""
    return 1.0


class FairPlaces:
    """Next is, of the tenants that wait, the one that holds least for its weight; of those, the one served longest ago.

    Within a tenant the first that came is the first that is served: with one tenant it is a plain queue. Belongs to one
    event loop.

    Args:
        places: How many there are now.
        weight_of: What a tenant's part is in proportion to; above 0.
        keeps_one: Whether a place is kept free for others, as long as there are any, by who has all the rest.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        places: Callable[[], int],
        *,
        weight_of: Callable[[str], float] = equal_weight,
        keeps_one: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._weight_of = weight_of
        self._keeps_one = keeps_one
        self._clock = clock
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._heard: dict[str, float] = {}
        self._served: dict[str, float] = {}
        self._resting: Counter[str] = Counter()
        self._now = 0.0  # on the clock of what was served, by which weights count
        self.held: Counter[str] = Counter()
        """Places by tenant."""
        self.taken = 0
        """Places that are held."""

    @property
    def has_several_tenants(self) -> bool:
        """Whether several tenants have places, wait for some, or did a moment ago."""
        tenants = {*self.held, *self._waiting, *(one for one, at in self._heard.items() if self._is_recent(at))}
        return len(tenants) > 1

    def waiting_of(self, tenant: str) -> int:
        """How many of a tenant wait."""
        return len(self._waiting.get(tenant, ()))

    def ahead_of(self, tenant: str) -> int:
        """How many other tenants' first ones in the line would be served before a tenant's first one."""
        own = self.held[tenant] / self._weight_of(tenant)
        return sum(self.held[one] / self._weight_of(one) <= own for one in self._waiting if one != tenant)

    def used_by(self, tenant: str) -> int:
        """Places that a tenant holds, or that rest after it has held them."""
        return self.held[tenant] + self._resting[tenant]

    def rest_share(self, tenant: str, seconds: float) -> float:
        """How long a tenant's line rests after a place, in times that it was held.

        Once, or by their weights, beside the questions of another that has no line: a flood is at work half of the
        time. Else 0.

        Args:
            tenant: The tenant.
            seconds: How long the place was held; who had none in that time does not ask beside it.
        """
        since = self._clock() - seconds
        asking = {*self.held, *(one for one, at in self._heard.items() if at >= since)}
        modest = [self._weight_of(one) for one in asking if one != tenant and one not in self._waiting]
        return max(modest, default=0.0) / self._weight_of(tenant)

    def hear(self, tenant: str) -> None:
        """Notes that a tenant is there."""
        if len(self._heard) >= _MOST_REMEMBERED:
            self._heard = {one: at for one, at in self._heard.items() if self._is_recent(at)}
        self._heard[tenant] = self._clock()

    def share(self, tenant: str, more: Mapping[str, int]) -> int:
        """How many places a tenant can count on: its part by weight, and what the others leave of theirs; at least 1.

        Args:
            tenant: The tenant.
            more: By tenant, how many will come to those that are known.
        """
        places = self._places()
        others = {*self.held, *self._waiting, *more} - {tenant}
        if not others:
            return max(1, self.most_of(tenant))
        weight = self._weight_of(tenant)
        part = places * weight / (weight + sum(map(self._weight_of, others)))
        wanted = sum(self.held[one] + self.waiting_of(one) + more.get(one, 0) for one in others)
        return max(1, int(part), min(self.most_of(tenant), places - wanted))

    def most_of(self, tenant: str) -> int:
        """How many places a tenant may hold now."""
        places = self._places()
        return max(1, places - 1) if self._keeps_one and self._others_ask(tenant) else places

    async def take(self, tenant: str, waiting: AbstractContextManager[object] = NOTHING_DONE) -> None:
        """Waits for a place, and holds it.

        Args:
            tenant: For whom.
            waiting: What is done while there is none; not entered where there is one at once.
        """
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self.hear(tenant)
        self._serve()
        try:
            if not turn.done():
                with waiting:
                    await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.give_back(tenant)  # its turn had come
            else:
                self._forget(tenant, turn)
                self._serve()
            raise

    def give_back(self, tenant: str, held_seconds: float = 0.0) -> None:
        """Gives a place to the next.

        Args:
            tenant: Who had it.
            held_seconds: How long, if its line is to rest for that: see rest_share.
        """
        self.hear(tenant)
        self.taken -= 1
        self.held[tenant] -= 1
        if not self.held[tenant]:
            del self.held[tenant]
        if held_seconds and tenant in self._waiting and (share := self.rest_share(tenant, held_seconds)):
            self._resting[tenant] += 1
            rest_seconds = min(_LONGEST_REST_SECONDS, share * held_seconds)
            asyncio.get_running_loop().call_later(rest_seconds, self._end_rest, tenant)
        self._serve()

    @asynccontextmanager
    async def place(self, tenant: str) -> AsyncIterator[None]:
        """Holds a place while the block runs."""
        await self.take(tenant)
        try:
            yield
        finally:
            self.give_back(tenant)

    def _serve(self) -> None:
        while self._waiting and self.taken < self._places():
            able = [one for one in self._waiting if self.used_by(one) < self.most_of(one)]
            if not able:
                return
            tenant = min(able, key=self._rank)  # the first of equals: dicts keep the order in which they came
            turn = self._waiting[tenant][0]
            self._forget(tenant, turn)
            if not turn.done():
                self._count(tenant)
                turn.set_result(None)

    def _end_rest(self, tenant: str) -> None:
        self._resting[tenant] -= 1
        if not self._resting[tenant]:
            del self._resting[tenant]
        self._serve()

    def _count(self, tenant: str) -> None:
        self.taken += 1
        self.held[tenant] += 1
        self._now = max(self._now, self._served.get(tenant, 0.0))
        self._served[tenant] = self._now + 1 / self._weight_of(tenant)
        if not self._waiting:  # nobody has waited: nobody is owed anything
            self._served.clear()
            self._now = 0.0

    def _forget(self, tenant: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(tenant)
        if line is None or turn not in line:
            return
        line.remove(turn)
        if not line:
            del self._waiting[tenant]

    def _rank(self, tenant: str) -> tuple[float, float]:
        return self.held[tenant] / self._weight_of(tenant), max(self._now, self._served.get(tenant, 0.0))

    def _others_ask(self, tenant: str) -> bool:
        if any(one != tenant for one in self.held) or any(one != tenant for one in self._waiting):
            return True
        return any(one != tenant and self._is_recent(at) for one, at in self._heard.items())

    def _is_recent(self, at: float) -> bool:
        return self._clock() - at < _RECENT_SECONDS


def part_of(total: int, tenant: str, running: Mapping[str, int], weight_of: Callable[[str], float]) -> int:
    """How many of something a tenant may have in any case, beside the others that have some; at least one of them.

    With no other it is all of it. So together they have at most twice as much: each its part, and one the rest before
    the others came.

    Args:
        total: How many there are.
        tenant: The tenant.
        running: How many each has.
        weight_of: What a tenant's part is in proportion to.
    """
    weight = weight_of(tenant)
    others = sum(weight_of(one) for one, count in running.items() if count > 0 and one != tenant)
    return min(total, max(1, math.floor(total * weight / (weight + others))))
