"""What the cache keeps, and what it lets go."""

import pytest
from prometheus_client import CollectorRegistry
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_serving.request_context import set_tenant


def cache_of(max_bytes: int, fingerprint: str = "model") -> tuple[ResultCache[bytes], CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = CacheMetrics("test", registry)
    return ResultCache(max_bytes=max_bytes, fingerprint=fingerprint, size_of=len, metrics=metrics), registry


def kept_in(cache: ResultCache[bytes], keys: bytes) -> list[str]:
    return [chr(key) for key in keys if bytes([key]) in cache]


def test_result_cache_over_its_bound_drops_what_was_used_longest_ago() -> None:
    cache, registry = cache_of(35)
    for key in (b"a", b"b", b"c"):
        cache.put(key, bytes(10))
    assert cache.get(b"a") == bytes(10)
    cache.put(b"d", bytes(10))

    assert kept_in(cache, b"abcd") == ["a", "c", "d"]
    assert registry.get_sample_value("trivium_test_cache_bytes") == 30


@pytest.mark.parametrize("max_bytes", [0, 9])
def test_result_cache_entry_larger_than_the_bound_is_not_kept(max_bytes: int) -> None:
    cache, registry = cache_of(max_bytes)
    cache.put(b"large", bytes(10))

    assert cache.get(b"large") is None
    assert registry.get_sample_value("trivium_test_cache_bytes") == 0


def test_result_cache_same_result_twice_takes_its_memory_once() -> None:
    cache, registry = cache_of(100)
    cache.put(b"a", bytes(10))
    cache.put(b"a", bytes(10))

    assert registry.get_sample_value("trivium_test_cache_bytes") == 10


def test_result_cache_key_depends_on_model_text_and_what_it_is_read_as() -> None:
    pairs = [("query", "a"), ("document", "a"), ("query", "b"), ("quer", "ya"), ("", "querya")]
    keys = {cache_of(0, model)[0].key(*pair) for model in ("one model", "another") for pair in pairs}

    assert len(keys) == 2 * len(pairs)


async def test_result_cache_key_is_each_tenants_own() -> None:
    cache = cache_of(100)[0]
    keys = set()
    for tenant in ("", "legal", "sales"):
        set_tenant(tenant)
        keys.add(cache.key("query", "When do our contracts end?"))

    assert len(keys) == 3


def test_result_cache_lookups_are_counted_from_zero() -> None:
    cache, registry = cache_of(0)
    before = [registry.get_sample_value("trivium_test_cache_lookups_total", {"result": "shared"})]
    cache.count_lookups(hits=1, shared=2, misses=3)

    assert before == [0]
    assert [
        registry.get_sample_value("trivium_test_cache_lookups_total", {"result": result})
        for result in ("hit", "shared", "miss")
    ] == [1, 2, 3]


def test_result_cache_of_each_role_has_a_bound_of_its_own_and_one_gauge_together() -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics("test", registry, ("query", "document"))
    queries, documents = (
        ResultCache[bytes](max_bytes=30, fingerprint="model", size_of=len, metrics=metrics, role=role)
        for role in ("query", "document")
    )
    queries.put(b"question", bytes(10))
    for number in range(100):
        documents.put(str(number).encode(), bytes(10))
    documents.count_lookups(hits=0, shared=0, misses=100)

    assert queries.get(b"question") is not None
    assert registry.get_sample_value("trivium_test_cache_bytes") == 40
    lookups = {
        role: registry.get_sample_value("trivium_test_cache_lookups_total", {"role": role, "result": "miss"})
        for role in ("query", "document")
    }
    assert lookups == {"query": 0, "document": 100}
