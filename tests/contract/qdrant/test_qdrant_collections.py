"""Collections: made, described, listed, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from contract.qdrant.refusals import refusal
from qdrant_client import grpc as qdrant
from qdrant_client import models

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import AsyncQdrantClient

DENSE = {"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)}


async def test_collection_when_made_is_described_with_its_vectors(client: AsyncQdrantClient, collection: str) -> None:
    description = await client.get_collection(collection)

    assert description.status is models.CollectionStatus.GREEN
    assert description.points_count == 0
    assert description.payload_schema == {}
    vectors = description.config.params.vectors
    assert isinstance(vectors, dict)
    assert (vectors["dense"].size, vectors["dense"].distance) == (4, models.Distance.COSINE)
    sparse = description.config.params.sparse_vectors
    assert sparse is not None
    assert sparse["bm25"].modifier is models.Modifier.IDF


async def test_collection_with_an_unnamed_vector_stores_and_returns_it(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    await client.create_collection(name, vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
    await client.upsert(name, [models.PointStruct(id=1, vector=[1.0, 2.0])])

    (point,) = await client.retrieve(name, [1], with_vectors=True)

    assert point.vector == [1.0, 2.0]
    vectors = (await client.get_collection(name)).config.params.vectors
    assert isinstance(vectors, models.VectorParams)
    assert vectors.size == 2


async def test_collection_with_hnsw_and_metadata_keeps_them(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    await client.create_collection(
        name,
        vectors_config=DENSE,
        hnsw_config=models.HnswConfigDiff(m=8, ef_construct=64),
        metadata={"model": "all-MiniLM-L6-v2", "dimension": 384},
    )

    config = (await client.get_collection(name)).config

    assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (8, 64)
    assert config.metadata == {"model": "all-MiniLM-L6-v2", "dimension": 384}


async def test_collection_metadata_when_updated_is_merged(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    await client.create_collection(name, vectors_config=DENSE, metadata={"a": 1, "b": 2})

    await client.update_collection(name, metadata={"b": 3, "c": [True]})

    assert (await client.get_collection(name)).config.metadata == {"a": 1, "b": 3, "c": [True]}


async def test_collection_that_exists_is_listed_and_then_not(client: AsyncQdrantClient, collection: str) -> None:
    assert await client.collection_exists(collection)
    assert collection in [listed.name for listed in (await client.get_collections()).collections]

    assert await client.delete_collection(collection)

    assert not await client.collection_exists(collection)
    assert collection not in [listed.name for listed in (await client.get_collections()).collections]
    assert not await client.delete_collection(collection)


async def test_collection_made_anew_under_the_same_name_is_empty(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    await client.create_collection(name, vectors_config=DENSE)
    await client.upsert(name, [models.PointStruct(id=1, vector={"dense": [1.0, 0.0, 0.0, 0.0]})])
    await client.delete_collection(name)

    await client.create_collection(name, vectors_config=DENSE)

    assert (await client.count(name)).count == 0


async def test_collection_that_exists_cannot_be_made_again(client: AsyncQdrantClient, collection: str) -> None:
    text = await refusal(client.create_collection(collection, vectors_config=DENSE), grpc.StatusCode.ALREADY_EXISTS)

    assert collection in text


async def test_collection_with_an_impossible_name_or_size_is_refused(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    for name in ("a/b", "", "x" * 300):
        await refusal(client.create_collection(name, vectors_config=DENSE), grpc.StatusCode.INVALID_ARGUMENT)
    no_size = qdrant.VectorParams(size=0, distance=qdrant.Distance.Cosine)
    request = qdrant.CreateCollection(collection_name=new_name(), vectors_config=qdrant.VectorsConfig(params=no_size))
    await refusal(client.grpc_collections.Create(request), grpc.StatusCode.INVALID_ARGUMENT)


async def test_collection_is_made_with_the_shards_and_copies_that_are_asked_for(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()

    await client.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)},
        shard_number=2,
        replication_factor=2,
    )

    params = (await client.get_collection(name)).config.params
    assert (params.shard_number, params.replication_factor) == (2, 2)
    await client.upsert(name, [models.PointStruct(id=number, vector={"dense": [1.0] * 4}) for number in range(9)])
    assert (await client.count(name)).count == 9


async def test_collection_that_does_not_exist_is_not_found_by_any_call(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    name = new_name()
    vector = [1.0, 0.0, 0.0, 0.0]
    for call in (
        client.get_collection(name),
        client.upsert(name, [models.PointStruct(id=1, vector={"dense": vector})]),
        client.query_points(name, query=vector, using="dense"),
        client.scroll(name),
        client.count(name),
        client.delete(name, [1]),
        client.create_payload_index(name, "key", models.PayloadSchemaType.KEYWORD),
    ):
        text = await refusal(call, grpc.StatusCode.NOT_FOUND)
        assert f"Collection `{name}` doesn't exist!" in text
