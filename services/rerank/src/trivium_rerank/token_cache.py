"""Keeps the token vectors of passages, because the same chunks come back in query after query."""

import hashlib
from collections import OrderedDict

from prometheus_client import CollectorRegistry, Counter, Gauge

from trivium_rerank.maxsim import PassageTokens

# Roughly what Python needs for an entry beside its arrays.
_ENTRY_BYTES = 600


class TokenCache:
    """The passages used last, within a bound in bytes. Belongs to one event loop.

    Args:
        max_bytes: Most memory of the entries; 0 keeps none.
        fingerprint: Of the model whose vectors are kept; part of every key.
        registry: Where the metrics are registered.
    """

    def __init__(self, *, max_bytes: int, fingerprint: str, registry: CollectorRegistry) -> None:
        self._max_bytes = max_bytes
        self._key_seed = hashlib.blake2b(fingerprint.encode(), digest_size=16)
        self._entries: OrderedDict[bytes, PassageTokens] = OrderedDict()
        self._bytes = 0
        lookups = Counter(
            "trivium_rerank_cache_lookups_total",
            "Passages looked up among those whose token vectors are kept.",
            ("result",),
            registry=registry,
        )
        self._hits, self._misses = lookups.labels("hit"), lookups.labels("miss")
        self._size = Gauge("trivium_rerank_cache_bytes", "Memory of the kept token vectors.", registry=registry)

    def get(self, text: str) -> PassageTokens | None:
        """The tokens of a passage, if they are kept."""
        key = self._key(text)
        tokens = self._entries.get(key)
        if tokens is None:
            self._misses.inc()
            return None
        self._entries.move_to_end(key)
        self._hits.inc()
        return tokens

    def peek(self, text: str) -> PassageTokens | None:
        """The same, without being counted or taken for a use."""
        return self._entries.get(self._key(text))

    def __contains__(self, text: str) -> bool:
        """Whether the tokens of a passage are kept; not counted, and no use."""
        return self.peek(text) is not None

    def put(self, text: str, tokens: PassageTokens) -> None:
        """Keeps the tokens of a passage, and lets go of those used longest ago."""
        key = self._key(text)
        if key not in self._entries:
            self._entries[key] = tokens
            self._bytes += _size_of(tokens)
        while self._bytes > self._max_bytes:
            _, oldest = self._entries.popitem(last=False)
            self._bytes -= _size_of(oldest)
        self._size.set(self._bytes)

    def _key(self, text: str) -> bytes:
        digest = self._key_seed.copy()
        digest.update(text.encode())
        return digest.digest()


def _size_of(tokens: PassageTokens) -> int:
    return tokens.nbytes + _ENTRY_BYTES
