"""Collections that were made before there was an analyzer: recognised, answering, and made anew without a loss."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from qdrant_client import grpc as qdrant
from qdrant_client.conversions.conversion import json_to_value
from trivium_gateway.domain.names import physical_name
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.library.reindexing import Reindexer
from trivium_gateway.library.tuning import CollectionTuning
from trivium_gateway.models.embed_answers import EmbeddedDocuments
from trivium_gateway.qdrant.coding import ChunkCoder
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.copying import PointCopier
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from .conftest import OpenStorage, Storage

_TEXT = "Change request PPR-{}. The torque of the lid screws is raised. "
_NUMBERS = range(9000, 9040)


def _documents(numbers: Collection[int], more: str = "") -> list[NewDocument]:
    return [
        NewDocument(id=f"d{one}", title="Change", text=_TEXT.format(one) + more, metadata={"number": one})
        for one in numbers
    ]


async def _make_as_before(storage: Storage, name: str) -> None:
    """Make a collection as the versions before the analyzer did, which say nothing of one."""
    model = await storage.embed.model()
    physical = physical_name(name, model.fingerprint, 0)
    facts = {"model": model.name, "model_fingerprint": model.fingerprint, "schema_version": 2}
    dense = qdrant.VectorParams(size=model.dimension, distance=qdrant.Distance.Cosine)
    sparse = qdrant.SparseVectorParams(modifier=qdrant.Modifier.Idf)
    request = qdrant.CreateCollection(
        collection_name=physical,
        vectors_config=qdrant.VectorsConfig(params_map=qdrant.VectorParamsMap(map={"dense": dense})),
        sparse_vectors_config=qdrant.SparseVectorConfig(map={"bm25": sparse}),
        metadata={key: json_to_value(value) for key, value in facts.items()},
    )
    await storage.connection.call(storage.connection.collections.Create, request, timeout_seconds=30)
    collections = QdrantCollections(storage.connection)
    await collections.index_system_fields(physical)
    await collections.point_alias(name, physical)


@pytest_asyncio.fixture
async def old(open_storage: OpenStorage) -> AsyncIterator[Storage]:
    """A collection `old` from before the analyzer, with documents."""
    async with open_storage() as storage:
        await _make_as_before(storage, "old")
        collection = await storage.collections.resolve("old", tenant="default")
        assert not any(result.error for result in await storage.ingest(*_documents(_NUMBERS), collection=collection))
        yield storage
        await storage.collections.delete("old", tenant="default")


async def _first(storage: Storage, query: str) -> str | None:
    collection = await storage.collections.find("old", tenant="default")
    assert collection is not None
    found = await storage.chunk_search.search(
        collection, vector=None, text=query, limit=5, timeout_seconds=10, reader=WHOLE
    )
    return found.candidates[0].chunk.document_id if found.candidates else None


async def _stored(storage: Storage) -> dict[str, str]:
    collection = await storage.collections.find("old", tenant="default")
    assert collection is not None
    listed, _ = await storage.documents.list(collection, page_size=1000, reader=WHOLE)
    return {one.id: (await storage.documents.get(collection, one.id, reader=WHOLE)).text for one in listed}


async def _physical(storage: Storage) -> set[str]:
    return {one for one in await QdrantCollections(storage.connection).names() if one.startswith("old__")}


async def _reindex(storage: Storage) -> Reindexer:
    reindexer = Reindexer(storage.connection, storage.collections, storage.embed)
    while not (await reindexer.reindex("old", tenant="default", seconds=0)).done:
        pass
    return reindexer


async def test_collection_from_before_the_analyzer_answers_and_takes_documents_as_it_was_made(old: Storage) -> None:
    described = await old.collections.get("old", reader=WHOLE)

    assert described.needs_reindex
    assert await _first(old, "9013") is None  # as it was made: no term for a number
    assert await _first(old, "lid screws") is not None
    (added,) = await old.ingest(
        NewDocument(id="new", text="A pangolin."), collection=await old.collections.resolve("old", tenant="default")
    )
    assert added.status is DocumentStatus.INDEXED
    assert await _first(old, "pangolins") == "new"


async def test_reindexed_collection_is_the_same_with_words_of_this_version(old: Storage) -> None:
    before = await _stored(old)
    embedded = old.embed.embedded

    await _reindex(old)

    described = await old.collections.get("old", reader=WHOLE)
    assert not described.needs_reindex
    assert described.chunk_count == len(before)
    assert described.metadata_keys.keys() == {"number"}
    assert await _stored(old) == before
    assert await _first(old, "PPR9013") == "d9013"
    assert await _first(old, "9020") == "d9020"
    assert len(await _physical(old)) == 1
    assert old.embed.embedded == embedded  # vectors stay
    again = await old.ingest(*_documents(_NUMBERS), collection=await old.collections.resolve("old", tenant="default"))
    assert {one.status for one in again} == {DocumentStatus.UNCHANGED}


async def test_keywords_of_a_collection_are_of_its_language_once_it_was_reindexed(old: Storage) -> None:
    await _reindex(old)
    collection = await old.collections.resolve("old", tenant="default")
    await old.ingest(
        NewDocument(id="de", text="Die Rechnung wird mit der Lieferung verschickt."), collection=collection
    )
    assert await _first(old, "Rechnungen") is None
    tuning = CollectionTuning(old.connection, old.collections, old.embed)
    await tuning.change("old", CollectionSettings(language="de"), tenant="default")
    assert (await old.collections.get("old", reader=WHOLE)).needs_reindex
    embedded = old.embed.embedded

    await _reindex(old)

    assert not (await old.collections.get("old", reader=WHOLE)).needs_reindex
    assert await _first(old, "Rechnungen") == "de"
    assert await _first(old, "lid screws") is not None
    assert (len(await _physical(old)), old.embed.embedded) == (1, embedded)


async def test_reindexed_collection_keeps_its_settings(old: Storage) -> None:
    tuning = CollectionTuning(old.connection, old.collections, old.embed)
    await tuning.change("old", CollectionSettings(dense_weight=0.5), note="tuned", tenant="default")
    before = (await old.collections.get("old", reader=WHOLE)).settings

    await _reindex(old)

    described = await old.collections.get("old", reader=WHOLE)
    assert not described.needs_reindex
    assert described.settings == before


async def test_collection_that_is_made_as_this_version_makes_them_is_left_alone(storage: Storage) -> None:
    default = await storage.collections.resolve("", tenant="default")

    reindexer = Reindexer(storage.connection, storage.collections, storage.embed)
    assert (await reindexer.reindex("default", tenant="default", seconds=1)).done
    assert (await storage.collections.resolve("", tenant="default")).physical == default.physical


@pytest.mark.parametrize("step", ["create", "copy", "point_alias", "delete"])
async def test_reindexing_that_breaks_off_anywhere_loses_nothing_and_goes_on(
    old: Storage, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await _stored(old)
    owner: Any = PointCopier if step == "copy" else QdrantCollections
    real, calls = getattr(owner, step), []

    async def break_off(self: Any, *arguments: Any, **more: Any) -> Any:
        calls.append(step)
        if step == "copy":
            await real(self, *arguments, **more)
        raise Unavailable("gone", reason="UPSTREAM_UNAVAILABLE")

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, break_off)
        with pytest.raises(Unavailable):
            await _reindex(old)
    assert calls
    assert await _stored(old) == before
    assert await _first(old, "lid screws") is not None
    (changed,) = await old.ingest(
        *_documents([9002], "Twice."), collection=await old.collections.resolve("old", tenant="default")
    )
    assert changed.status is DocumentStatus.UPDATED
    gone = []
    if (
        step != "delete"
    ):  # in that case alone, a document that was written in its last hour comes back, as none may be lost
        gone = await old.documents.delete(
            await old.collections.resolve("old", tenant="default"), ["d9001"], reader=WHOLE
        )

    await _reindex(old)

    after = await _stored(old)
    assert after.pop("d9002").endswith("Twice.")
    assert after == {one: text for one, text in before.items() if one not in (*gone, "d9002")}
    assert len(await _physical(old)) == 1


async def test_writes_while_a_collection_is_reindexed_by_another_gateway_are_kept(
    old: Storage, open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving, move = asyncio.Event(), asyncio.Event()
    real = QdrantCollections.point_alias

    async def wait(self: QdrantCollections, alias: str, physical: str) -> None:
        moving.set()
        await move.wait()
        await real(self, alias, physical)

    async with open_storage() as other:
        stale = await other.collections.resolve("old", tenant="default")
        monkeypatch.setattr(QdrantCollections, "point_alias", wait)
        reindexing = asyncio.create_task(_reindex(old))
        await asyncio.wait_for(moving.wait(), 30)
        # After the last look at the old index, and before the new one answers.
        await other.ingest(*_documents([9003], "Late."), *_documents([9100]), collection=stale)
        await other.documents.delete(stale, ["d9004"], reader=WHOLE)
        move.set()
        while (await old.collections.own("old", tenant="default")).physical == stale.physical:
            pass
        # The other gateway believes in the old index still.
        results = await other.ingest(*_documents([9005], "Later."), *_documents([9101]), collection=stale)
        await other.documents.delete(stale, ["d9006"], reader=WHOLE)
        await reindexing
        results += await other.ingest(*_documents([9102]), collection=stale)
        assert not any(result.error for result in results)

    after = await _stored(old)
    expected = {one.id for one in _documents([*_NUMBERS, 9100, 9101, 9102])} - {"d9004", "d9006"}
    assert after.keys() == expected
    assert after["d9003"].endswith("Late.")
    assert after["d9005"].endswith("Later.")


async def test_search_finds_the_whole_collection_at_every_moment_of_a_reindexing(old: Storage) -> None:
    reindexing = asyncio.create_task(_reindex(old))
    counts = set()
    while not reindexing.done():
        counts.add(len(await _stored(old)))
        assert await _first(old, "lid screws") is not None
    await reindexing

    assert counts == {len(_NUMBERS)}


async def test_collection_of_a_later_analyzer_is_searched_by_vectors_and_says_why(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.collections.create("later", reader=WHOLE)
    await storage.ingest(*_documents([9000]), collection=await storage.collections.resolve("later", tenant="default"))
    monkeypatch.setattr("trivium_gateway.qdrant.words.ANALYZER_VERSION", ANALYZER_VERSION + 1)
    collection = await storage.collections.resolve("later", tenant="default")
    vector = (await storage.embed.embed_query(
        "torque", reader=WHOLE, expected_fingerprint=collection.made.fingerprint, timeout_seconds=10
    )).vector  # fmt: skip

    found = await storage.chunk_search.search(
        collection, vector=vector, text="torque", limit=5, timeout_seconds=10, reader=WHOLE
    )
    (written,) = await storage.ingest(*_documents([9001]), collection=collection)

    assert [one.chunk.document_id for one in found.candidates] == ["d9000"]
    assert [(one.leg, getattr(one.cause, "reason", "")) for one in found.degraded_legs] == [
        ("sparse", "ANALYZER_CHANGED")
    ]
    assert written.error is not None
    assert written.error.reason == "ANALYZER_CHANGED"
    await storage.collections.delete("later", tenant="default")


async def test_reindexing_gives_chunks_the_token_codes_that_they_lack(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_storage() as storage:
        await _make_as_before(storage, "old")
        embed_documents = storage.embed.embed_documents

        async def without_codes(texts: Sequence[str], **more: Any) -> EmbeddedDocuments:
            embedded = await embed_documents(texts, **more)
            return EmbeddedDocuments(embedded.vectors, [b""] * len(texts))

        monkeypatch.setattr(storage.embed, "embed_documents", without_codes)
        await storage.ingest(
            *_documents(_NUMBERS), collection=await storage.collections.resolve("old", tenant="default")
        )
        monkeypatch.setattr(storage.embed, "embed_documents", embed_documents)
        assert await _codes(storage) == {b""}

        await _reindex(storage)
        codes = await _codes(storage)
        assert b"" not in codes
        expected = await embed_documents(
            [f"Change\n{_TEXT.format(9013).strip()}"],
            expected_fingerprint=(await storage.embed.model()).fingerprint,
            timeout_seconds=30,
        )
        assert expected.token_codes[0] in codes
        await storage.collections.delete("old", tenant="default")


async def _codes(storage: Storage) -> set[bytes]:
    collection = await storage.collections.find("old", tenant="default")
    assert collection is not None
    found = await storage.chunk_search.search(
        collection, vector=None, text="torque", limit=100, timeout_seconds=10, reader=WHOLE
    )
    return set(await storage.chunk_search.token_codes(collection, found.candidates, timeout_seconds=10, reader=WHOLE))


async def test_reindexing_gives_token_codes_in_place_where_nothing_else_is_lacking(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.collections.create("old", reader=WHOLE)
    collection = await storage.collections.resolve("old", tenant="default")
    with monkeypatch.context() as patch:
        embed_documents = storage.embed.embed_documents

        async def without_codes(texts: Sequence[str], **more: Any) -> EmbeddedDocuments:
            return EmbeddedDocuments((await embed_documents(texts, **more)).vectors, [b""] * len(texts))

        patch.setattr(storage.embed, "embed_documents", without_codes)
        await storage.ingest(*_documents(_NUMBERS), collection=collection)
    await storage.ingest(*_documents([9100]), collection=collection)
    before = await _stored(storage)
    described = await storage.collections.get("old", reader=WHOLE)
    assert (described.chunk_count, described.coded_chunk_count) == (len(_NUMBERS) + 1, 1)
    real = ChunkCoder.add

    async def after_a_change(self: ChunkCoder, *arguments: Any) -> None:
        if not changed:
            changed.extend(await storage.ingest(*_documents([9001], "Changed."), collection=collection))
        await real(self, *arguments)

    changed: list[Any] = []
    monkeypatch.setattr(ChunkCoder, "add", after_a_change)
    await _reindex(storage)

    described = await storage.collections.get("old", reader=WHOLE)
    assert described.coded_chunk_count == described.chunk_count == len(_NUMBERS) + 1
    assert (await storage.collections.resolve("old", tenant="default")).physical == collection.physical
    assert await _stored(storage) == before | {"d9001": _TEXT.format(9001) + "Changed."}
    expected = await storage.embed.embed_documents(
        [f"Change\n{_TEXT.format(9001)}Changed."],
        expected_fingerprint=(await storage.embed.model()).fingerprint,
        timeout_seconds=30,
    )
    codes = await _codes(storage)
    assert b"" not in codes
    assert expected.token_codes[0] in codes  # those of the text that is there now
    await storage.collections.delete("old", tenant="default")
