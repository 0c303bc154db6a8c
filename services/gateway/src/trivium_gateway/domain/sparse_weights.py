"""Learned sparse vectors."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["NO_WEIGHTS", "SparseWeights"]


_IDS, _GREATEST = 2**32, 3.4e38
"""Both have 32 bits."""


class SparseWeights(NamedTuple):
    """A learned sparse vector.

    Attributes:
        indices: Ids of words in the model's vocabulary, ascending.
        values: The weight of each, above 0.
    """

    indices: Sequence[int]
    values: Sequence[float]

    def is_possible(self) -> bool:
        """Whether it can be one, whoever it came from."""
        if len(self.indices) != len(self.values):
            return False
        ids = [-1, *self.indices, _IDS]
        return all(one < other for one, other in pairwise(ids)) and all(0 < one < _GREATEST for one in self.values)


NO_WEIGHTS = SparseWeights((), ())
"""That of a text in which the model sees nothing."""
