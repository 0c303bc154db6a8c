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
_SLOW_FOR_OTHERS = 2.0
"""The same where several tenants ask: one of them does not make the others wait as long as it may wait itself."""
_LEAST_SECONDS = 0.05
"""Latencies below are all the same: their differences are noise."""
_WINDOW_SAMPLES = 10
_WINDOW_SECONDS = 1.0
_CUT = 0.85
_FORGETTING = 0.1
"""How far the latency alone follows what is measured, per window."""


class QuestionLimit:
    """A limit that rises by one while it is used and latency is fine, and falls by a part when it is not (AIMD).

    Fine is what is not much longer than the same kind of question takes alone: the shortest that was measured. That is
    forgotten slowly while few questions run, or as few as may: then what is measured is what questions take.

    Args:
        most: The largest limit.
        clock: Seconds that only grow.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(most)
        self._limit = min(_FIRST, self._most)
        self._clock = clock
        self._alone: dict[Hashable, float] = {}
        self._samples: list[tuple[Hashable, float]] = []
        self._peak = 0
        self._is_shared = False
        self._since = clock()

    @property
    def allowed(self) -> int:
        """Questions at once."""
        return int(self._limit)

    @property
    def allowed_among_tenants(self) -> int:
        """The same where several tenants ask: half of them, which take about half of the time."""
        return max(min(int(_FEWEST), self.allowed), self.allowed // 2)

    def observe(self, kind: Hashable, seconds: float, running: int, *, is_shared: bool = False) -> None:
        """Notes how long one question took.

        Args:
            kind: What takes the same time if nothing else runs; one of few.
            seconds: How long it took.
            running: How many ran when it ended, itself among them.
            is_shared: Whether some of them were of another tenant.
        """
        seconds = max(seconds, _LEAST_SECONDS)
        self._alone[kind] = min(seconds, self._alone.get(kind, seconds))
        self._samples.append((kind, seconds))
        self._peak = max(self._peak, running)
        self._is_shared = self._is_shared or is_shared
        if len(self._samples) >= _WINDOW_SAMPLES or self._clock() - self._since >= _WINDOW_SECONDS:
            self._adjust()
            self._samples, self._peak, self._is_shared, self._since = [], 0, False, self._clock()

    def _adjust(self) -> None:
        allowed = self.allowed_among_tenants if self._is_shared else self.allowed
        slowness = median(seconds / self._alone[kind] for kind, seconds in self._samples)
        if self._peak <= allowed / 2 or self._limit <= min(_FEWEST, self._most):
            self._forget()
        if slowness > (_SLOW_FOR_OTHERS if self._is_shared else _SLOW):
            self._limit = max(min(_FEWEST, self._most), self._limit * _CUT)
        elif self._peak >= allowed:
            self._limit = min(self._most, self._limit + 1)

    def _forget(self) -> None:
        for kind in {kind for kind, _ in self._samples}:
            measured = median(seconds for one, seconds in self._samples if one == kind)
            self._alone[kind] += _FORGETTING * (measured - self._alone[kind])
