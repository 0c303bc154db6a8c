"""Search: two legs, their fusion, filters, tenants, and one leg standing in for the other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from qdrant_client import grpc as qdrant
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.candidates import Candidate, SearchResult
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant import points
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_serving.errors import DeadlineExceeded, Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from .conftest import OpenStorage, Storage

_ANIMALS = (
    NewDocument(id="cat", title="Cats", text="Cats sleep most of the day.", metadata={"legs": 4, "lang": "en"}),
    NewDocument(id="dog", text="Dogs like to run in the park.", metadata={"legs": 4, "lang": "en"}),
    NewDocument(id="bird", text="Birds fly south in winter.", metadata={"legs": 2, "lang": "en"}),
    NewDocument(id="maus", text="人工智能是一门学科。", metadata={"legs": 0, "lang": "zh", "fluffy": True}),
)


@pytest_asyncio.fixture
async def animals(open_storage: OpenStorage) -> AsyncIterator[Storage]:
    """A storage with the animals in it and nothing else; they are embedded only if another test came between."""
    async with open_storage() as opened:
        default = await opened.collections.resolve("", tenant="default")
        listed, _ = await opened.documents.list(default, page_size=10, reader=WHOLE)
        if {document.id for document in listed} != {document.id for document in _ANIMALS}:
            await opened.collections.delete("default", tenant="default")
            default = await opened.collections.resolve("", tenant="default")
        await opened.ingest(*_ANIMALS, collection=default)
        yield opened


async def _search(
    storage: Storage, query: str, *, filter_json: Mapping[str, Any] | None = None, tenant: str = "default", **more: Any
) -> SearchResult:
    collection = await storage.collections.resolve("", tenant=tenant)
    embedded = await storage.embed.embed_query(
        query, reader=WHOLE, expected_fingerprint=collection.made.fingerprint, timeout_seconds=10
    )
    arguments: dict[str, Any] = {"vector": embedded.vector, "text": query, "limit": 10, "timeout_seconds": 10.0} | more
    if filter_json is not None:
        arguments["filter"] = await storage.collections.parse_filter(collection, filter_json)
    return await storage.chunk_search.search(collection, reader=whole(tenant), **arguments)


async def test_search_fuses_both_legs_and_tells_their_scores(animals: Storage) -> None:
    found = await _search(animals, "Which animals sleep?")
    assert found.degraded_legs == []
    best = found.candidates[0]
    chunk = Chunk(
        document_id="cat", index=0, title="Cats", uri="", text="Cats sleep most of the day.", start=0, end=27,
        version=best.chunk.version, chunk_count=1, metadata={"legs": 4, "lang": "en"},
    )  # fmt: skip
    assert best == Candidate(best.id, chunk, dense=best.dense, sparse=best.sparse, fused=best.fused)
    assert 0.3 < (best.dense or 0) <= 1
    assert (best.sparse or 0) > 0
    assert [one.fused for one in found.candidates] == sorted((one.fused for one in found.candidates), reverse=True)  # type: ignore[type-var]
    without_words = [one for one in found.candidates if one.chunk.document_id == "maus"]
    assert without_words[0].sparse is None


async def test_equally_good_candidates_come_in_the_same_order_however_they_were_written(
    open_storage: OpenStorage,
) -> None:
    names = ["ash", "beech", "cedar", "elm", "fir", "oak"]
    orders = []
    async with open_storage() as storage:
        for collection, written in (("forwards", names), ("backwards", names[::-1])):
            await storage.collections.create(collection, reader=WHOLE)
            resolved = await storage.collections.resolve(collection, tenant="default")
            for name in written:
                await storage.ingest(NewDocument(id=name, text="A tree gives shade."), collection=resolved)
            found = await storage.chunk_search.search(
                resolved, vector=None, text="Which tree gives shade?", limit=10, reader=WHOLE, timeout_seconds=10.0
            )
            orders.append([one.chunk.document_id for one in found.candidates])

    assert sorted(orders[0]) == names
    assert orders[0] == orders[1]


async def test_candidates_are_read_beside_the_event_loop(animals: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    read = points.chunk_from_payload

    def noted(payload: Mapping[str, Any]) -> Chunk:
        threads.add(threading.get_ident())
        return read(payload)

    monkeypatch.setattr("trivium_gateway.qdrant.chunks.chunk_from_payload", noted)
    found = await _search(animals, "Which animals sleep?")
    assert found.candidates
    assert threads
    assert threading.get_ident() not in threads  # on which other questions would wait


async def test_search_by_words_alone_finds_chinese_terms(animals: Storage) -> None:
    found = await _search(animals, "人工智能", vector=None)
    assert [one.chunk.document_id for one in found.candidates] == ["maus"]
    assert (found.candidates[0].dense, found.candidates[0].fused) == (None, None)
    assert found.candidates[0].search_score == found.candidates[0].sparse
    assert found.degraded_legs == []


async def test_search_by_vector_alone_has_dense_scores(animals: Storage) -> None:
    found = await _search(animals, "animals that fly", text=None)
    assert found.candidates[0].chunk.document_id == "bird"
    assert found.candidates[0].sparse is None
    assert found.degraded_legs == []


async def test_search_for_words_that_are_no_terms_finds_by_meaning(animals: Storage) -> None:
    found = await _search(animals, "???")
    assert len(found.candidates) == 4
    assert found.degraded_legs == []


async def test_search_returns_at_most_limit_candidates(animals: Storage) -> None:
    assert len((await _search(animals, "animals", limit=2)).candidates) == 2


@pytest.mark.parametrize(
    ("filter_json", "expected"),
    [
        ({"metadata.legs": 4}, {"cat", "dog"}),
        ({"metadata.legs": [2, 0]}, {"bird", "maus"}),
        ({"metadata.legs": {"gte": 2, "lt": 4}}, {"bird"}),
        ({"metadata.legs": {"gt": 2}, "document_id": ["dog", "bird"]}, {"dog"}),
        ({"metadata.lang": ["zh", "fr"]}, {"maus"}),
        ({"metadata.fluffy": True}, {"maus"}),
        ({"metadata.fluffy": False}, set()),
        ({"metadata.fluffy": [True, False]}, {"maus"}),
        ({"document_id": "nobody"}, set()),
    ],
    ids=str,
)
async def test_filter_leaves_what_matches_all_conditions(
    animals: Storage, filter_json: dict[str, Any], expected: set[str]
) -> None:
    found = await _search(animals, "cats dogs birds", filter_json=filter_json)
    assert {one.chunk.document_id for one in found.candidates} == expected


@pytest.mark.parametrize("key", ["dc.title", "作者", "a b", "x:y/z@w"])
async def test_filter_on_a_key_of_any_characters_works(storage: Storage, key: str) -> None:
    await storage.ingest(NewDocument(id="a", text="one", metadata={key: "x"}), NewDocument(id="b", text="one"))
    found = await _search(storage, "one", filter_json={f"metadata.{key}": "x"})
    assert [one.chunk.document_id for one in found.candidates] == ["a"]
    assert found.candidates[0].chunk.metadata == {key: "x"}


async def test_tenants_never_see_each_others_documents(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="The secret of the first."), tenant="first")
    await storage.ingest(NewDocument(id="a", text="The secret of the second."), tenant="second")
    for tenant in ("first", "second"):
        found = await _search(storage, "secret", tenant=tenant)
        assert [one.chunk.text for one in found.candidates] == [f"The secret of the {tenant}."]
    assert (await _search(storage, "secret")).candidates == []


async def test_one_tenants_documents_do_not_bend_anothers_scores(storage: Storage) -> None:
    mine = [NewDocument(id=f"{number}", text=f"Report number {number} about turbines.") for number in range(5)]
    await storage.ingest(*mine, NewDocument(id="x", text="The quarterly budget."), tenant="mine")
    before = await _search(storage, "budget", tenant="mine", vector=None)
    others = [NewDocument(id=f"{number}", text=f"The budget of year {number}.") for number in range(60)]
    await storage.ingest(*others, tenant="other")
    after = await _search(storage, "budget", tenant="mine", vector=None)
    assert [(one.chunk.document_id, one.sparse) for one in after.candidates] == [
        (one.chunk.document_id, one.sparse) for one in before.candidates
    ]


async def test_search_reads_only_as_many_as_it_is_told_and_tells_the_scores_of_the_rest(animals: Storage) -> None:
    everything = await _search(animals, "Which animals sleep?")
    some = await _search(animals, "Which animals sleep?", read=2)
    assert some.candidates == everything.candidates[:2]
    assert some.unread_scores == [one.search_score for one in everything.candidates[2:]]
    assert everything.unread_scores == []
    assert some.best_dense == everything.best_dense == max(one.dense or 0 for one in everything.candidates)


async def test_legs_of_a_search_carry_no_payload(animals: Storage) -> None:
    connection = _Noting.__new__(_Noting)
    connection.__dict__.update(animals.connection.__dict__, queries=[])
    collection = await animals.collections.resolve("", tenant="default")
    await ChunkSearch(connection).search(
        collection, vector=[1.0] * 384, text="cats", limit=5, timeout_seconds=5, reader=WHOLE
    )
    assert [query.with_payload.enable for query in connection.queries] == [False, False]


async def test_chunk_that_is_not_in_the_filter_any_more_when_it_is_read_is_left_out(
    animals: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = QdrantChunks.found
    collection = await animals.collections.resolve("", tenant="default")

    async def after_a_change(self: QdrantChunks, *arguments: Any, **more: Any) -> Any:
        three_legs = NewDocument(id="dog", text="Dogs like to run in the park.", metadata={"legs": 3, "lang": "en"})
        await animals.ingest(three_legs, collection=collection)
        return await found(self, *arguments, **more)

    monkeypatch.setattr(QdrantChunks, "found", after_a_change)
    candidates = (await _search(animals, "Dogs run", filter_json={"metadata.legs": 4})).candidates
    monkeypatch.undo()
    await animals.ingest(_ANIMALS[1], collection=collection)
    assert [one.chunk.document_id for one in candidates] == ["cat"]


class _Noting(QdrantConnection):
    """A connection that notes each query."""

    queries: list[Any]

    async def call(self, method: Any, request: Any, *, timeout_seconds: float) -> Any:
        if isinstance(request, qdrant.QueryBatchPoints):
            self.queries += request.query_points
        return await super().call(method, request, timeout_seconds=timeout_seconds)


class _BrokenLeg(QdrantConnection):
    """A connection over which one leg breaks, as it does where Qdrant has no model for BM25, say."""

    broken = ""
    error: Exception = Unavailable("broken", reason="UPSTREAM_FAILED")

    async def call(self, method: Any, request: Any, *, timeout_seconds: float) -> Any:
        queries = request.query_points if isinstance(request, qdrant.QueryBatchPoints) else [request]
        if any(getattr(query, "using", "") in self.broken.split() for query in queries):
            raise self.error
        return await super().call(method, request, timeout_seconds=timeout_seconds)


def _search_without(storage: Storage, broken: str, error: Exception | None = None) -> ChunkSearch:
    connection = _BrokenLeg.__new__(_BrokenLeg)
    connection.__dict__.update(storage.connection.__dict__)
    connection.broken = broken
    if error is not None:
        connection.error = error
    return ChunkSearch(connection)


@pytest.mark.parametrize(
    ("broken", "leg", "score"), [("bm25", "sparse", "dense"), ("dense", "dense", "sparse")], ids=["sparse", "dense"]
)
async def test_leg_that_fails_is_reported_and_the_other_answers(
    animals: Storage, broken: str, leg: str, score: str
) -> None:
    collection = await animals.collections.resolve("", tenant="default")
    query = await animals.embed.embed_query(
        "cats sleep", reader=WHOLE, expected_fingerprint=collection.made.fingerprint, timeout_seconds=10
    )
    chunk_search = _search_without(animals, broken)
    found = await chunk_search.search(
        collection, vector=query.vector, text="cats sleep", limit=5, timeout_seconds=10, reader=WHOLE
    )
    assert [(one.leg, one.reason) for one in found.degraded_legs] == [(leg, "unavailable")]
    assert found.candidates[0].chunk.document_id == "cat"
    assert found.candidates[0].fused is None
    assert found.candidates[0].search_score == getattr(found.candidates[0], score)


async def test_leg_that_is_too_slow_is_reported_as_such(animals: Storage) -> None:
    collection = await animals.collections.resolve("", tenant="default")
    chunk_search = _search_without(animals, "dense", DeadlineExceeded("slow"))
    found = await chunk_search.search(
        collection, vector=[1.0] * 384, text="cats", limit=5, timeout_seconds=10, reader=WHOLE
    )
    assert [(one.leg, one.reason) for one in found.degraded_legs] == [("dense", "timeout")]


async def test_search_without_any_leg_is_unavailable(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    chunk_search = _search_without(storage, "dense bm25")
    with pytest.raises(Unavailable):
        await chunk_search.search(
            collection, vector=[1.0] * 384, text="cats", limit=5, timeout_seconds=10, reader=WHOLE
        )


async def test_search_without_qdrant_says_in_its_cause_where_it_was_looked_for(storage: Storage) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    connection = QdrantConnection("http://127.0.0.1:1", 1)
    with pytest.raises(Unavailable) as caught:
        await ChunkSearch(connection).search(
            collection, vector=[1.0] * 384, text="x", limit=5, timeout_seconds=5, reader=WHOLE
        )
    await connection.close()
    assert caught.value.reason == "UPSTREAM_UNAVAILABLE"
    assert "http://127.0.0.1:1" in caught.value.cause
