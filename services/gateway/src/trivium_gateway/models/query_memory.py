"""Remembers what the embedding model made of queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trivium_gateway.caching.shares import Shares
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.models.long_queries import LongQuery


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query's vector.

    Attributes:
        vector: `dimension` numbers.
        token_count: Tokens of the query as the model read it.
        cached: Whether it was remembered from an earlier call.
        read_share: What share of the query's letters the model can read, from 0 to 1; 1 if it does not say.
        token_codes: The vectors of its tokens, packed, for a reranker of the same model; empty if there are none.
        long: Its parts, if it is longer than the model reads at a time; the vector is put together from theirs.
        learned: Its learned sparse vector, of as much as that model reads; None if none was asked for or there is none.
    """

    vector: Sequence[float]
    token_count: int
    cached: bool
    read_share: float = 1.0
    token_codes: bytes = b""
    long: LongQuery | None = None
    learned: SparseWeights | None = None


class QueryMemory:
    """The vectors of the queries that each reader used last: nobody learns what others asked, or that they did.

    Args:
        max_bytes: How much memory they may take; 0 to remember none.
        count: Told of each look whether it was a `hit` or a `miss`.
    """

    def __init__(self, max_bytes: int = 8 * 1024 * 1024, count: Callable[[str], None] = lambda _: None) -> None:
        self._entries: Shares[tuple[Reader, str, str, bool], _Remembered] = Shares(max_bytes)
        self._count = count

    @property
    def byte_count(self) -> float:
        """About how much memory they take."""
        return float(self._entries.byte_count)

    def get(self, reader: Reader, fingerprint: str, text: str, *, with_codes: bool) -> QueryVector | None:
        """The vector that a model made of a reader's query, if it is remembered as it was asked for."""
        if not self._entries.most_bytes:
            return None
        entry = self._entries.get(reader.tenant, (reader, fingerprint, text, True))
        if entry is None and not with_codes:
            entry = self._entries.get(reader.tenant, (reader, fingerprint, text, False))
        self._count("miss" if entry is None else "hit")
        if entry is None:
            return None
        return replace(entry.made, vector=entry.vector.tolist(), cached=True)

    def put(
        self,
        reader: Reader,
        fingerprint: str,
        text: str,
        vector: NDArray[np.float32],
        made: QueryVector,
        *,
        with_codes: bool,
    ) -> None:
        """Remember what a model made of a query; what takes too much memory is not."""
        # The vector as an array, which takes a tenth of what a list of numbers does.
        entry = _Remembered(text, vector, replace(made, vector=()))
        self._entries.put(reader.tenant, (reader, fingerprint, text, with_codes), entry, entry.byte_count())


class _Remembered(NamedTuple):
    """A query that was embedded."""

    text: str
    vector: NDArray[np.float32]
    made: QueryVector

    def byte_count(self) -> int:
        # A string has up to four bytes a character, and one that was cut into parts is there twice; the rest is what
        # Python needs around it.
        texts = 4 * len(self.text) * (2 if self.made.long else 1)
        return texts + self.vector.nbytes + len(self.made.token_codes) + 512
