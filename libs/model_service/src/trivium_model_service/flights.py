"""Lets equal work that is wanted several times at once be done once (single-flight)."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, Overloaded, TriviumError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence

_Key = TypeVar("_Key", bound="Hashable")
_Value = TypeVar("_Value")

# Errors that say nothing about what was asked for: whoever shares the work gets them.
_SHARED_ERRORS = (FailedPrecondition, Overloaded, Unavailable)


class FlightFailed(Exception):
    """Work failed on one of several things, and it is not known on which; the error is the cause.

    Args:
        keys: What the work was for, in its order.
        error: What it raised.
    """

    def __init__(self, keys: tuple[object, ...], error: TriviumError) -> None:
        super().__init__(error.message)
        self.keys = keys
        self.error = error


class Flights(Generic[_Key, _Value]):
    """Work under way, by what it is for. Belongs to one event loop.

    Work goes on as long as somebody waits for it: the one who started it may leave. Nothing is remembered once it has
    ended.
    """

    def __init__(self) -> None:
        self._under_way: dict[_Key, _Flight[_Key, _Value]] = {}

    def __contains__(self, key: _Key) -> bool:
        """Whether work for a key is under way."""
        return key in self._under_way

    async def get(
        self,
        keys: Sequence[_Key],
        compute: Callable[[Sequence[_Key]], Awaitable[Sequence[_Value]]],
        *,
        deadline: float | None,
    ) -> dict[_Key, _Value]:
        """The values of some keys, each from the work that is under way for it, or else from new work.

        Args:
            keys: The keys, all different.
            compute: Gives the values of keys, in their order; called with those for which nobody works yet, and
                cancelled when all who wait have left.
            deadline: When to give up, on the event loop's clock in seconds; None for never.

        Raises:
            DeadlineExceeded: The deadline passed.
            FailedPrecondition, Overloaded, Unavailable: As `compute` raised them, here or for another caller.
            FlightFailed: `compute` raised another TriviumError.
        """
        values: dict[_Key, _Value] = {}
        wanted = set(keys)
        while missing := [key for key in keys if key not in values]:
            new = [key for key in missing if key not in self._under_way]
            started = _Flight(new, compute, self._under_way) if new else None
            flights = dict.fromkeys(self._under_way[key] for key in missing)
            for flight in await _ended(flights, deadline):
                error = flight.error()
                if error is None:
                    values |= {key: value for key, value in flight.values().items() if key in wanted}
                elif isinstance(error, DeadlineExceeded) and flight is not started:
                    continue  # it was the time of the one who started it; ours is not over
                elif isinstance(error, TriviumError) and not isinstance(error, (*_SHARED_ERRORS, DeadlineExceeded)):
                    raise FlightFailed(flight.keys, error) from error
                else:
                    raise error
        return values


class _Flight(Generic[_Key, _Value]):
    """One call of a function, and those who wait for it."""

    def __init__(
        self,
        keys: Sequence[_Key],
        compute: Callable[[Sequence[_Key]], Awaitable[Sequence[_Value]]],
        under_way: dict[_Key, _Flight[_Key, _Value]],
    ) -> None:
        self.keys = tuple(keys)
        self._under_way = under_way
        self._waiting = 0
        self.task = asyncio.ensure_future(compute(keys))
        self.task.add_done_callback(self._end)
        for key in keys:
            under_way[key] = self

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Keeps the work going while the block runs."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
            if self._waiting == 0 and not self.task.done():
                self._leave_table()  # at once: nobody may join what is being cancelled
                self.task.cancel()

    def error(self) -> BaseException | None:
        """What the work raised."""
        if self.task.cancelled():
            return Unavailable("What computes was stopped. Try again in some seconds.")
        return self.task.exception()

    def values(self) -> dict[_Key, _Value]:
        """The values of the keys."""
        return dict(zip(self.keys, self.task.result(), strict=True))

    def _end(self, task: asyncio.Future[Sequence[_Value]]) -> None:
        self._leave_table()
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more

    def _leave_table(self) -> None:
        for key in self.keys:
            if self._under_way.get(key) is self:
                del self._under_way[key]


async def _ended(
    flights: dict[_Flight[_Key, _Value], None], deadline: float | None
) -> dict[_Flight[_Key, _Value], None]:
    """Waits for work to end, and returns it.

    Raises:
        DeadlineExceeded: The deadline passed before.
    """
    seconds = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
    with ExitStack() as waiting:
        for flight in flights:
            waiting.enter_context(flight.waited_for())
        _, pending = await asyncio.wait([flight.task for flight in flights], timeout=seconds)
    if pending:
        raise DeadlineExceeded("The deadline passed while the texts waited for a worker.")
    return flights
