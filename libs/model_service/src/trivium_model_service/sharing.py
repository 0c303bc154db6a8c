"""Computes nothing twice: neither what is kept, nor what several calls want at once."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from trivium_model_service.flights import FlightFailed, Flights

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from trivium_model_service.result_cache import ResultCache

_Value = TypeVar("_Value")


class Timed(Protocol):
    """Work that says where its time went, in seconds."""

    @property
    def tokenize_seconds(self) -> float:
        """Cutting texts into tokens."""

    @property
    def queue_seconds(self) -> float:
        """Waiting for the model."""

    @property
    def compute_seconds(self) -> float:
        """Inside the model."""


class Times(NamedTuple):
    """Where the time of some work went, in seconds, as `Timed` says."""

    tokenize: float = 0.0
    queue: float = 0.0
    compute: float = 0.0

    @classmethod
    def of(cls, done: Timed) -> Times:
        """What some work says of itself."""
        return cls(done.tokenize_seconds, done.queue_seconds, done.compute_seconds)


class SharedResults(Generic[_Value]):
    """What a model computes of texts, behind a cache.

    Args:
        compute: Computes the results of texts, given how they are read (a role, or a query) and a deadline.
        cache: Keeps them.
    """

    def __init__(
        self,
        compute: Callable[[str, Sequence[str], float | None], Awaitable[tuple[Sequence[_Value], Times]]],
        cache: ResultCache[_Value],
    ) -> None:
        self._compute = compute
        self._cache = cache
        self._flights: Flights[bytes, tuple[_Value, Times]] = Flights()

    def new(self, read_as: str, texts: Sequence[str]) -> list[str]:
        """Those of some texts, each once, whose results are neither kept nor being computed."""
        keys = {self._cache.key(read_as, text): text for text in texts}
        return [text for key, text in keys.items() if key not in self._cache and key not in self._flights]

    async def get(
        self,
        read_as: str,
        texts: Sequence[str],
        deadline: float | None,
        admit: Callable[[Sequence[str]], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> tuple[list[_Value], Times]:
        """The results of texts, in their order, and how long the slowest work for them took.

        Args:
            read_as: What else the model's reading of the texts depends on.
            texts: The texts.
            deadline: When to give up, on the event loop's clock in seconds; None for never.
            admit: Holds a place for a call that has to wait, given the texts that it makes the model read.

        Raises:
            TriviumError: As `compute` or `admit` raised it.
        """
        keys = [self._cache.key(read_as, text) for text in texts]
        found = {key: value for key in keys if (value := self._cache.get(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        new = [text for key, text in missing.items() if key not in self._flights]
        hits = sum(key in found for key in keys)
        self._cache.count_lookups(hits=hits, shared=len(keys) - hits - len(new), misses=len(new))
        if not missing:
            return [found[key] for key in keys], Times()

        async def compute(some: Sequence[bytes]) -> list[tuple[_Value, Times]]:
            values, times = await self._compute(read_as, [missing[key] for key in some], deadline)
            for key, value in zip(some, values, strict=True):
                self._cache.put(key, value)
            return [(value, times) for value in values]

        with admit(new):
            try:
                computed = await self._flights.get(list(missing), compute, deadline=deadline)
            except FlightFailed as failure:
                if failure.keys == tuple(keys):
                    raise failure.error from failure
                # The text at fault may be another call's, or have another place in this one: alone, the call gets the
                # error that is its own, if there is one.
                values, times = await self._compute(read_as, texts, deadline)
                return list(values), times
        found |= {key: value for key, (value, _) in computed.items()}
        slowest = Times(*map(max, zip(*(times for _, times in computed.values()), strict=True)))
        return [found[key] for key in keys], slowest
