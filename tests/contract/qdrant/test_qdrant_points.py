"""Points: stored, read, changed, deleted."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant.refusals import refusal
from qdrant_client import grpc as qdrant
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

VECTOR = [0.6, 0.8, 0.0, 0.0]


def point(point_id: int | str, payload: dict[str, Any] | None = None) -> models.PointStruct:
    return models.PointStruct(id=point_id, vector={"dense": VECTOR}, payload=payload)


async def ids(client: AsyncQdrantClient, collection: str) -> list[int | str | uuid.UUID]:
    records, _ = await client.scroll(collection, limit=100)
    return [record.id for record in records]


async def test_point_with_every_kind_of_payload_comes_back_the_same(client: AsyncQdrantClient, collection: str) -> None:
    payload = {
        "text": "naïve 世界 😀",
        "integer": -(2**53),
        "float": 0.1,
        "whole_float": 2.0,
        "true": True,
        "null": None,
        "list": [1, "two", [3.5], {}],
        "object": {"nested": {"deep": [False]}},
        "empty": "",
    }
    await client.upsert(collection, [point(1, payload)])

    (record,) = await client.retrieve(collection, [1])

    assert record.payload == payload


async def test_point_ids_may_be_numbers_and_uuids(client: AsyncQdrantClient, collection: str) -> None:
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, "document 1"))
    await client.upsert(collection, [point(0), point(2**63 + 5), point(name)])

    found = await client.retrieve(collection, [name, 0, 2**63 + 5, 77, str(uuid.uuid4())])

    assert {str(record.id) for record in found} == {name, "0", str(2**63 + 5)}


async def test_point_vectors_come_back_as_they_were_stored(client: AsyncQdrantClient, collection: str) -> None:
    sparse = models.SparseVector(indices=[9, 1, 4], values=[1.0, 2.0, 0.5])
    await client.upsert(collection, [models.PointStruct(id=1, vector={"dense": VECTOR, "bm25": sparse})])

    (both,) = await client.retrieve(collection, [1], with_vectors=True)
    (one,) = await client.retrieve(collection, [1], with_vectors=["bm25"])

    assert isinstance(both.vector, dict)
    assert isinstance(one.vector, dict)
    assert both.vector["dense"] == pytest.approx(VECTOR)
    assert one.vector.keys() == {"bm25"}
    stored = one.vector["bm25"]
    assert isinstance(stored, models.SparseVector)
    assert dict(zip(stored.indices, stored.values, strict=True)) == {1: 2.0, 4: 0.5, 9: 1.0}


async def test_point_stored_again_replaces_vector_and_payload(client: AsyncQdrantClient, collection: str) -> None:
    await client.upsert(collection, [point(1, {"a": 1})])
    await client.upsert(
        collection, [models.PointStruct(id=1, vector={"dense": [0.0, 0.0, 0.0, 1.0]}, payload={"b": 2})]
    )

    (record,) = await client.retrieve(collection, [1], with_vectors=True)

    assert record.payload == {"b": 2}
    assert isinstance(record.vector, dict)
    assert record.vector["dense"] == [0.0, 0.0, 0.0, 1.0]
    assert (await client.count(collection)).count == 1


async def test_point_may_have_only_some_of_the_vectors(client: AsyncQdrantClient, collection: str) -> None:
    sparse = models.SparseVector(indices=[1], values=[1.0])
    await client.upsert(collection, [models.PointStruct(id=1, vector={"bm25": sparse}), point(2)])

    dense = await client.query_points(collection, query=VECTOR, using="dense")
    lexical = await client.query_points(collection, query=sparse, using="bm25")

    assert [found.id for found in dense.points] == [2]
    assert [found.id for found in lexical.points] == [1]


async def test_points_deleted_by_id_or_by_filter_are_gone(client: AsyncQdrantClient, collection: str) -> None:
    await client.upsert(collection, [point(number, {"document": f"d{number % 2}"}) for number in range(6)])

    await client.delete(collection, [0, 99])
    await client.delete(
        collection,
        models.Filter(must=[models.FieldCondition(key="document", match=models.MatchValue(value="d1"))]),
    )

    assert await ids(client, collection) == [2, 4]


async def test_points_deleted_by_what_they_have_not_stay(client: AsyncQdrantClient, collection: str) -> None:
    await client.upsert(collection, [point(1, {"hash": "new"}), point(2, {"hash": "old"}), point(3, {"hash": "older"})])

    await client.delete(
        collection,
        models.Filter(must_not=[models.FieldCondition(key="hash", match=models.MatchValue(value="new"))]),
    )

    assert await ids(client, collection) == [1]


async def test_payload_when_set_overwritten_and_deleted_changes_only_what_was_said(
    client: AsyncQdrantClient, collection: str
) -> None:
    await client.upsert(collection, [point(1, {"a": 1, "b": 1}), point(2, {"a": 2, "b": 2}), point(3, {"a": 3})])

    await client.set_payload(collection, {"c": 9}, points=[1, 2])
    await client.overwrite_payload(collection, {"only": True}, points=[2])
    await client.delete_payload(collection, ["b"], points=[1])
    await client.clear_payload(collection, [3])

    records, _ = await client.scroll(collection)
    assert {record.id: record.payload for record in records} == {1: {"a": 1, "c": 9}, 2: {"only": True}, 3: {}}


@pytest.mark.parametrize(
    "vector",
    [
        {"dense": [1.0, 2.0, 3.0]},
        {"dense": [1.0] * 5},
        {"dense": []},
        {"unknown": VECTOR},
        {"bm25": VECTOR},
        {"dense": models.SparseVector(indices=[1], values=[1.0])},
        {"bm25": models.SparseVector(indices=[1, 1], values=[1.0, 2.0])},
        VECTOR,
    ],
    ids=["too_short", "too_long", "empty", "unknown_name", "dense_as_sparse", "sparse_as_dense", "twice", "unnamed"],
)
async def test_point_that_does_not_fit_is_refused_with_its_whole_batch(
    client: AsyncQdrantClient, collection: str, vector: Any
) -> None:
    bad = models.PointStruct.model_construct(id=2, vector=vector, payload=None)

    await refusal(client.upsert(collection, [point(1), bad]), grpc.StatusCode.INVALID_ARGUMENT)

    assert await ids(client, collection) in ([], [1])  # a server may have stored the points before the bad one
    await client.upsert(collection, [point(3)])
    assert 2 not in await ids(client, collection)


async def test_point_of_the_wrong_dimension_is_refused_in_qdrants_words(
    client: AsyncQdrantClient, collection: str
) -> None:
    bad = models.PointStruct(id=1, vector={"dense": [1.0, 2.0, 3.0]})

    text = await refusal(client.upsert(collection, [bad]), grpc.StatusCode.INVALID_ARGUMENT)

    assert "Vector dimension error: expected dim: 4, got 3" in text


async def test_point_with_an_id_that_is_no_uuid_is_refused(client: AsyncQdrantClient, collection: str) -> None:
    vectors = qdrant.Vectors(
        vectors=qdrant.NamedVectors(vectors={"dense": qdrant.Vector(dense=qdrant.DenseVector(data=VECTOR))})
    )
    request = qdrant.UpsertPoints(
        collection_name=collection, points=[qdrant.PointStruct(id=qdrant.PointId(uuid="document-1"), vectors=vectors)]
    )

    await refusal(client.grpc_points.Upsert(request), grpc.StatusCode.INVALID_ARGUMENT)


async def test_point_when_acknowledged_is_found_by_the_next_call(client: AsyncQdrantClient, collection: str) -> None:
    for number in range(20):
        result = await client.upsert(collection, [point(number)], wait=True)
        assert result.status is models.UpdateStatus.COMPLETED
        assert (await client.count(collection, exact=True)).count == number + 1


async def test_upsert_that_only_inserts_or_only_updates_leaves_the_others(
    client: AsyncQdrantClient, collection: str
) -> None:
    await client.upsert(collection, [point(1, {"v": "old"})])

    await client.upsert(
        collection, [point(1, {"v": "new"}), point(2, {"v": "new"})], update_mode=models.UpdateMode.INSERT_ONLY
    )
    await client.upsert(
        collection, [point(2, {"v": "newer"}), point(3, {"v": "newer"})], update_mode=models.UpdateMode.UPDATE_ONLY
    )

    records, _ = await client.scroll(collection)
    assert {record.id: record.payload for record in records} == {1: {"v": "old"}, 2: {"v": "newer"}}


async def test_upsert_with_an_update_filter_changes_only_the_points_that_match(
    client: AsyncQdrantClient, collection: str
) -> None:
    await client.upsert(collection, [point(1, {"version": 1}), point(2, {"version": 5})])
    older = models.Filter(must=[models.FieldCondition(key="version", range=models.Range(lt=3))])

    await client.upsert(collection, [point(number, {"version": 3}) for number in (1, 2, 3)], update_filter=older)

    records, _ = await client.scroll(collection)
    assert {record.id: record.payload for record in records} == {
        1: {"version": 3},
        2: {"version": 5},
        3: {"version": 3},
    }
