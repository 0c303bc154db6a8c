"""Keeps vectors, because the same questions and passages come back."""

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge
from trivium_encoders import Role

# Roughly what Python needs for an entry beside its vector.
_ENTRY_BYTES = 300
_RESULTS = ("hit", "shared", "miss")


class VectorCache:
    """The vectors used last, within a bound in bytes. Belongs to one event loop.

    Queries and documents have half of the memory each, so that a bulk load does not push the questions out.

    Args:
        max_bytes: Most memory of the entries; 0 keeps none.
        registry: Where the metrics are registered.
    """

    def __init__(self, *, max_bytes: int, registry: CollectorRegistry) -> None:
        self._max_bytes = max_bytes // len(Role)
        self._key_seed = hashlib.blake2b(digest_size=16)
        self._entries: dict[Role, OrderedDict[bytes, tuple[bytes, int]]] = {role: OrderedDict() for role in Role}
        self._bytes = dict.fromkeys(Role, 0)
        self._lookups = Counter(
            "trivium_embed_cache_lookups_total",
            "Texts looked up among those whose vectors are kept (hit), or are being computed for another (shared).",
            ("role", "result"),
            registry=registry,
        )
        for role in Role:
            for result in _RESULTS:
                self._lookups.labels(role.value, result)
        self._size = Gauge("trivium_embed_cache_bytes", "Memory of the kept vectors.", registry=registry)

    def use_model(self, fingerprint: str) -> None:
        """Makes a model's fingerprint part of every key."""
        self._key_seed = hashlib.blake2b(fingerprint.encode(), digest_size=16)

    def key(self, text: str, role: Role, *, truncate: bool) -> bytes:
        """What a text is kept under. One that may be cut is not one that may not: that may have to be refused."""
        digest = self._key_seed.copy()
        digest.update(f"{role.value} {truncate} ".encode())
        digest.update(text.encode())
        return digest.digest()

    def get(self, role: Role, key: bytes) -> tuple[NDArray[np.float32], int] | None:
        """A vector and its number of tokens, if they are kept."""
        entries = self._entries[role]
        if (entry := entries.get(key)) is None:
            return None
        entries.move_to_end(key)
        return np.frombuffer(entry[0], dtype=np.float32), entry[1]

    def put(self, role: Role, key: bytes, vector: NDArray[np.float32], token_count: int) -> None:
        """Keeps a vector, and lets go of those of the role that were used longest ago."""
        entries = self._entries[role]
        if key not in entries:
            entries[key] = (vector.tobytes(), token_count)
            self._bytes[role] += vector.nbytes + _ENTRY_BYTES
        while self._bytes[role] > self._max_bytes:
            _, (oldest, _) = entries.popitem(last=False)
            self._bytes[role] -= len(oldest) + _ENTRY_BYTES
        self._size.set(sum(self._bytes.values()))

    def count_lookups(self, role: Role, *, hits: int, shared: int, misses: int) -> None:
        """Counts texts by where their vectors come from."""
        for result, count in zip(_RESULTS, (hits, shared, misses), strict=True):
            self._lookups.labels(role.value, result).inc(count)
