"""Computes nothing twice: neither what is kept, nor what several calls want at once."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from trivium_encoders import Scored, TokenMatrices
from trivium_model_service.flights import FlightFailed, Flights

from trivium_rerank.result_cache import ResultCache

_Value = TypeVar("_Value")


class Times(NamedTuple):
    """Where the time of some work went, in seconds, as `Scored` says."""

    tokenize: float = 0.0
    queue: float = 0.0
    compute: float = 0.0

    @classmethod
    def of(cls, done: Scored | TokenMatrices) -> "Times":
        """What an encoder says of its work."""
        return cls(done.tokenize_seconds, done.queue_seconds, done.compute_seconds)


class SharedResults(Generic[_Value]):
    """What a model computes of texts, behind a cache.

    Args:
        compute: Computes the results of texts, given how they are read (a role, or a query) and a deadline.
        cache: Keeps them.
        at_a_time: Most texts that a call has computed at a time.
    """

    def __init__(
        self,
        compute: Callable[[str, Sequence[str], float | None], Awaitable[tuple[Sequence[_Value], Times]]],
        cache: ResultCache[_Value],
        *,
        at_a_time: int = sys.maxsize,
    ) -> None:
        self._compute = compute
        self._cache = cache
        self._at_a_time = at_a_time
        self._flights: Flights[bytes, tuple[_Value, Times]] = Flights()

    def new(self, read_as: str, texts: Sequence[str]) -> list[str]:
        """Those of some texts, each once, whose results are neither kept nor being computed."""
        keys = {self._cache.key(read_as, text): text for text in texts}
        return [text for key, text in keys.items() if key not in self._cache and key not in self._flights]

    async def get(self, read_as: str, texts: Sequence[str], deadline: float | None) -> tuple[list[_Value], Times]:
        """The results of texts, in their order, and how long the slowest work for them took.

        Raises:
            TriviumError: As the computing function raised it.
        """
        keys = [self._cache.key(read_as, text) for text in texts]
        found = self._kept(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        hits = sum(key in found for key in keys)
        misses = sum(key not in self._flights for key in missing)
        self._cache.count_lookups(hits=hits, shared=len(keys) - hits - misses, misses=misses)

        async def compute(some: Sequence[bytes]) -> list[tuple[_Value, Times]]:
            values, times = await self._compute(read_as, [missing[key] for key in some], deadline)
            for key, value in zip(some, values, strict=True):
                self._cache.put(key, value)
            return [(value, times) for value in values]

        took = Times()
        waiting = list(missing)
        for first in range(0, len(waiting), self._at_a_time):
            some = waiting[first : first + self._at_a_time]
            found |= self._kept(some)  # another call may have had them computed meanwhile
            some = [key for key in some if key not in found]
            try:
                computed = await self._flights.get(some, compute, deadline=deadline)
            except FlightFailed as failure:
                if failure.keys == tuple(some):
                    raise failure.error from failure
                # The text at fault may be another call's.
                computed = dict(zip(some, await compute(some), strict=True))
            found |= {key: value for key, (value, _) in computed.items()}
            slowest = map(max, zip(Times(), *(times for _, times in computed.values()), strict=True))
            took = Times(*map(sum, zip(took, slowest, strict=True)))
        return [found[key] for key in keys], took

    def _kept(self, keys: Sequence[bytes]) -> dict[bytes, _Value]:
        return {key: value for key in keys if (value := self._cache.get(key)) is not None}
