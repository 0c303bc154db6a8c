"""Who is let in: questions as they can be answered in time, bulk work behind them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from trivium_serving.errors import Overloaded
from trivium_serving.request_context import tenant as current_tenant

from trivium_gateway.request.fair_places import NOTHING_DONE, FairPlaces, equal_weight, part_of
from trivium_gateway.request.question_limit import QuestionLimit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Iterator
    from contextlib import AbstractContextManager

    from trivium_gateway.request.metrics import QuestionMetrics

_LONGEST_WAIT_SECONDS = 0.5
"""That is expected; what waits is answered, even if it takes longer."""
_WAIT_SHARE = 0.25
"""Of the time that the caller has."""
_GIVE_UP_SHARE = 0.75
"""The rest would hardly be enough to find anything."""
_RECENT_SECONDS = 1.0
_LONGEST_YIELD_SECONDS = 1.0
_LONGEST_YIELD_UNDER_OVERLOAD_SECONDS = 5.0
"""While questions are refused for want of capacity, bulk work has little of it."""
_NEWEST_SHARE = 0.1
_BATCHES_IN_FLIGHT = 6
_COMING_SECONDS = 0.25
"""A question is read in milliseconds; for one that its sender does not send, no place is kept."""

_comes_in: ContextVar[_Coming | None] = ContextVar("trivium_comes_in", default=None)
"""What the current request was told at the door, if it was let in there and has no place yet."""


class _Coming:
    """A question that was let in and is still being read."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def end(self) -> None:
        """It asks for its place, or will not any more; ending twice is fine."""
        if self._end is not None:
            self._end()
            self._end = None


class Place:
    """A question's place among those that are worked on."""

    def __init__(self, free: Callable[[], None], measure: Callable[[Hashable], None]) -> None:
        self._free: Callable[[], None] | None = free
        self._measure = measure

    def note(self, kind: Hashable) -> None:
        """Notes that what is measured is done: see QuestionLimit.observe."""
        self._measure(kind)

    def leave(self) -> None:
        """Gives the place to the next; leaving twice is fine."""
        if self._free is not None:
            self._free()
            self._free = None


