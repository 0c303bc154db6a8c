"""Keeps what a model computed, because the same texts come back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Generic, TypeVar

from cachetools import LRUCache
from prometheus_client import Counter, Gauge
from trivium_serving.request_context import tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client import CollectorRegistry

_Value = TypeVar("_Value")

_RESULTS = ("hit", "shared", "miss")


class CacheMetrics:
    """What a service's caches are asked for, and how much memory they take.

    Args:
        service: The service's short name.
        registry: Where the metrics are registered.
        roles: What the caches are for, if there is one for each role; else the metric has no such label.
    """

    def __init__(self, service: str, registry: CollectorRegistry, roles: Sequence[str] = ()) -> None:
        labels = ("role", "result") if roles else ("result",)
        self._lookups = Counter(
            f"trivium_{service}_cache_lookups_total",
            "Lookups of results, by whether they are kept (hit), being computed for another (shared), or neither.",
            labels,
            registry=registry,
        )
        for role in roles or ("",):
            self.count_lookups(role, hits=0, shared=0, misses=0)
        self._size = Gauge(f"trivium_{service}_cache_bytes", "Memory of the kept results.", registry=registry)

    def count_lookups(self, role: str, *, hits: int, shared: int, misses: int) -> None:
        """Counts lookups in the cache of a role; of the role "" where there are none."""
        place = (role,) if role else ()
        for result, count in zip(_RESULTS, (hits, shared, misses), strict=True):
            self._lookups.labels(*place, result).inc(count)

    def grown(self, byte_count: float) -> None:
        """Counts memory that is taken, or given back."""
        self._size.inc(byte_count)


class ResultCache(Generic[_Value]):
    """The results used last, within a bound in bytes. Belongs to one event loop.

    Each tenant has its own: how quick an answer comes must not tell one what another has sent.

    Args:
        max_bytes: Most memory of the entries; 0 keeps none.
        fingerprint: Of the model whose results are kept; part of every key.
        size_of: Roughly what Python needs for an entry, in bytes.
        metrics: What is counted.
        role: What the cache is for, as the metrics call it; empty if it is the service's only one.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        fingerprint: str,
        size_of: Callable[[_Value], int],
        metrics: CacheMetrics,
        role: str = "",
    ) -> None:
        self._key_seed = hashlib.blake2b(fingerprint.encode(), digest_size=16)
        self._entries: LRUCache[bytes, _Value] = LRUCache(max_bytes, getsizeof=size_of)
        self._metrics = metrics
        self._role = role

    def key(self, read_as: str, text: str) -> bytes:
        """What the current tenant's result of a text is kept under, given what else the model's reading depends on."""
        digest = self._key_seed.copy()
        digest.update(f"{tenant()} {len(read_as)} {read_as}{text}".encode())
        return digest.digest()

    def get(self, key: bytes) -> _Value | None:
        """A result, if it is kept."""
        return self._entries.get(key)

    def __contains__(self, key: bytes) -> bool:
        """Whether a result is kept; no use of it."""
        return key in self._entries

    def put(self, key: bytes, value: _Value) -> None:
        """Keeps a result, and lets go of those used longest ago; one that is larger than the bound is not kept."""
        if self._entries.getsizeof(value) > self._entries.maxsize:
            return
        before = self._entries.currsize
        self._entries[key] = value
        self._metrics.grown(self._entries.currsize - before)

    def count_lookups(self, *, hits: int, shared: int, misses: int) -> None:
        """Counts lookups by where their results come from."""
        self._metrics.count_lookups(self._role, hits=hits, shared=shared, misses=misses)
