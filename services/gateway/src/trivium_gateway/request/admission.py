"""Who is let in: questions as they can be answered in time, bulk work behind them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, Overloaded
from trivium_serving.request_context import caller_timeout

from trivium_gateway.request.question_limit import QuestionLimit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Iterator

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
    elsewhere.

    Args:
        most: Most questions at once, those that are already being written among them.
        metrics: Where places and refusals are counted.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, metrics: QuestionMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._metrics = metrics
        self._clock = clock
        self._limit = QuestionLimit(most, clock)
        self._inside = 0
        self._coming = 0
        self._working = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._mean_seconds = 0.0
        self._last_question = self._last_refusal = -math.inf
        self._idle = asyncio.Event()
        self._idle.set()
        self._bulk = asyncio.Lock()
        metrics.set_limit(self._limit.allowed)

    @property
    def allowed(self) -> int:
        """How many questions may be worked on at once."""
        return self._limit.allowed

    @asynccontextmanager
    async def place(self, seconds_left: float) -> AsyncIterator[Place]:
        """Holds a place for one question while the block runs, or until it is left.

        Args:
            seconds_left: Until the caller's deadline.

        Raises:
            Overloaded: There is none soon enough.
        """
        if coming := _comes_in.get():
            coming.end()
        if refusal := self.refusal(seconds_left):
            raise refusal
        self._count_inside(1)
        try:
            await self._enter(seconds_left)
            begin = self._clock()
            place = Place(lambda: self._leave(begin), lambda kind: self._observe(kind, self._clock() - begin))
            try:
                yield place
            finally:
                place.leave()
        finally:
            self._count_inside(-1)

    def refusal(self, seconds_left: float = math.inf) -> Overloaded | None:
        """What a question would be told if it came now, counted as told; None if there is a place, or one soon enough.

        Args:
            seconds_left: Until the caller's deadline.
        """
        if self._inside + self._coming >= self._most:
            return self._refusal(1.0)
        free = max(0, self._limit.allowed - self._working)
        waiting = max(0, len(self._queue) + self._coming - free)
        if free and not self._queue and self._coming < free:
            return None
        expected = (waiting + 1) * self._mean_seconds / self._limit.allowed
        longest = min(_LONGEST_WAIT_SECONDS, _WAIT_SHARE * seconds_left)
        if waiting < self._limit.allowed and expected <= longest:
            return None
        return self._refusal(max(1.0, expected))

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Keeps a place for the question that is read in the block, until it asks for one.

        Without it, whoever is read meanwhile takes the place of one that was let in: it would be refused after all,
        late, and for nothing.
        """
        self._coming += 1
        coming = _Coming(self._forget_coming)
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
        return self._working > 0 or self._clock() - self._last_question < _RECENT_SECONDS

    @asynccontextmanager
    async def bulk(self) -> AsyncIterator[None]:
        """A piece of bulk work: at once if nobody asks; else one at a time, between questions or after some seconds."""
        if not self.busy:
            yield
            return
        async with self._bulk:
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

    async def _enter(self, seconds_left: float) -> None:
        if self._is_free():
            self._change(1)
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            async with asyncio.timeout(_GIVE_UP_SHARE * seconds_left):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._change(-1)  # its turn had come
            elif turn in self._queue:
                self._queue.remove(turn)
            self._let_in()
            if isinstance(error, TimeoutError):
                raise self._refusal(1.0) from error
            raise

    def _is_free(self) -> bool:
        return self._working < self._limit.allowed and not self._queue

    def _leave(self, begin: float) -> None:
        self._mean_seconds += _NEWEST_SHARE * (self._clock() - begin - self._mean_seconds)
        self._change(-1)
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._working < self._limit.allowed:
            turn = self._queue.popleft()
            if not turn.done():
                self._change(1)
                turn.set_result(None)

    def _observe(self, kind: Hashable, seconds: float) -> None:
        self._limit.observe(kind, seconds, self._working)
        self._metrics.set_limit(self._limit.allowed)

    def _change(self, working: int) -> None:
        self._working += working
        self._last_question = self._clock()
        if self._working:
            self._idle.clear()
        else:
            self._idle.set()

    def _forget_coming(self) -> None:
        self._coming -= 1

    def _count_inside(self, number: int) -> None:
        self._inside += number
        self._metrics.set_in_flight(self._inside)

    def _refusal(self, seconds: float) -> Overloaded:
        self._metrics.count_refused()
        self._last_refusal = self._clock()
        return Overloaded(
            f"{self._working} questions are being worked on, and {len(self._queue)} wait; one more would not be "
            f"answered in time. Try again in {math.ceil(seconds)} s.",
            retry_after_seconds=seconds,
        )


class CallLimit:
    """Bounds calls of another kind, such as ingestion: so many at once, more are refused, and each has its time.

    Args:
        what: Them, for messages.
        most: Most at once.
        longest_seconds: Longest time of one; a shorter deadline of the caller goes before.
    """

    def __init__(self, what: str, most: int, longest_seconds: float) -> None:
        self._what = what
        self._most = most
        self._longest_seconds = longest_seconds
        self._running = 0

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Runs the block as one call.

        Raises:
            Overloaded: There is no place for it.
            DeadlineExceeded: Its time is over.
        """
        if self._running >= self._most:
            raise Overloaded(f"{self._running} {self._what} run, which is the limit. Try again shortly.")
        asked = caller_timeout()
        seconds = self._longest_seconds if asked is None else min(asked, self._longest_seconds)
        self._running += 1
        try:
            async with asyncio.timeout(seconds) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"The call was not done within {seconds:g} s. Allow it more time.") from error
        finally:
            self._running -= 1
