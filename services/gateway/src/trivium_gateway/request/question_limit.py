"""How many questions are worked on at once: as many as do not slow each other down, by measured latency."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_FIRST = 16.0
_FEWEST = 2.0
_SLOW = 4.0
"""So many times as long as alone: then more at once only wait for each other, and no more of them are done."""
_SLOW_FOR_OTHERS = 1.5
"""The same where several tenants ask: so the slowest of one's questions take twice as long beside another's flood."""
_LEAST_SECONDS = 0.02
"""Latencies below are all the same: their differences are noise."""
_WINDOW_SAMPLES = 10
_WINDOW_SECONDS = 1.0
_CUT, _DEEPEST_CUT = 0.85, 0.5
"""What is left of a limit that is too high by little, and by much."""
_FORGETTING, _FORGETTING_AMONG_TENANTS = 0.1, 0.01
"""How far the latency alone follows what is measured, per window; of what several tenants ask, little is alone."""


class QuestionLimit:
    """A limit that rises by one while it is used and latency is fine, and falls by a part when it is not (AIMD).

    Fine is what is not much longer than the same kind of question takes alone: what three of four took at least, when
    that was least. That is forgotten slowly while few questions run, or as few as may: then what is measured is what
    questions take.

    Where several tenants ask, there is another limit, which begins with the fewest: nobody is slowed down until it is
    known how many are too many.

    Args:
        most: The largest limit.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(most)
        self._limits = {
            False: min(_FIRST, self._most),
            True: min(_FEWEST, self._most),
        }  # by whether several tenants ask
        self._clock = clock
        self._alone: dict[Hashable, float] = {}
        self._samples: list[tuple[Hashable, float]] = []
        self._peak = 0
        self._is_shared = False
        self._since = clock()

    @property
    def allowed(self) -> int:
        """Questions at once."""
        return int(self._limits[False])

    @property
    def allowed_among_tenants(self) -> int:
        """The same where several tenants ask: never more."""
        return min(int(self._limits[True]), self.allowed)

    def observe(self, kind: Hashable, seconds: float, running: int, *, is_shared: bool = False) -> None:
        """Notes how long one question took.

        Args:
            kind: What takes the same time if nothing else runs; one of few.
            seconds: How long it took.
            running: How many ran when it ended, itself among them.
            is_shared: Whether some of them were of another tenant.
        """
        seconds = max(seconds, _LEAST_SECONDS)
        self._samples.append((kind, seconds))
        self._peak = max(self._peak, running)
        self._is_shared = self._is_shared or is_shared
        if len(self._samples) >= _WINDOW_SAMPLES or self._clock() - self._since >= _WINDOW_SECONDS:
            self._adjust()
            self._samples, self._peak, self._is_shared, self._since = [], 0, False, self._clock()

    def _adjust(self) -> None:
        self._learn()
        limit, fewest = self._limits[self._is_shared], min(_FEWEST, self._most)
        allowed = self.allowed_among_tenants if self._is_shared else self.allowed
        slowness = median(seconds / self._alone[kind] for kind, seconds in self._samples)
        if self._peak <= allowed / 2 or limit <= fewest:
            self._forget()
        slow = _SLOW_FOR_OTHERS if self._is_shared else _SLOW
        if slowness > slow:
            self._limits[self._is_shared] = max(fewest, limit * max(_DEEPEST_CUT, min(_CUT, slow / slowness)))
        elif self._peak >= allowed:
            self._limits[self._is_shared] = min(self._most, limit + 1)

    def _learn(self) -> None:
        for kind, measured in self._measured().items():
            quick = sorted(measured)[len(measured) // 4]  # the very shortest may be one that found little
            self._alone[kind] = min(quick, self._alone.get(kind, quick))

    def _forget(self) -> None:
        for kind, measured in self._measured().items():
            part = _FORGETTING_AMONG_TENANTS if self._is_shared else _FORGETTING
            self._alone[kind] += part * (median(measured) - self._alone[kind])

    def _measured(self) -> dict[Hashable, list[float]]:
        """What was measured in this window, by kind."""
        kinds: dict[Hashable, list[float]] = {}
        for kind, seconds in self._samples:
            kinds.setdefault(kind, []).append(seconds)
        return kinds
