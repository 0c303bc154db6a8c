"""Tells a loss from noise: which changes of some signs against their reference are more than chance makes."""

from __future__ import annotations

import math
from dataclasses import dataclass

SMALLEST_CHANCE = 0.05
_RISING = "-=+"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the signs of a leg.

    Attributes:
        lost: How many are worse than they were.
        won: How many are better.
    """

    lost: int
    won: int

    @property
    def chance(self) -> float:
        """How likely so many losses are if each change were as often a gain: the binomial tail at one half."""
        changed = self.lost + self.won
        return math.ldexp(sum(math.comb(changed, losses) for losses in range(self.lost, changed + 1)), -changed)

    @property
    def is_loss(self) -> bool:
        """Whether that is more than noise."""
        return self.chance < SMALLEST_CHANCE


def change(before: str, now: str) -> Change:
    """Compares signs with those of the same pairs before.

    Args:
        before: A sign for each pair: `+` right, `=` level, `-` wrong.
        now: As many.
    """
    steps = [_RISING.index(new) - _RISING.index(old) for old, new in zip(before, now, strict=True)]
    return Change(sum(step < 0 for step in steps), sum(step > 0 for step in steps))
