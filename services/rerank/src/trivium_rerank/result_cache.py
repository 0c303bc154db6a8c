"""Keeps what a model computed, because the same chunks and questions come back."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge

_Value = TypeVar("_Value")

_RESULTS = ("hit", "shared", "miss")


class ResultCache(Generic[_Value]):
    """The results used last, within a bound in bytes. Belongs to one event loop.

    Args:
        max_bytes: Most memory of the entries; 0 keeps none.
        fingerprint: Of the model whose results are kept; part of every key.
        size_of: Roughly what Python needs for an entry, in bytes.
        registry: Where the metrics are registered.
    """

    def __init__(
        self, *, max_bytes: int, fingerprint: str, size_of: Callable[[_Value], int], registry: CollectorRegistry
    ) -> None:
        self._max_bytes = max_bytes
        self._key_seed = hashlib.blake2b(fingerprint.encode(), digest_size=16)
        self._size_of = size_of
        self._entries: OrderedDict[bytes, _Value] = OrderedDict()
        self._bytes = 0
        self._lookups = Counter(
            "trivium_rerank_cache_lookups_total",
            "Texts or pairs looked up among those whose results are kept (hit), or are being computed for another "
            "(shared).",
            ("result",),
            registry=registry,
        )
        for result in _RESULTS:
            self._lookups.labels(result)
        self._size = Gauge("trivium_rerank_cache_bytes", "Memory of the kept results.", registry=registry)

    def key(self, read_as: str, text: str) -> bytes:
        """What the result of a text is kept under, given what else the model's reading depends on."""
        digest = self._key_seed.copy()
        digest.update(f"{len(read_as)} {read_as}{text}".encode())
        return digest.digest()

    def get(self, key: bytes) -> _Value | None:
        """A result, if it is kept."""
        if (value := self._entries.get(key)) is not None:
            self._entries.move_to_end(key)
        return value

    def __contains__(self, key: bytes) -> bool:
        """Whether a result is kept; no use of it."""
        return key in self._entries

    def put(self, key: bytes, value: _Value) -> None:
        """Keeps a result, and lets go of those used longest ago."""
        if key not in self._entries:
            self._entries[key] = value
            self._bytes += self._size_of(value)
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= self._size_of(oldest)
        self._size.set(self._bytes)

    def count_lookups(self, *, hits: int, shared: int, misses: int) -> None:
        """Counts texts or pairs by where their results come from."""
        for result, count in zip(_RESULTS, (hits, shared, misses), strict=True):
            self._lookups.labels(result).inc(count)
