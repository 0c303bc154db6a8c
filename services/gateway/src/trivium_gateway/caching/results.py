"""A cache of one kind of results."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Gauge

from trivium_gateway.caching.coding import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from trivium_gateway.caching.coding import Coding
    from trivium_gateway.caching.store import CacheStore, Result
    from trivium_gateway.domain.readers import Reader

_logger = logging.getLogger(__name__)

CACHES = ("query", "retrieval", "answer")
OUTCOMES = ("hit", "similar", "stale", "miss")


class CacheMetrics:
    """How often each cache has what is asked for.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lookups = Counter(
            "trivium_gateway_cache_lookups_total",
            "What was looked for in each cache, by what came of it.",
            ("cache", "outcome"),
            registry=registry,
        )
        self._bytes = Gauge(
            "trivium_gateway_cache_bytes",
            "About how much memory cached vectors of queries, and cached results, take.",
            ("content",),
            registry=registry,
        )
        self._errors = Counter(
            "trivium_gateway_cache_errors_total", "Times that the Redis of the cache did not answer.", registry=registry
        )
        for cache in CACHES:
            for outcome in OUTCOMES:
                self._lookups.labels(cache, outcome)
        for content in ("queries", "results"):
            self._bytes.labels(content)

    def count(self, cache: str, outcome: str) -> None:
        """Counts that one of CACHES was asked: one of OUTCOMES."""
        self._lookups.labels(cache, outcome).inc()

    def count_error(self) -> None:
        """Counts that Redis did not answer."""
        self._errors.inc()

    def follow_bytes(self, content: str, byte_count: Callable[[], float]) -> None:
        """Shows from now on how much memory something takes."""
        self._bytes.labels(content).set_function(byte_count)


class ResultCache:
    """Results of one kind, each somebody's: nobody is given what another reader asked for.

    Args:
        name: One of CACHES.
        store: Where they are kept.
        coding: How they are written.
        metrics: Counts what is looked for.
    """

    def __init__(self, name: str, store: CacheStore, coding: Coding, metrics: CacheMetrics) -> None:
        self._name = name
        self._store = store
        self._coding = coding
        self._metrics = metrics

    def key(self, reader: Reader, *asked: Any) -> str:
        """The key of a result: of who asks, and of everything that it depends on.

        Args:
            reader: As whom.
            asked: All else, as JSON takes it.
        """
        names = None if reader.names is None else sorted(reader.names)
        parts = [self._name, self._coding.version, reader.tenant, names, asked]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    async def get(self, reader: Reader, key: str) -> Any:
        """What is kept under a key; None if nothing is."""
        try:
            return await self._store.get(reader.tenant, key, self._coding)
        except Unreadable:
            _logger.warning("a cached %s cannot be read, and is made anew", self._name)
            return None

    async def put(self, reader: Reader, key: str, result: Result) -> None:
        """Keeps a result."""
        await self._store.put(reader.tenant, key, result, self._coding)

    def count(self, outcome: str) -> None:
        """Counts what came of a look: one of OUTCOMES."""
        self._metrics.count(self._name, outcome)
