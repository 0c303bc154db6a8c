"""Computes no vector twice: neither those that are kept, nor those that several calls want at once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import CodeForm, Encoded, Priority, Role, SparseVector
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_model_service.sharing import SharedResults, Times

from trivium_embed.backends.base import EmbeddingBackend

# Roughly what Python needs for an entry beside its vector.
_ENTRY_BYTES = 300
# A text that may be cut is not one that may not: that one may have to be refused.
_CUT, _WHOLE = "cut", "whole"
_SPARSE = "sparse"


class _Vector(NamedTuple):
    """What is kept of a text."""

    numbers: NDArray[np.float32]
    token_count: int
    token_codes: bytes
    sparse: SparseVector | None

    @property
    def nbytes(self) -> int:
        sparse = self.sparse.nbytes if self.sparse else 0
        return self.numbers.nbytes + len(self.token_codes) + sparse + _ENTRY_BYTES


class SharedEmbedding:
    """A backend behind a cache.

    Queries and documents have half of the memory each, so that a bulk load does not push the questions out.

    Args:
        backend: Computes vectors.
        cache_bytes: Most memory of the kept vectors; 0 keeps none.
        metrics: What is counted, by role.
        sparse_terms: Most terms of a learned sparse vector: the heaviest.
    """

    def __init__(
        self, backend: EmbeddingBackend, cache_bytes: int, metrics: CacheMetrics, *, sparse_terms: int
    ) -> None:
        self._backend = backend
        self._sparse_terms = sparse_terms
        self._shared: dict[tuple[Role, Priority], SharedResults[_Vector]] = {}
        for role in Role:
            cache = ResultCache[_Vector](
                max_bytes=cache_bytes // len(Role),
                fingerprint=backend.info.fingerprint,
                size_of=lambda vector: vector.nbytes,
                metrics=metrics,
                role=role.value,
            )
            # A call that must not wait does not wait for bulk work.
            for priority in Priority:
                self._shared[role, priority] = SharedResults(partial(self._compute, role, priority), cache)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        role: Role,
        truncate: bool,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None,
        sparse: bool,
        admit: Callable[[Sequence[str]], AbstractContextManager[None]],
    ) -> Encoded:
        """Embeds texts, as `EmbeddingBackend.embed` says.

        Args:
            texts: The texts, none of them blank.
            role: What they are for.
            truncate: Cut a text that is longer than the model reads, instead of refusing the call.
            priority: Which waiting work goes first.
            deadline: When to give up, on the event loop's clock in seconds; None for never.
            codes: In which form to give the vectors of the texts' tokens as well; None for none.
            sparse: Whether to give learned sparse vectors as well.
            admit: Holds a place for a call that has to wait, given the texts that it makes the backend compute.

        Raises:
            Overloaded: `admit` has no place.
        """
        shared = self._shared[role, priority]
        made = codes or self._unasked_codes(role)
        read_as = f"{_CUT if truncate else _WHOLE} {made.name if made else ''} {_SPARSE if sparse else ''}"
        vectors, times = await shared.get(read_as, texts, deadline, admit)
        return Encoded(
            np.stack([vector.numbers for vector in vectors]),
            [vector.token_count for vector in vectors],
            *times,
            token_codes=[vector.token_codes for vector in vectors] if codes else None,
            sparse=[vector.sparse for vector in vectors if vector.sparse] if sparse else None,
        )

    def _unasked_codes(self, role: Role) -> CodeForm | None:
        """The codes that are made though nobody asked: those of a query, which the next caller may want, are small."""
        return CodeForm.BYTES if role is Role.QUERY and self._backend.info.token_fingerprint else None

    async def _compute(
        self, role: Role, priority: Priority, read_as: str, texts: Sequence[str], deadline: float | None
    ) -> tuple[list[_Vector], Times]:
        cut, form, sparse = read_as.split(" ")
        encoded = await self._backend.embed(
            texts,
            role=role,
            truncate=cut == _CUT,
            priority=priority,
            deadline=deadline,
            codes=CodeForm[form] if form else None,
            sparse=bool(sparse),
        )
        codes = encoded.token_codes or [b""] * len(texts)
        weighed: list[SparseVector | None] = [None] * len(texts)
        if encoded.sparse:
            weighed = [vector.heaviest(self._sparse_terms) for vector in encoded.sparse]
        # Copies: a vector that is kept must not keep those of its batch.
        rows = zip((row.copy() for row in encoded.vectors), encoded.token_counts, codes, weighed, strict=True)
        return [_Vector(*row) for row in rows], Times.of(encoded)
