"""What the cache keeps, and what it lets go."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from trivium_embed.vector_cache import VectorCache
from trivium_encoders import Role

VECTOR = np.arange(175, dtype=np.float32)  # 700 bytes, 1,000 with its entry


def cache_of(max_bytes: int) -> tuple[VectorCache, CollectorRegistry]:
    registry = CollectorRegistry()
    return VectorCache(max_bytes=max_bytes, registry=registry), registry


def test_vector_cache_kept_vector_is_returned_as_it_was() -> None:
    cache, _ = cache_of(10_000)
    cache.put(Role.QUERY, b"a", VECTOR, 7)

    kept = cache.get(Role.QUERY, b"a")
    assert kept is not None
    assert np.array_equal(kept[0], VECTOR)
    assert kept[1] == 7
    assert cache.get(Role.DOCUMENT, b"a") is None


def test_vector_cache_over_its_bound_drops_what_was_used_longest_ago() -> None:
    cache, registry = cache_of(6_000)  # three for each role
    for key in (b"a", b"b", b"c"):
        cache.put(Role.QUERY, key, VECTOR, 1)
    cache.get(Role.QUERY, b"a")
    cache.put(Role.QUERY, b"d", VECTOR, 1)

    assert [key for key in (b"a", b"b", b"c", b"d") if cache.get(Role.QUERY, key) is None] == [b"b"]
    assert registry.get_sample_value("trivium_embed_cache_bytes") == 3_000


def test_vector_cache_many_documents_leave_the_queries() -> None:
    cache, registry = cache_of(4_000)
    cache.put(Role.QUERY, b"question", VECTOR, 1)
    for number in range(100):
        cache.put(Role.DOCUMENT, str(number).encode(), VECTOR, 1)

    assert cache.get(Role.QUERY, b"question") is not None
    assert registry.get_sample_value("trivium_embed_cache_bytes") == 3_000


@pytest.mark.parametrize("max_bytes", [0, 1_000])
def test_vector_cache_smaller_than_a_vector_keeps_none(max_bytes: int) -> None:
    cache, registry = cache_of(max_bytes)
    cache.put(Role.QUERY, b"a", VECTOR, 1)

    assert cache.get(Role.QUERY, b"a") is None
    assert registry.get_sample_value("trivium_embed_cache_bytes") == 0


def test_vector_cache_key_depends_on_text_role_truncation_and_model() -> None:
    cache, _ = cache_of(0)
    keys = []
    for fingerprint in ("one model", "another model"):
        cache.use_model(fingerprint)
        keys += [
            cache.key(text, role, truncate=truncate)
            for text in ("a", "b")
            for role in Role
            for truncate in (True, False)
        ]

    assert len(set(keys)) == 16