class QuestionAdmission:
    """Lets as many questions in as QuestionLimit allows, and a few more wait, if their turn comes soon.

    What would wait too long is refused at once, never after it has waited: it costs nothing then, and its sender can go
    elsewhere. Tenants have equal parts, or parts by their weights, of the places and of the line, and what others leave
    of theirs: who asks less than its part is never refused for what others ask, and waits for the next place at most.

    Attributes:
        encoder: Places for batches of bulk work at the embed service, which all together keep busy, and no busier.

    Args:
        most: Most questions at once, those that are already being written among them.
        metrics: Where places and refusals are counted.
        clock: Seconds that only grow.
        weight_of: What a tenant's part is in proportion to.
    """

    def __init__(
        self,
        most: int,
        metrics: QuestionMetrics,
        clock: Callable[[], float] = time.monotonic,
        weight_of: Callable[[str], float] = equal_weight,
    ) -> None:
        self._most = most
        self._metrics = metrics
        self._clock = clock
        self._weight_of = weight_of
        self._limit = QuestionLimit(most, clock)
        self._places = FairPlaces(self._places_now, weight_of=weight_of, keeps_one=True, clock=clock)
        self._inside: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        self._mean_seconds = 0.0
        self._last_question = self._last_refusal = -math.inf
        self._idle = asyncio.Event()
        self._idle.set()
        self._bulk = FairPlaces(lambda: 1, weight_of=weight_of, clock=clock)
        self.encoder = FairPlaces(lambda: _BATCHES_IN_FLIGHT, weight_of=weight_of, clock=clock)
        metrics.set_limit(self._limit.allowed)

    @property
    def allowed(self) -> int:
        """How many questions may be worked on at once."""
        return self._places_now()

    @asynccontextmanager
    async def place(
        self, tenant: str, seconds_left: float, waiting: AbstractContextManager[object] = NOTHING_DONE
    ) -> AsyncIterator[Place]:
        """Holds a place for one question while the block runs, or until it is left.

        Args:
            tenant: Whose question it is.
            seconds_left: Until the caller's deadline.
            waiting: What is done while it waits; not entered where there is a place at once.

        Raises:
            Overloaded: There is none soon enough.
        """
        if coming := _comes_in.get():
            coming.end()
        if refusal := self.refusal(tenant, seconds_left):
            raise refusal
        self._count(self._inside, tenant, 1)
        try:
            await self._enter(tenant, seconds_left, waiting)
            begin = self._clock()
            place = Place(lambda: self._leave(tenant, begin), lambda kind: self._observe(kind, self._clock() - begin))
            try:
                yield place
            finally:
                place.leave()
        finally:
            self._count(self._inside, tenant, -1)

    def refusal(self, tenant: str, seconds_left: float = math.inf) -> Overloaded | None:
        """What a question would be told if it came now, counted as told; None if there is a place, or one soon enough.

        Args:
            tenant: Whose question it is.
            seconds_left: Until the caller's deadline.
        """
        if self._inside.total() + self._coming.total() >= self._most:
            inside = self._inside + self._coming
            if inside[tenant] >= part_of(self._most, tenant, inside, self._weight_of):
                return self._refusal(tenant, 1.0)
        places, share = self._places, self._places.share(tenant, self._coming)
        free, line = max(0, share - places.used_by(tenant)), self._coming[tenant] + places.waiting_of(tenant)
        if line < free:
            ahead, rate = places.ahead_of(tenant), self.allowed
            if places.taken < rate or not ahead:
                return None  # there is a place, or the next one is its
        else:
            ahead, rate = line - free, share
        rest = places.rest_share(tenant, self._mean_seconds) if line else 0.0
        expected = (ahead + 1) * self._mean_seconds / rate * (1 + rest)
        longest = min(_LONGEST_WAIT_SECONDS, _WAIT_SHARE * seconds_left)
        if ahead < rate and expected <= longest:
            return None
        return self._refusal(tenant, max(1.0, expected))

    @contextmanager
    def coming(self, tenant: str) -> Iterator[None]:
        """Keeps a place for the question that is read in the block, until it asks for one.

        Without it, whoever is read meanwhile takes the place of one that was let in: it would be refused after all,
        late, and for nothing.
        """
        self._count(self._coming, tenant, 1)
        coming = _Coming(lambda: self._count(self._coming, tenant, -1))
        token = _comes_in.set(coming)
        timer = asyncio.get_running_loop().call_later(_COMING_SECONDS, coming.end)
        try:
            yield
        finally:
            timer.cancel()
            _comes_in.reset(token)
            coming.end()

    @property
    def busy(self) -> bool:
        """Whether there are questions, or were a moment ago."""
        return self._places.taken > 0 or self._clock() - self._last_question < _RECENT_SECONDS

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """A piece of the current tenant's bulk work: at once if nobody asks; else one of all tenants' at a time.

        That one goes between questions, or after some seconds.
        """
        if not self.busy:
            yield
            return
        async with self._bulk.place(current_tenant()):
            await self._yield_to_questions()
            yield

    async def _yield_to_questions(self) -> None:
        """Waits until nobody asks, for a second; if questions are refused, for five."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _LONGEST_YIELD_SECONDS)
            return
        if self._clock() - self._last_refusal < _RECENT_SECONDS:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._idle.wait(), _LONGEST_YIELD_UNDER_OVERLOAD_SECONDS - _LONGEST_YIELD_SECONDS
                )

    async def _enter(self, tenant: str, seconds_left: float, waiting: AbstractContextManager[object]) -> None:
        begin = self._clock()
        self._idle.clear()
        try:
            async with asyncio.timeout(_GIVE_UP_SHARE * seconds_left):
                await self._places.take(tenant, waiting)
        except TimeoutError as error:
            raise self._refusal(tenant, 1.0) from error
        finally:
            self._note_change()
        self._metrics.observe_wait(tenant, self._clock() - begin)

    def _leave(self, tenant: str, begin: float) -> None:
        seconds = self._clock() - begin
        self._mean_seconds += _NEWEST_SHARE * (seconds - self._mean_seconds)
        self._places.give_back(tenant, seconds)
        self._note_change()

    def _places_now(self) -> int:
        return self._limit.allowed_among_tenants if self._places.has_several_tenants else self._limit.allowed

    def _observe(self, kind: Hashable, seconds: float) -> None:
        self._limit.observe(kind, seconds, self._places.taken, is_shared=self._places.has_several_tenants)
        self._metrics.set_limit(self.allowed)

    def _note_change(self) -> None:
        self._last_question = self._clock()
        if self._places.taken:
            self._idle.clear()
        else:
            self._idle.set()

    def _count(self, of: Counter[str], tenant: str, number: int) -> None:
        of[tenant] += number
        if not of[tenant]:
            del of[tenant]
        self._metrics.set_in_flight(self._inside.total())

    def _refusal(self, tenant: str, seconds: float) -> Overloaded:
        self._metrics.count_refused(tenant)
        self._last_refusal = self._clock()
        return Overloaded(
            f"{self._places.held[tenant]} questions are being worked on, and {self._places.waiting_of(tenant)} wait; "
            f"one more would not be answered in time. Try again in {math.ceil(seconds)} s.",
            retry_after_seconds=seconds,
        )
