"""Where cached results are kept, and how they become bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from trivium_conversation.sampling import FinishReason
from trivium_gateway.answering.retrieval_cache import RETRIEVAL_CODING, KeptRetrieval
from trivium_gateway.caching.coding import Coding, Unreadable
from trivium_gateway.caching.redis_store import RedisStore
from trivium_gateway.caching.results import CacheMetrics, ResultCache
from trivium_gateway.caching.similar import SimilarQueries
from trivium_gateway.caching.store import MemoryStore
from trivium_gateway.domain.chunks import Chunk, LineBox, Span
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.readers import Reader, whole
from trivium_gateway.domain.standings import Ordered, Ranked
from trivium_gateway.models.generate_answers import GeneratedCitation
from trivium_gateway.models.query_memory import QueryMemory, QueryVector
from trivium_gateway.models.written_answers import WRITTEN_CODING, Written

if TYPE_CHECKING:
    import subprocess

_SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_METADATA = st.dictionaries(
    st.text() | st.sampled_from(["$class", "$fields", "$map", "$list", "$rows", "$enum", "$set"]),
    st.recursive(
        _SCALARS | st.lists(_SCALARS),
        lambda inner: st.dictionaries(st.text() | st.sampled_from(["$class", "$list"]), inner),
    ),
    max_size=4,
)


def _kept(metadata: object, text: str, readers: frozenset[str] | None) -> KeptRetrieval:
    chunk = Chunk(
        *("d", 1, text, "u", text, 0, len(text), "v.1.2", 3),
        metadata,  # type: ignore[arg-type]
        heading=(text,),
        boxes=(LineBox(0, 1, 0.1, 2.0, 3, 4.5),),
        readers=readers,
    )
    passage = Passage("p", chunk, 0.25, Scores(dense=0.1, calibrated=True), ("other",), (0, 1))
    found = ((Ranked("p", 0.1, None, 2.0),), ())
    return KeptRetrieval("settled:1", (passage, passage), found, (Ordered("p", "d", None, 1.0, 0, True),))


@given(_METADATA, st.text(), st.none() | st.frozensets(st.text()))
def test_retrieval_that_is_written_and_read_is_the_same(
    metadata: dict[str, object], text: str, readers: frozenset[str] | None
) -> None:
    kept = _kept(metadata, text, readers)
    read = RETRIEVAL_CODING.loads(RETRIEVAL_CODING.dumps(kept))
    assert read == kept
    assert json.dumps(read.passages[0].chunk.metadata) == json.dumps(metadata)  # 1 is neither 1.0 nor True


def test_answer_that_is_written_and_read_is_the_same() -> None:
    written = Written("Fish. [1]", (GeneratedCitation(1, Span(6, 9)),), "writer", (3,))
    assert WRITTEN_CODING.loads(WRITTEN_CODING.dumps(written)) == written
    coding = Coding(FinishReason, Span)
    assert coding.loads(coding.dumps((FinishReason.STOP,))) == [FinishReason.STOP]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04}.",
        b"[",
        b'{"$class":"Popen","$fields":[["id"]]}',
        b'{"$class":"Span","$fields":[1]}',
        b'{"$rows":[[1]],"$class":"Span"}',
        b'{"other":1}',
    ],
)
def test_bytes_that_nobody_of_us_wrote_are_read_as_nothing(data: bytes) -> None:
    with pytest.raises(Unreadable):
        WRITTEN_CODING.loads(data)


@dataclass(frozen=True)
class _Sized:
    byte_count: int


async def test_memory_stays_within_its_bytes_and_whoever_has_most_makes_room() -> None:
    store, coding = MemoryStore(10_000, 60), Coding()
    await store.put("small", "mine", _Sized(500), coding)
    for number in range(100):
        await store.put("large", f"{number}", _Sized(500), coding)
        assert store.byte_count <= 10_000
    assert await store.get("small", "mine", coding) == _Sized(500)
    assert await store.get("large", "0", coding) is None
    assert await store.get("large", "99", coding) == _Sized(500)
    await store.put("large", "huge", _Sized(20_000), coding)
    assert await store.get("large", "huge", coding) is None
    await store.get("large", "95", coding)
    for number in range(100, 107):
        await store.put("large", f"{number}", _Sized(500), coding)
    assert await store.get("large", "95", coding) is not None  # was asked for since
    assert await store.get("large", "94", coding) is None


def test_query_of_a_tenant_stays_remembered_whatever_another_asks() -> None:
    memory = QueryMemory(20_000)
    vector = np.ones(384, np.float32)

    def remember(tenant: str, text: str) -> None:
        memory.put(whole(tenant), "model", text, vector, QueryVector((), 3, cached=False), with_codes=False)

    remember("quiet", "herons?")
    for number in range(100):
        remember("loud", f"herons {number}?")

    assert memory.get(whole("quiet"), "model", "herons?", with_codes=False) is not None
    assert memory.get(whole("loud"), "model", "herons 0?", with_codes=False) is None
    assert memory.get(whole("loud"), "model", "herons 99?", with_codes=False) is not None
    assert memory.byte_count <= 20_000


async def test_memory_forgets_what_is_too_old() -> None:
    now = [0.0]
    store, coding = MemoryStore(10_000, 60, lambda: now[0]), Coding()
    await store.put("a", "k", _Sized(1), coding)
    now[0] = 59.9
    assert await store.get("a", "k", coding) is not None
    now[0] = 60.0
    assert await store.get("a", "k", coding) is None
    assert store.byte_count == 0


async def test_result_is_only_its_readers_own() -> None:
    cache = ResultCache("answer", MemoryStore(10_000, 60), WRITTEN_CODING, CacheMetrics(CollectorRegistry()))
    readers = [
        whole("a"),
        whole("b"),
        Reader("a", frozenset()),
        Reader("a", frozenset({"user:ann"})),
        Reader("a", frozenset({"user:ann", "group:hr"})),
    ]
    keys = {cache.key(reader, "x", ["y"]) for reader in readers}
    assert len(keys) == len(readers)
    assert cache.key(whole("a"), "x", ["y"]) in keys
    assert cache.key(whole("a"), "xy", []) not in keys


async def test_redis_is_shared_forgets_and_is_left_alone_when_it_is_away(
    cache_redis: tuple[str, subprocess.Popen[bytes]],
) -> None:
    url, process = cache_redis
    now, errors = [0.0], []
    one, other = (RedisStore(url, 60, lambda: errors.append(1), lambda: now[0]) for _ in range(2))
    kept = _kept({"year": 2020}, "Herons.", None)
    await one.put("a", "key", kept, RETRIEVAL_CODING)
    assert await other.get("a", "key", RETRIEVAL_CODING) == kept
    assert await other.get("a", "none", RETRIEVAL_CODING) is None
    large = _kept({}, "x" * 100_000, None)
    for number in range(40):  # more than it has room for
        await one.put("a", f"{number}", large, RETRIEVAL_CODING)
    assert not errors
    assert await other.get("a", "39", RETRIEVAL_CODING) == large
    await one.put("a", "too-large", _kept({}, "x" * 500_000, None), RETRIEVAL_CODING)
    assert await other.get("a", "too-large", RETRIEVAL_CODING) is None
    process.kill()
    process.wait()
    for _ in range(10):
        assert await one.get("a", "key", RETRIEVAL_CODING) is None
    assert len(errors) == 1
    now[0] = 10.0
    assert await one.get("a", "key", RETRIEVAL_CODING) is None
    assert len(errors) == 2
    await one.close()
    await other.close()


def test_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_CACHE_REDIS_URL") as refused:
        RedisStore("http://:secret@host", 60, lambda: None)
    assert "secret" not in str(refused.value)


def test_similar_query_has_the_same_numbers_phrases_and_exclusions() -> None:
    similar = SimilarQueries(0.9, 100_000)
    similar.add("f", "Sales in 2021", [1.0, 0.0])
    assert similar.find("f", "The sales in 2021", [0.99, 0.14]) == "Sales in 2021"
    assert similar.find("f", "The sales in 2021", [0.8, 0.6]) is None
    assert similar.find("g", "The sales in 2021", [1.0, 0.0]) is None
    for other in ("The sales in 2022", "The sales", 'The "sales" in 2021', "The sales in 2021 -Europe"):
        assert similar.find("f", other, [1.0, 0.0]) is None
    for number in range(1000):  # bounded
        similar.add("f", f"Query {number}", [0.0, 1.0])
    assert similar.find("f", "The sales in 2021", [0.99, 0.14]) is None
    assert similar.find("f", "A query 999", [0.0, 1.0]) == "Query 999"
