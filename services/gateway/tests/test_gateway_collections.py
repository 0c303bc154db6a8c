"""Collections: names, aliases, models, and what happens when several gateways do the same at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from qdrant_client import grpc as qdrant
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.names import physical_name
from trivium_gateway.library.documents import DocumentStatus, NewDocument
from trivium_gateway.models.embed_answers import EmbedModel
from trivium_gateway.qdrant.collections import Distribution, QdrantCollections
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import AlreadyExists, FailedPrecondition, InvalidField, NotFound

from .conftest import WHOLE

if TYPE_CHECKING:
    from .conftest import OpenStorage, Storage


async def test_created_collection_is_described_with_its_model(storage: Storage) -> None:
    model = await storage.embed.model()
    created = await storage.collections.create("papers", reader=WHOLE)
    assert created.name == "papers"
    assert (created.model, created.model_fingerprint, created.dimension) == (
        model.name,
        model.fingerprint,
        model.dimension,
    )
    assert created.chunk_count == 0
    assert created.metadata_keys == {}
    assert await storage.collections.get("papers", reader=WHOLE) == created


async def test_physical_collection_is_named_for_the_model_and_indexed_before_data(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    resolved = await storage.collections.resolve("papers", tenant="default")
    assert resolved.physical == physical_name("papers", resolved.made.fingerprint, ANALYZER_VERSION)
    assert (await storage.embed.model()).fingerprint == resolved.made.fingerprint
    info = await storage.connection.call(
        storage.connection.collections.Get,
        qdrant.GetCollectionInfoRequest(collection_name=resolved.physical),
        timeout_seconds=5,
    )
    assert set(info.result.payload_schema) == {
        "tenant",
        "document_id",
        "chunk_index",
        "content_hash",
        "chunk_count",
        "container",
        "uri",
        "has_token_codes",
        "text_bytes_high",
        "text_bytes_low",
    }
    assert info.result.payload_schema["tenant"].params.keyword_index_params.is_tenant


async def test_new_collection_asks_for_the_shards_and_copies_that_are_set(storage: Storage) -> None:
    collections = QdrantCollections(storage.connection, Distribution(shard_number=6, replication_factor=2))

    await collections.create("spread", IndexMaking("words", "f", dimension=4, analyzer=1))

    info = await storage.connection.call(
        storage.connection.collections.Get,
        qdrant.GetCollectionInfoRequest(collection_name="spread"),
        timeout_seconds=5,
    )
    assert (info.result.config.params.shard_number, info.result.config.params.replication_factor) == (6, 2)
    assert (await collections.describe("spread")).made.dimension == 4


async def test_default_is_created_on_first_write_and_not_by_reading(storage: Storage) -> None:
    assert await storage.collections.find("", tenant="default") is None
    assert await storage.collections.list(reader=WHOLE) == []
    assert (await storage.collections.resolve("", tenant="default")).name == "default"
    assert await storage.collections.find("default", tenant="default") is not None


async def test_unknown_collection_is_not_found(storage: Storage) -> None:
    for call in (
        storage.collections.resolve("nowhere", tenant="default"),
        storage.collections.find("nowhere", tenant="default"),
        storage.collections.get("nowhere", reader=WHOLE),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.reason == "COLLECTION_NOT_FOUND"


async def test_creating_twice_is_refused(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    with pytest.raises(AlreadyExists) as caught:
        await storage.collections.create("papers", reader=WHOLE)
    assert caught.value.reason == "COLLECTION_EXISTS"


async def test_creating_at_once_succeeds_exactly_once(storage: Storage) -> None:
    outcomes = await asyncio.gather(
        *(storage.collections.create("papers", reader=WHOLE) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 4
    assert [found.name for found in await storage.collections.list(reader=WHOLE)] == ["papers"]


async def test_two_gateways_that_create_default_at_once_share_it(storage: Storage, open_storage: OpenStorage) -> None:
    async with open_storage() as other:
        one, two = await asyncio.gather(
            storage.collections.resolve("", tenant="default"), other.collections.resolve("", tenant="default")
        )
        assert one.physical == two.physical
        await asyncio.gather(
            storage.ingest(NewDocument(id="a", text="one")), other.ingest(NewDocument(id="b", text="two"))
        )
    assert (await storage.collections.get("default", reader=WHOLE)).chunk_count == 2


@pytest.mark.parametrize("name", ["", "-a", "_a", "a b", "ä", "a/b", "x" * 65, "default__0123456789ab", "a\n"])
async def test_name_that_is_none_is_refused(storage: Storage, name: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await storage.collections.create(name, reader=WHOLE)
    assert caught.value.field == "name"


async def test_collections_are_listed_in_the_order_of_their_names(storage: Storage) -> None:
    for name in ("b", "a", "C"):
        await storage.collections.create(name, reader=WHOLE)
    assert [found.name for found in await storage.collections.list(reader=WHOLE)] == ["C", "a", "b"]


async def test_deleted_collection_is_gone_with_its_data(storage: Storage) -> None:
    await storage.ingest(NewDocument(id="a", text="one"))
    stale = await storage.collections.resolve("", tenant="default")
    await storage.collections.delete("default", tenant="default")
    assert await storage.collections.find("", tenant="default") is None
    with pytest.raises(NotFound):
        await storage.collections.delete("default", tenant="default")
    with pytest.raises(NotFound):
        await storage.chunk_search.search(stale, vector=None, text="one", limit=1, timeout_seconds=5, reader=WHOLE)
    with pytest.raises(NotFound):
        await storage.collections.get("default", reader=WHOLE)


async def test_creation_that_broke_off_is_completed_by_the_next_one(storage: Storage) -> None:
    await storage.collections.create("papers", reader=WHOLE)
    resolved = await storage.collections.resolve("papers", tenant="default")
    drop = qdrant.AliasOperations(delete_alias=qdrant.DeleteAlias(alias_name="papers"))
    await storage.connection.call(
        storage.connection.collections.UpdateAliases, qdrant.ChangeAliases(actions=[drop]), timeout_seconds=5
    )
    assert (await storage.collections.create("papers", reader=WHOLE)).name == "papers"
    assert await storage.collections.resolve("papers", tenant="default") == resolved


async def test_collection_of_another_model_takes_no_documents(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await storage.embed.model()

    async def earlier_model(**_: object) -> EmbedModel:
        return EmbedModel("earlier", "0" * 64, model.dimension, model.max_texts, model.max_input_tokens)

    with monkeypatch.context() as patch:
        patch.setattr(storage.embed, "model", earlier_model)
        await storage.collections.create("papers", reader=WHOLE)
    papers = await storage.collections.resolve("papers", tenant="default")
    assert papers.made.fingerprint == "0" * 64
    with pytest.raises(FailedPrecondition) as caught:
        await storage.ingest(NewDocument(text="one"), collection=papers)
    assert caught.value.reason == "MODEL_CHANGED"
    with pytest.raises(FailedPrecondition) as caught:
        await storage.embed.embed_query(
            "one", reader=WHOLE, expected_fingerprint=papers.made.fingerprint, timeout_seconds=5
        )
    assert caught.value.reason == "MODEL_CHANGED"


async def test_metadata_keys_appear_with_the_kinds_of_their_values(storage: Storage) -> None:
    await storage.ingest(NewDocument(text="a", metadata={"year": 2020, "tags": ["x"], "open": True, "none": []}))
    described = await storage.collections.get("default", reader=WHOLE)
    assert described.metadata_keys == {
        "open": MetadataKind.BOOLEAN,
        "tags": MetadataKind.TEXT,
        "year": MetadataKind.NUMBER,
    }


async def test_filter_on_a_key_that_another_gateway_has_added_since_is_accepted(
    storage: Storage, open_storage: OpenStorage
) -> None:
    default = await storage.collections.resolve("", tenant="default")
    async with open_storage() as other:
        await other.ingest(NewDocument(text="a", metadata={"year": 2020}))
    assert await storage.collections.parse_filter(default, {"metadata.year": 2020}) is not None
    with pytest.raises(InvalidField):
        await storage.collections.parse_filter(default, {"metadata.month": 1})


async def test_key_keeps_the_kind_it_was_first_seen_with(storage: Storage) -> None:
    results = await storage.ingest(
        NewDocument(id="a", text="a", metadata={"year": 2020}),
        NewDocument(id="b", text="b", metadata={"year": "2021"}),
        NewDocument(id="c", text="c", metadata={"year": [2022.5]}),
    )
    assert [result.status for result in results] == [
        DocumentStatus.INDEXED,
        DocumentStatus.FAILED,
        DocumentStatus.INDEXED,
    ]
    assert results[1].error is not None
    assert results[1].error.reason == "METADATA_TYPE_CONFLICT"


async def test_keys_over_the_collections_limit_fail_their_document(open_storage: OpenStorage, storage: Storage) -> None:
    async with open_storage(max_collection_metadata_keys=2) as small:
        results = await small.ingest(
            NewDocument(id="a", text="a", metadata={"one": 1, "two": 2}),
            NewDocument(id="b", text="b", metadata={"three": 3}),
        )
    assert results[1].error is not None
    assert results[1].error.reason == "TOO_MANY_METADATA_KEYS"
    assert results[0].error is None
