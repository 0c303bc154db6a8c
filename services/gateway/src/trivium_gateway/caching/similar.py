"""Finds, among queries that were asked, one that means nearly the same."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_OVERHEAD_BYTES = 600
_MOST_OF_ONE = 2_000
"""Queries that are compared at a time: in a millisecond."""
_EXACT = re.compile(r"\d[\d.,:/-]*|[\"“”„«»].*?[\"“”„«»]|(?<!\S)-\S+")
"""What vectors hardly see and answers turn on: numbers, phrases, and words that must not occur."""


class _Asked(NamedTuple):
    text: str
    vector: NDArray[np.float32]


class SimilarQueries:
    """The vectors of queries that results are cached of, by all else that these depend on.

    Args:
        least: The cosine similarity from which two queries mean the same; 0 if none but the same do.
        most_bytes: How much memory they may take.
    """

    def __init__(self, least: float, most_bytes: int) -> None:
        self._least = least
        self._most_bytes = most_bytes
        self._families: OrderedDict[str, OrderedDict[str, _Asked]] = OrderedDict()
        self._byte_count = 0

    @property
    def is_on(self) -> bool:
        """Whether similar queries are looked for at all."""
        return self._least > 0

    def find(self, family: str, text: str, vector: Sequence[float]) -> str | None:
        """The text of the most similar query; None if none means the same.

        Args:
            family: Names all that the result depends on beside the query.
            text: The query.
            vector: Its vector, of length 1.
        """
        asked = self._families.get(family)
        if not asked:
            return None
        self._families.move_to_end(family)
        exact = sorted(_EXACT.findall(text))
        among = [one for one in asked.values() if sorted(_EXACT.findall(one.text)) == exact]
        if not among:
            return None
        cosines = np.stack([one.vector for one in among]) @ np.asarray(vector, np.float32)
        best = int(cosines.argmax())
        return among[best].text if cosines[best] >= self._least else None

    def add(self, family: str, text: str, vector: Sequence[float]) -> None:
        """Notes a query whose result is cached."""
        asked = self._families.setdefault(family, OrderedDict())
        self._families.move_to_end(family)
        self._drop(family, text)
        asked[text] = _Asked(text, np.asarray(vector, np.float32))
        self._byte_count += _bytes_of(asked[text])
        if len(asked) > _MOST_OF_ONE:
            self._drop(family, next(iter(asked)))
        while self._byte_count > self._most_bytes:
            oldest, queries = next(iter(self._families.items()))
            if queries:
                self._drop(oldest, next(iter(queries)))
            if not queries:
                del self._families[oldest]

    def _drop(self, family: str, text: str) -> None:
        if (gone := self._families[family].pop(text, None)) is not None:
            self._byte_count -= _bytes_of(gone)


def _bytes_of(one: _Asked) -> int:
    return 4 * len(one.text) + one.vector.nbytes + _OVERHEAD_BYTES
