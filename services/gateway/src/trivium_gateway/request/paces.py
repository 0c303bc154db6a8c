"""How long each stage takes, as measured of late: by that the caller's time is divided over them."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_SAMPLES = 64
_FEWEST_SAMPLES = 8
"""Fewer say nothing: the first questions after a start are slower than those that follow."""
_REMEMBERED_SECONDS = 60.0
_TRIAL_SECONDS = 5.0
"""What nobody has measured for so long is tried again, however slow it was."""
_OF_ALL = 0
_QUICKEST, _TYPICAL, _USUAL = 0.1, 0.5, 0.9

STAGES = ("embed", "search", "rerank", "section", "generate", "extract")
"""What is measured: `generate` is what a language model writes, `extract` what is made of the passages' sentences."""


class Paces:
    """Quantiles of the last times of each stage, by how much it had to do.

    Times are kept by powers of two of the size: what was not measured is expected in proportion to the next larger size
    that was, or else to the next smaller. So a stage with a cost of its own beside its size is tried with less, which
    measures that.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: dict[tuple[str, int], deque[tuple[float, float]]] = {}
        self._newest: dict[str, float] = {}

    def note(self, stage: str, seconds: float, size: int = 1) -> None:
        """Notes how long a stage took.

        Args:
            stage: One of STAGES.
            seconds: How long; of one that was given up, until then.
            size: How much it had to do, at least 1: candidates, or characters.
        """
        now = self._newest[stage] = self._clock()
        for bits, of_one in ((_OF_ALL, seconds), (size.bit_length(), seconds / size)):
            self._samples.setdefault((stage, bits), deque(maxlen=_MOST_SAMPLES)).append((now, of_one))

    def usual(self, stage: str, size: int | None = None) -> float | None:
        """Seconds within which nine of ten ended, of a size or of all; None if too few were measured."""
        return self._seconds(stage, size, _USUAL)

    def typical(self, stage: str, size: int | None = None) -> float | None:
        """Seconds within which half of them ended."""
        return self._seconds(stage, size, _TYPICAL)

    def quickest(self, stage: str, size: int | None = None) -> float | None:
        """Seconds that nine of ten took at least; None, too, if none was measured lately, so that it is tried."""
        if self._clock() - self._newest.get(stage, self._clock()) > _TRIAL_SECONDS:
            return None
        return self._seconds(stage, size, _QUICKEST)

    def fitting(self, stage: str, size: int, seconds: float) -> int:
        """How much of what there is to do would usually be done in a time: `size` if all of it, or if nobody knows.

        Args:
            stage: One of STAGES.
            size: How much there is to do.
            seconds: How long it may take.
        """
        for bits in range(size.bit_length(), 0, -1):
            of_one = self._of_one(stage, bits)
            if of_one is None:
                return size
            count = min(size, (1 << bits) - 1, int(seconds / of_one) if of_one > 0 else size)
            if count >= 1 << (bits - 1):
                return count
        return 0

    def _of_one(self, stage: str, bits: int) -> float | None:
        """Seconds for each unit of sizes with so many bits."""
        samples = self._nearest(stage, bits)
        return _quantile(samples, _USUAL) if samples else None

    def _seconds(self, stage: str, size: int | None, part: float) -> float | None:
        samples = self._of(stage, _OF_ALL) if size is None else self._nearest(stage, size.bit_length())
        return _quantile(samples, part) * (size or 1) if samples else None

    def _nearest(self, stage: str, bits: int) -> Sequence[tuple[float, float]]:
        """The samples of sizes with so many bits, or else of the nearest larger, or else of the nearest smaller."""
        measured = [size for one, size in self._samples if one == stage and size != _OF_ALL and self._of(stage, size)]
        larger, smaller = [size for size in measured if size >= bits], [size for size in measured if size < bits]
        nearest = min(larger) if larger else max(smaller, default=None)
        return () if nearest is None else self._of(stage, nearest)

    def _of(self, stage: str, bits: int) -> Sequence[tuple[float, float]]:
        """What was measured lately, and when; nothing if it was too little to go by."""
        samples = self._samples.get((stage, bits), deque())
        oldest = self._clock() - _REMEMBERED_SECONDS
        while samples and samples[0][0] < oldest:
            samples.popleft()
        return samples if len(samples) >= _FEWEST_SAMPLES else ()


def _quantile(samples: Sequence[tuple[float, float]], part: float) -> float:
    values = sorted(seconds for _, seconds in samples)
    return values[min(len(values) - 1, int(part * len(values)))]
