"""What the cache keeps, and what it lets go."""

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_rerank.maxsim import PassageTokens
from trivium_rerank.token_cache import TokenCache


def tokens(count: int) -> PassageTokens:
    return PassageTokens(np.zeros(count, np.int32), np.zeros((count, 8), np.float16), count)


def cache_of(max_bytes: int, registry: CollectorRegistry | None = None) -> TokenCache:
    return TokenCache(max_bytes=max_bytes, fingerprint="model", registry=registry or CollectorRegistry())


def test_token_cache_kept_text_returns_its_tokens() -> None:
    cache, kept = cache_of(10_000), tokens(3)
    cache.put("a", kept)

    assert cache.get("a") is kept
    assert cache.get("b") is None


def test_token_cache_over_its_bound_drops_what_was_used_longest_ago() -> None:
    registry = CollectorRegistry()
    cache = cache_of(3_500, registry)  # three entries of 20 tokens need 3,000 bytes
    for text in "abc":
        cache.put(text, tokens(20))
    assert cache.get("a") is not None
    cache.put("d", tokens(20))

    assert [text for text in "abcd" if cache.get(text) is None] == ["b"]
    assert 0 < (registry.get_sample_value("trivium_rerank_cache_bytes") or 0) <= 3_500


def test_token_cache_entry_larger_than_the_bound_is_not_kept() -> None:
    cache = cache_of(5_000)
    cache.put("small", tokens(1))
    cache.put("large", tokens(1_000))

    assert cache.get("large") is None
    cache.put("small", tokens(1))
    assert cache.get("small") is not None


def test_token_cache_bound_of_zero_keeps_nothing() -> None:
    cache = cache_of(0)
    cache.put("a", tokens(1))

    assert cache.get("a") is None


def test_token_cache_same_text_twice_is_counted_once() -> None:
    registry = CollectorRegistry()
    cache = cache_of(10_000, registry)
    cache.put("a", tokens(5))
    size = registry.get_sample_value("trivium_rerank_cache_bytes")
    cache.put("a", tokens(5))

    assert registry.get_sample_value("trivium_rerank_cache_bytes") == size


def test_token_cache_lookups_count_hits_and_misses() -> None:
    registry = CollectorRegistry()
    cache = cache_of(10_000, registry)
    cache.get("a")
    cache.put("a", tokens(1))
    cache.get("a")
    cache.get("a")

    lookups = "trivium_rerank_cache_lookups_total"
    assert registry.get_sample_value(lookups, {"result": "hit"}) == 2
    assert registry.get_sample_value(lookups, {"result": "miss"}) == 1
