"""What the gateway believes of collections: not open is not deleted, and another application's is not its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from faults.opening_qdrant import OpeningQdrant
from qdrant_client import grpc as qdrant
from trivium_gateway.domain.names import physical_name
from trivium_gateway.library.descriptions import CollectionDescription, CollectionState
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import AlreadyExists, NotFound, Unavailable

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from .conftest import Addresses, OpenStorage, Storage


@pytest_asyncio.fixture
async def opening(addresses: Addresses) -> AsyncIterator[OpeningQdrant]:
    """Before the engine: all that the test closes is not open yet."""
    async with OpeningQdrant(f"127.0.0.1:{addresses.qdrant_grpc_port}").serving() as server:
        yield server


async def _alias(storage: Storage, alias: str, collection: str) -> None:
    await QdrantCollections(storage.connection).point_alias(alias, collection)


async def _drop_alias(storage: Storage, alias: str) -> None:
    drop = qdrant.AliasOperations(delete_alias=qdrant.DeleteAlias(alias_name=alias))
    await storage.connection.call(
        storage.connection.collections.UpdateAliases, qdrant.ChangeAliases(actions=[drop]), timeout_seconds=5
    )


async def _make_foreign(storage: Storage, name: str) -> None:
    vectors = qdrant.VectorsConfig(params=qdrant.VectorParams(size=4, distance=qdrant.Distance.Cosine))
    request = qdrant.CreateCollection(collection_name=name, vectors_config=vectors)
    await storage.connection.call(storage.connection.collections.Create, request, timeout_seconds=5)


async def _names(storage: Storage) -> list[str]:
    return await QdrantCollections(storage.connection).names()


async def _delete_foreign(storage: Storage, *names: str) -> None:
    for name in names:
        await QdrantCollections(storage.connection).delete(name)


async def test_collection_that_is_not_open_is_unavailable_to_every_call_and_is_whole_afterwards(
    storage: Storage, open_storage: OpenStorage, opening: OpeningQdrant
) -> None:
    await storage.ingest(NewDocument(id="a", text="The ferry leaves at nine."))
    default = await storage.collections.resolve("", tenant="default")
    async with open_storage(grpc_port=opening.port) as gateway:
        known = await gateway.collections.resolve("", tenant="default")
        opening.closed.add(default.physical)
        calls: list[Awaitable[object]] = [
            gateway.chunk_search.search(known, vector=None, text="ferry", limit=1, timeout_seconds=5, reader=WHOLE),
            gateway.documents.get(known, "a", reader=WHOLE),
            gateway.documents.list(known, page_size=10, reader=WHOLE),
            gateway.documents.delete(known, ["a"], reader=WHOLE),
        ]
        gateway.collections.forget(known)
        calls += [
            gateway.collections.find("", tenant="default"),
            gateway.collections.resolve("", tenant="default"),
            gateway.collections.create("default", reader=WHOLE),
            gateway.collections.delete("default", tenant="default"),
        ]
        for call in calls:
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.reason == "COLLECTION_UNAVAILABLE"
        described = CollectionDescription("default", CollectionState.OPENING)
        assert await gateway.collections.get("default", reader=WHOLE) == described
        assert await gateway.collections.list(reader=WHOLE) == [described]
        assert not {"/qdrant.Collections/Create", "/qdrant.Collections/Delete"} & set(opening.calls)
        opening.closed.clear()
        assert (
            await gateway.documents.get(await gateway.collections.resolve("", tenant="default"), "a", reader=WHOLE)
        ).text.startswith("The ferry")


async def test_deletion_that_qdrant_has_not_done_is_no_success(
    storage: Storage, open_storage: OpenStorage, opening: OpeningQdrant
) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    physical = (await storage.collections.resolve("papers", tenant="default")).physical
    async with open_storage(grpc_port=opening.port) as gateway:
        delete = QdrantCollections.delete

        async def close_then_delete(self: QdrantCollections, name: str) -> bool:
            opening.closed.add(name)
            return await delete(self, name)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(QdrantCollections, "delete", close_then_delete)
            with pytest.raises(Unavailable):
                await gateway.collections.delete("papers", tenant="default")
    assert physical in await _names(storage)
    assert (await storage.collections.get("papers", reader=WHOLE)).name == "papers"


async def test_ingestion_waits_for_a_collection_that_is_not_open_yet(
    storage: Storage, open_storage: OpenStorage, opening: OpeningQdrant
) -> None:
    default = await storage.collections.resolve("", tenant="default")
    async with open_storage(grpc_port=opening.port) as gateway:
        opening.closed.add(default.physical)
        ingesting = asyncio.create_task(gateway.ingest(NewDocument(id="a", text="One."), collection=default))
        async with asyncio.timeout(30):
            await opening.refused.wait()
        opening.closed.clear()
        (result,) = await ingesting
        assert result.error is None


async def test_collection_deleted_by_another_gateway_is_not_found_and_default_is_made_anew(
    storage: Storage, open_storage: OpenStorage
) -> None:
    await storage.ingest(NewDocument(id="a", text="One."))
    await storage.collections.create("papers", reader=WHOLE)
    async with open_storage() as other:
        stale = await other.collections.resolve("", tenant="default")
        await other.collections.resolve("papers", tenant="default")
        await storage.collections.delete("default", tenant="default")
        await storage.collections.delete("papers", tenant="default")
        with pytest.raises(NotFound):
            await other.documents.list(stale, page_size=10, reader=WHOLE)
        with pytest.raises(NotFound):
            await other.collections.get("papers", reader=WHOLE)
        (result,) = await other.ingest(
            NewDocument(id="b", text="Two."), collection=await storage.collections.resolve("", tenant="default")
        )
        assert result.error is None
        with pytest.raises(NotFound):
            await other.documents.get(stale, "a", reader=WHOLE)


async def test_collection_whose_alias_is_missing_is_read_and_the_next_write_completes_it(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="One."))
    before = await storage.collections.resolve("", tenant="default")
    await _drop_alias(storage, "default")
    storage.collections.forget(before)
    found = await storage.collections.find("", tenant="default")
    assert found is not None
    assert replace(found, contents=before.contents) == before  # which has been written to since
    assert [one.name for one in await storage.collections.list(reader=WHOLE)] == ["default"]
    assert await QdrantCollections(storage.connection).aliases() == {}
    await storage.ingest(NewDocument(id="b", text="Two."))
    assert await QdrantCollections(storage.connection).aliases() == {"default": before.physical}
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == 2


async def test_deletion_that_broke_off_after_the_alias_can_be_repeated(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    await _drop_alias(storage, "papers")
    await storage.collections.delete("papers", tenant="default")
    assert [name for name in await _names(storage) if name.startswith("papers")] == []


async def test_collection_and_alias_of_another_application_are_neither_shown_nor_touched(storage: Storage) -> None:
    await _make_foreign(storage, "theirs__0123456789ab")
    await _make_foreign(storage, "plain")
    await _alias(storage, "theirs", "theirs__0123456789ab")
    await _alias(storage, "other", "plain")
    await storage.collections.create("mine", reader=WHOLE)
    await _alias(storage, "second", (await storage.collections.resolve("mine", tenant="default")).physical)
    foreign = ("theirs", "other", "plain", "second")
    try:
        assert [one.name for one in await storage.collections.list(reader=WHOLE)] == ["mine"]
        for name in foreign:
            for call in (
                storage.collections.get(name, reader=WHOLE),
                storage.collections.delete(name, tenant="default"),
                storage.collections.find(name, tenant="default"),
            ):
                with pytest.raises(NotFound):
                    await call
            with pytest.raises(AlreadyExists) as caught:
                await storage.collections.create(name, reader=WHOLE)
            assert caught.value.reason == "COLLECTION_NAME_TAKEN"
        left = await _names(storage)
        assert {"theirs__0123456789ab", "plain"} <= set(left)
        described = await storage.connection.call(
            storage.connection.collections.Get,
            qdrant.GetCollectionInfoRequest(collection_name="theirs__0123456789ab"),
            timeout_seconds=5,
        )
        assert not described.result.payload_schema
    finally:
        await _delete_foreign(storage, "theirs__0123456789ab", "plain")


async def test_collection_of_another_application_with_the_name_of_ours_to_be_is_not_written_to(
    storage: Storage,
) -> None:
    physical = physical_name("default", (await storage.embed.model()).fingerprint, ANALYZER_VERSION)
    await _make_foreign(storage, physical)
    try:
        assert await storage.collections.find("", tenant="default") is None
        with pytest.raises(AlreadyExists) as caught:
            await storage.collections.resolve("", tenant="default")
        assert caught.value.reason == "COLLECTION_NAME_TAKEN"
        assert physical in caught.value.message
    finally:
        await _delete_foreign(storage, physical)


async def test_creation_of_one_collection_does_not_wait_for_that_of_another(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, held, release = QdrantCollections.index_system_fields, asyncio.Event(), asyncio.Event()

    async def hold(self: QdrantCollections, physical: str) -> None:
        if physical.startswith("slow__"):
            held.set()
            await release.wait()
        await index(self, physical)

    monkeypatch.setattr(QdrantCollections, "index_system_fields", hold)
    slow = asyncio.create_task(storage.collections.create("slow", reader=WHOLE))
    async with asyncio.timeout(60):
        await held.wait()
        assert (await storage.collections.create("quick", reader=WHOLE)).name == "quick"
        release.set()
        assert (await slow).name == "slow"


async def test_list_asks_for_many_collections_at_once_but_not_for_all(
    storage: Storage, open_storage: OpenStorage, opening: OpeningQdrant
) -> None:
    names = [f"c{number:02}" for number in range(20)]
    await asyncio.gather(*(storage.collections.create(name, reader=WHOLE) for name in names))
    async with open_storage(grpc_port=opening.port) as gateway:
        opening.most_at_once = 0  # what opening the gateway asked for is not the list's
        assert [one.name for one in await gateway.collections.list(reader=WHOLE)] == names
    assert 2 < opening.most_at_once <= 16
    assert opening.calls.count("/qdrant.Collections/ListAliases") == 1
