"""Whether two runs differ by more than chance: a paired randomisation test, and a bootstrapped interval."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

_ROUNDS = 5_000
_RESAMPLES = 1_000
_ALL_SIGNS = 12  # up to so many differences each way of giving them signs is tried


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the second of two runs is on the same questions.

    Attributes:
        before: The mean of the first.
        after: The mean of the second.
        chance: How often so large a difference would come about if there were none (two-sided).
        low: The lower end of its 95% interval.
        high: The upper end.
        count: How many questions both have.
    """

    before: float
    after: float
    chance: float
    low: float
    high: float
    count: int

    @property
    def value(self) -> float:
        """The difference of the means."""
        return self.after - self.before


def compare(before: Sequence[float], after: Sequence[float], *, seed: int = 0) -> Difference:
    """Compares two runs.

    Args:
        before: A value for each question; at least one.
        after: As many, of the same questions.
        seed: Of the chance that is used: the same gives the same.
    """
    differences = [new - old for old, new in zip(before, after, strict=True)]
    count = len(differences)
    changed = [one for one in differences if one]
    chance = random.Random(seed)
    low, high = _interval(changed, count, chance)
    return Difference(math.fsum(before) / count, math.fsum(after) / count, _chance(changed, chance), low, high, count)


def _chance(changed: Sequence[float], chance: random.Random) -> float:
    """How often random signs give a sum as far from 0 (Smucker, Allan and Carterette, CIKM 2007)."""
    if not changed:
        return 1.0
    sizes = [abs(one) for one in changed]
    seen = abs(math.fsum(changed)) - 1e-12
    if len(sizes) <= _ALL_SIGNS:
        signs = range(2 ** len(sizes))
        return sum(abs(_signed(sizes, bits)) >= seen for bits in signs) / len(signs)
    hits = sum(abs(_signed(sizes, chance.getrandbits(len(sizes)))) >= seen for _ in range(_ROUNDS))
    return (hits + 1) / (_ROUNDS + 1)


def _signed(sizes: Sequence[float], bits: int) -> float:
    flags = f"{bits:0{len(sizes)}b}"
    return sum(size if flag == "1" else -size for size, flag in zip(sizes, flags, strict=True))


def _interval(changed: Sequence[float], count: int, chance: random.Random) -> tuple[float, float]:
    """Where 95% of the means of resampled questions lie (bootstrap, percentiles)."""
    if not changed:
        return 0.0, 0.0
    pool = [*changed, *([0.0] * (count - len(changed)))]
    means = sorted(math.fsum(chance.choices(pool, k=count)) / count for _ in range(_RESAMPLES))
    return means[round(0.025 * _RESAMPLES)], means[round(0.975 * _RESAMPLES) - 1]
