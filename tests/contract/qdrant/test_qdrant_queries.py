"""Queries by one vector: order, scores, and what comes back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant.refusals import refusal
from qdrant_client import grpc as qdrant
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

QUERY = [1.0, 0.0, 0.0, 0.0]


@pytest.fixture
async def circle(client: AsyncQdrantClient, collection: str) -> str:
    """Points 0 to 8, ten degrees apart, point 0 in the direction of QUERY."""
    points = []
    for number in range(9):
        angle = math.radians(10 * number)
        vector = [math.cos(angle), math.sin(angle), 0.0, 0.0]
        payload = {"number": number, "half": number // 2, "object": {"even": number % 2 == 0, "odd": number % 2 == 1}}
        points.append(models.PointStruct(id=number, vector={"dense": vector}, payload=payload))
    await client.upsert(collection, points)
    return collection


async def found(client: AsyncQdrantClient, collection: str, **query: Any) -> list[models.ScoredPoint]:
    return (await client.query_points(collection, **{"query": QUERY, "using": "dense", **query})).points


async def test_query_by_dense_vector_gives_cosines_in_descending_order(client: AsyncQdrantClient, circle: str) -> None:
    points = await found(client, circle, limit=4)

    assert [point.id for point in points] == [0, 1, 2, 3]
    assert [point.score for point in points] == pytest.approx(
        [math.cos(math.radians(10 * number)) for number in range(4)], abs=1e-5
    )


async def test_query_without_a_limit_gives_ten(client: AsyncQdrantClient, circle: str) -> None:
    vectors = [models.PointStruct(id=100 + number, vector={"dense": QUERY}) for number in range(20)]
    await client.upsert(circle, vectors)
    query = qdrant.Query(nearest=qdrant.VectorInput(dense=qdrant.DenseVector(data=QUERY)))

    response = await client.grpc_points.Query(qdrant.QueryPoints(collection_name=circle, query=query, using="dense"))

    assert len(response.result) == 10


async def test_query_with_an_offset_continues_the_order(client: AsyncQdrantClient, circle: str) -> None:
    points = await found(client, circle, limit=3, offset=4)

    assert [point.id for point in points] == [4, 5, 6]


async def test_query_with_a_score_threshold_leaves_out_what_is_below(client: AsyncQdrantClient, circle: str) -> None:
    points = await found(client, circle, score_threshold=math.cos(math.radians(25)))

    assert [point.id for point in points] == [0, 1, 2]


async def test_query_with_a_filter_finds_the_nearest_that_match(client: AsyncQdrantClient, circle: str) -> None:
    odd = models.Filter(must=[models.FieldCondition(key="object.odd", match=models.MatchValue(value=True))])

    points = await found(client, circle, query_filter=odd, limit=2)

    assert [point.id for point in points] == [1, 3]


async def test_query_that_is_exact_or_has_an_ef_finds_the_same(client: AsyncQdrantClient, circle: str) -> None:
    for params in (models.SearchParams(exact=True), models.SearchParams(hnsw_ef=128)):
        points = await found(client, circle, search_params=params, limit=3)
        assert [point.id for point in points] == [0, 1, 2]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (True, {"number": 0, "half": 0, "object": {"even": True, "odd": False}}),
        (False, {}),
        (["number"], {"number": 0}),
        (["object.even"], {"object": {"even": True}}),
        (models.PayloadSelectorInclude(include=["number", "half"]), {"number": 0, "half": 0}),
        (models.PayloadSelectorExclude(exclude=["object"]), {"number": 0, "half": 0}),
        (models.PayloadSelectorExclude(exclude=["object.even", "half"]), {"number": 0, "object": {"odd": False}}),
    ],
)
async def test_query_returns_the_selected_payload(
    client: AsyncQdrantClient, circle: str, selector: Any, expected: dict[str, Any]
) -> None:
    (point,) = await found(client, circle, with_payload=selector, limit=1)

    assert (point.payload or {}) == expected


async def test_query_over_grpc_without_selectors_returns_ids_and_scores_only(
    client: AsyncQdrantClient, circle: str
) -> None:
    query = qdrant.Query(nearest=qdrant.VectorInput(dense=qdrant.DenseVector(data=QUERY)))
    request = qdrant.QueryPoints(collection_name=circle, query=query, using="dense", limit=1)

    (point,) = (await client.grpc_points.Query(request)).result

    assert point.id.num == 0
    assert not point.payload
    assert not point.HasField("vectors")


async def test_query_returns_the_selected_vectors(client: AsyncQdrantClient, circle: str) -> None:
    (point,) = await found(client, circle, with_vectors=["dense"], limit=1)

    assert isinstance(point.vector, dict)
    assert point.vector["dense"] == pytest.approx(QUERY)


async def test_query_by_sparse_vector_multiplies_by_the_idf(client: AsyncQdrantClient, collection: str) -> None:
    for number, indices in enumerate(([1, 2], [1], [1, 3], [4])):
        sparse = models.SparseVector(indices=indices, values=[1.0] * len(indices))
        await client.upsert(collection, [models.PointStruct(id=number, vector={"bm25": sparse})])
    query = models.SparseVector(indices=[1, 2], values=[1.0, 1.0])

    points = await found(client, collection, query=query, using="bm25")

    def idf(document_frequency: int, document_count: int = 4) -> float:
        return math.log((document_count - document_frequency + 0.5) / (document_frequency + 0.5) + 1)

    assert points[0].id == 0
    assert {point.id for point in points[1:]} == {1, 2}
    assert [point.score for point in points] == pytest.approx([idf(3) + idf(1), idf(3), idf(3)], abs=1e-5)


async def test_query_without_a_vector_gives_points_by_id(client: AsyncQdrantClient, circle: str) -> None:
    points = (await client.query_points(circle, limit=3)).points

    assert [point.id for point in points] == [0, 1, 2]


async def test_query_by_an_indexed_field_orders_by_it(client: AsyncQdrantClient, circle: str) -> None:
    await client.create_payload_index(circle, "number", models.PayloadSchemaType.INTEGER)
    order = models.OrderByQuery(order_by=models.OrderBy(key="number", direction=models.Direction.DESC, start_from=5))

    points = (await client.query_points(circle, query=order, limit=2)).points

    assert [point.id for point in points] == [5, 4]


async def test_query_batch_answers_each_query_in_its_place(client: AsyncQdrantClient, circle: str) -> None:
    requests = [
        models.QueryRequest(query=QUERY, using="dense", limit=1),
        models.QueryRequest(query=[0.0, 1.0, 0.0, 0.0], using="dense", limit=2, with_payload=["number"]),
        models.QueryRequest(query=QUERY, using="dense", score_threshold=2.0),
    ]

    responses = await client.query_batch_points(circle, requests)

    assert [[point.id for point in response.points] for response in responses] == [[0], [8, 7], []]
    assert responses[1].points[0].payload == {"number": 8}


@pytest.mark.parametrize(
    "query",
    [
        {"query": [1.0, 0.0]},
        {"using": "unknown"},
        {"using": None},
        {"using": "bm25"},
        {"query": models.SparseVector(indices=[1], values=[1.0])},
        {"limit": 0},
    ],
    ids=["dimension", "unknown_vector", "unnamed_vector", "dense_for_sparse", "sparse_for_dense", "limit_0"],
)
async def test_query_that_makes_no_sense_is_refused(
    client: AsyncQdrantClient, circle: str, query: dict[str, Any]
) -> None:
    await refusal(found(client, circle, **query), grpc.StatusCode.INVALID_ARGUMENT)


async def test_query_batch_with_one_bad_query_is_refused(client: AsyncQdrantClient, circle: str) -> None:
    requests = [
        models.QueryRequest(query=QUERY, using="dense"),
        models.QueryRequest(query=[1.0], using="dense"),
    ]

    await refusal(client.query_batch_points(circle, requests), grpc.StatusCode.INVALID_ARGUMENT)
