"""What is left of each limit: buckets in memory, by the clock on the wall, so that they survive a restart."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import QuotaExceeded, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trivium_gateway.metering.kinds import Kind, Rate

_LONGEST_SECONDS = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call wants of one limit.

    Attributes:
        bucket: Name of the bucket.
        whose: Whose limit it is, in words.
        kind: What is limited.
        rate: How much there may be of it.
        need: How much the call takes; 0 if that is known only once it is done, for which something has to be left.
    """

    bucket: str
    whose: str
    kind: Kind
    rate: Rate
    need: int

    def is_there(self, level: float) -> bool:
        """Whether enough is left at a level."""
        return level >= self.need if self.need else level > 0

    def standing(self, level: float) -> Standing:
        """How the limit stands at a level."""
        amount = self.rate.amount
        reset = (amount - level) * self.rate.seconds / amount if amount else _LONGEST_SECONDS
        return Standing(amount, max(0, math.floor(level)), math.ceil(min(_LONGEST_SECONDS, reset)))

    def refusal(self, level: float) -> QuotaExceeded:
        """The error for a call for which too little is left."""
        amount, seconds = self.rate.amount, self.rate.seconds
        missing = max(self.need, 1) - level
        wait = min(_LONGEST_SECONDS, missing * seconds / amount) if amount else _LONGEST_SECONDS
        when = f"Try again in {math.ceil(wait)} s" if amount else "Nothing is allowed"
        return QuotaExceeded(
            f"{self.whose} may use {self.rate} of {self.kind.value}, and has. {when}, or ask whoever runs the gateway "
            "for more.",
            standing=self.standing(level),
            retry_after_seconds=max(1.0, wait),
        )


@dataclass(slots=True)
class Bucket:
    """What is left of one limit.

    Attributes:
        amount: How much it holds.
        level: What was left at a moment; below 0 if calls took more than was left, which is known only afterwards.
        at: The moment, in seconds since 1970.
    """

    amount: float
    level: float
    at: float

    def refill(self, rate: Rate, now: float) -> float:
        """Fills it up to a moment, and to another size if the limit has changed.

        Returns:
            What is left.
        """
        passed = max(0.0, now - self.at)  # somebody may set the clock back
        filled = self.level + rate.amount - self.amount + passed * rate.amount / rate.seconds
        self.amount, self.level, self.at = rate.amount, min(rate.amount, filled), now
        return self.level


class Buckets:
    """Buckets by name. Belongs to one event loop.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._changed: set[str] = set()

    def levels(self, wanted: Iterable[Wanted]) -> list[float]:
        """What is left of some limits."""
        return [self._level(one.bucket, one.rate) for one in wanted]

    def take(self, wanted: Iterable[Wanted]) -> None:
        """Takes what calls need, there or not."""
        for one in wanted:
            if one.need:
                self.spend(one.bucket, one.rate, one.need)

    def spend(self, name: str, rate: Rate, amount: int) -> None:
        """Takes from a bucket what was used, there or not."""
        self._level(name, rate)
        self._buckets[name].level -= amount
        self._changed.add(name)

    def lower(self, wanted: Sequence[Wanted], levels: Sequence[float]) -> None:
        """Takes over what somebody else knows to be left, who may not know yet all that was taken here."""
        for one, level in zip(wanted, levels, strict=True):
            if level < self._level(one.bucket, one.rate):
                self._buckets[one.bucket].level = level

    def load(self, kept: Mapping[str, Bucket]) -> None:
        """Takes over what was kept."""
        self._buckets.update(kept)

    def changed(self) -> dict[str, Bucket]:
        """Those that have changed since this was asked before."""
        changed, self._changed = self._changed, set()
        return {name: replace(self._buckets[name]) for name in changed}

    def _level(self, name: str, rate: Rate) -> float:
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = Bucket(rate.amount, rate.amount, now)
        return bucket.refill(rate, now)


def first_refusal(wanted: Sequence[Wanted], levels: Sequence[float]) -> QuotaExceeded | None:
    """The error for a call, if not all of what it wants is there."""
    for one, level in zip(wanted, levels, strict=True):
        if not one.is_there(level):
            return one.refusal(level)
    return None
