"""Computes no vector twice: neither those that are kept, nor those that several calls want at once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import Encoded, Priority, Role
from trivium_model_service.flights import FlightFailed, Flights

from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.vector_cache import VectorCache


@dataclass(frozen=True, slots=True)
class _Row:
    """One vector of what was computed together."""

    encoded: Encoded
    index: int


class SharedEmbedding:
    """A backend behind a cache.

    Args:
        backend: Computes vectors.
        cache: Keeps them.
    """

    def __init__(self, backend: EmbeddingBackend, cache: VectorCache) -> None:
        self._backend = backend
        self._cache = cache
        # A call that must not wait does not wait for bulk work.
        self._flights: dict[Priority, Flights[bytes, _Row]] = {priority: Flights() for priority in Priority}
        cache.use_model(backend.info.fingerprint)

    async def embed(
        self,
        texts: Sequence[str],
        *,
        role: Role,
        truncate: bool,
        priority: Priority,
        deadline: float | None,
        admit: Callable[[Sequence[str]], AbstractContextManager[None]],
    ) -> Encoded:
        """Embeds texts, as `EmbeddingBackend.embed` says.

        Args:
            texts: The texts, none of them blank.
            role: What they are for.
            truncate: Cut a text that is longer than the model reads, instead of refusing the call.
            priority: Which waiting work goes first.
            deadline: When to give up, on the event loop's clock in seconds; None for never.
            admit: Holds a place for a call that has to wait, given the texts that it makes the backend compute.

        Raises:
            Overloaded: `admit` has no place.
        """
        flights = self._flights[priority]
        keys = [self._cache.key(text, role, truncate=truncate) for text in texts]
        kept = {key: entry for key in keys if (entry := self._cache.get(role, key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in kept}
        new = [text for key, text in missing.items() if key not in flights]
        hit_count = sum(key in kept for key in keys)
        self._cache.count_lookups(role, hits=hit_count, shared=len(texts) - hit_count - len(new), misses=len(new))

        if not missing:
            return _assembled(keys, kept, {})

        async def compute(some: Sequence[bytes]) -> list[_Row]:
            encoded = await self._backend.embed(
                [missing[key] for key in some], role=role, truncate=truncate, priority=priority, deadline=deadline
            )
            for index, key in enumerate(some):
                self._cache.put(role, key, encoded.vectors[index], encoded.token_counts[index])
            return [_Row(encoded, index) for index in range(len(some))]

        with admit(new):
            try:
                rows = await flights.get(list(missing), compute, deadline=deadline)
            except FlightFailed as failure:
                if failure.keys == tuple(keys):
                    raise failure.error from failure
                # The text at fault may be another call's, or have another place in this one: alone, the call gets the
                # error that is its own, if there is one.
                return await self._backend.embed(
                    texts, role=role, truncate=truncate, priority=priority, deadline=deadline
                )
        return _assembled(keys, kept, rows)


def _assembled(
    keys: Sequence[bytes], kept: dict[bytes, tuple[NDArray[np.float32], int]], rows: dict[bytes, _Row]
) -> Encoded:
    """The vectors of a call, and how long the slowest work for it took."""
    computed = list({id(row.encoded): row.encoded for row in rows.values()}.values())
    if len(computed) == 1 and [rows[key].index if key in rows else -1 for key in keys] == list(
        range(len(computed[0].token_counts))
    ):
        return computed[0]
    found = dict(kept)
    for key, row in rows.items():
        found[key] = (row.encoded.vectors[row.index], row.encoded.token_counts[row.index])
    return Encoded(
        vectors=np.stack([found[key][0] for key in keys]),
        token_counts=[found[key][1] for key in keys],
        tokenize_seconds=max((encoded.tokenize_seconds for encoded in computed), default=0.0),
        queue_seconds=max((encoded.queue_seconds for encoded in computed), default=0.0),
        compute_seconds=max((encoded.compute_seconds for encoded in computed), default=0.0),
    )
