"""What the gateway remembers of what it made, so that it is not made again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trivium_gateway.answering.retrieval_cache import RETRIEVAL_CODING, RetrievalCache
from trivium_gateway.caching.redis_store import RedisStore
from trivium_gateway.caching.results import CacheMetrics, ResultCache
from trivium_gateway.caching.similar import SimilarQueries
from trivium_gateway.caching.store import MemoryStore
from trivium_gateway.library.heads import DocumentHeads
from trivium_gateway.models.query_memory import QueryMemory
from trivium_gateway.models.written_answers import WRITTEN_CODING, WrittenAnswers

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trivium_gateway.app.upstreams import Upstreams
    from trivium_gateway.caching.store import CacheStore
    from trivium_gateway.library.contents import Contents
    from trivium_gateway.settings import GatewaySettings

_SIMILAR_SHARE = 0.25
"""How much of the memory the vectors may take by which similar questions are found."""


class Caches:
    """The caches of a gateway.

    Attributes:
        queries: The vectors of queries.
        written: What the generate service wrote; None if that is not cached.

    Args:
        settings: How large they are.
        registry: Where their metrics are registered.
    """

    def __init__(self, settings: GatewaySettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._metrics = metrics = CacheMetrics(registry)
        self.queries = QueryMemory(settings.query_cache_bytes, partial(metrics.count, "query"))
        metrics.follow_bytes("queries", lambda: self.queries.byte_count)
        self._store = store_of(settings, metrics)
        self.written: WrittenAnswers | None = None
        if self._store is not None and settings.cache == "on":
            self.written = WrittenAnswers(ResultCache("answer", self._store, WRITTEN_CODING, metrics))

    def retrievals(self, upstreams: Upstreams, contents: Contents) -> RetrievalCache | None:
        """What was found; None if that is not cached."""
        if self._store is None:
            return None
        similar_bytes = int(self._settings.cache_bytes * _SIMILAR_SHARE)
        return RetrievalCache(
            ResultCache("retrieval", self._store, RETRIEVAL_CODING, self._metrics),
            contents,
            DocumentHeads(upstreams.qdrant),
            upstreams.rerank,
            SimilarQueries(self._settings.cache_similarity, similar_bytes),
        )

    async def close(self) -> None:
        """Closes what is open."""
        if self._store is not None:
            await self._store.close()


def store_of(settings: GatewaySettings, metrics: CacheMetrics) -> CacheStore | None:
    """Where results are kept; None if they are not.

    Raises:
        ValueError: The address of Redis is none.
    """
    if settings.cache == "off":
        return None
    if settings.cache_redis_url:
        return RedisStore(settings.cache_redis_url, settings.cache_seconds, metrics.count_error)
    if not settings.cache_bytes:
        return None
    memory = MemoryStore(settings.cache_bytes, settings.cache_seconds)
    metrics.follow_bytes("results", lambda: memory.byte_count)
    return memory
