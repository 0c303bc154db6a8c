"""Pages, counts and facets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant.refusals import refusal
from qdrant_client import grpc as qdrant
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient


@pytest.fixture
async def documents(client: AsyncQdrantClient, collection: str) -> str:
    """25 points of 5 documents, 5 chunks each."""
    await client.create_payload_index(collection, "document_id", models.PayloadSchemaType.KEYWORD)
    await client.create_payload_index(collection, "chunk_index", models.PayloadSchemaType.INTEGER)
    await client.create_payload_index(collection, "score", models.PayloadSchemaType.FLOAT)
    await client.create_payload_index(collection, "even", models.PayloadSchemaType.BOOL)
    points = [
        models.PointStruct(
            id=number,
            vector={"dense": [1.0, 0.0, 0.0, float(number)]},
            payload={
                "document_id": f"d{number // 5}",
                "chunk_index": number % 5,
                "score": (number * 7 % 25) / 10,
                "even": number % 2 == 0,
            },
        )
        for number in range(25)
    ]
    await client.upsert(collection, points)
    return collection


def where(key: str, value: Any) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key=key, match=models.MatchValue(value=value))])


async def test_scroll_in_pages_gives_every_point_once_and_then_ends(client: AsyncQdrantClient, documents: str) -> None:
    pages: list[list[Any]] = []
    offset: Any = None
    while True:
        records, offset = await client.scroll(documents, limit=10, offset=offset)
        pages.append([record.id for record in records])
        if offset is None:
            break

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [point_id for page in pages for point_id in page] == list(range(25))


async def test_scroll_whose_last_page_is_full_ends_there(client: AsyncQdrantClient, documents: str) -> None:
    records, offset = await client.scroll(documents, limit=25)

    assert len(records) == 25
    assert offset is None


async def test_scroll_with_a_filter_pages_over_what_matches(client: AsyncQdrantClient, documents: str) -> None:
    first, offset = await client.scroll(documents, where("chunk_index", 0), limit=3)
    second, end = await client.scroll(documents, where("chunk_index", 0), limit=3, offset=offset)

    assert [record.id for record in first + second] == [0, 5, 10, 15, 20]
    assert end is None


async def test_scroll_returns_the_selected_payload_and_vectors(client: AsyncQdrantClient, documents: str) -> None:
    plain, _ = await client.scroll(documents, limit=1)
    chosen, _ = await client.scroll(documents, limit=1, with_payload=["chunk_index"], with_vectors=True)
    bare, _ = await client.scroll(documents, limit=1, with_payload=False)
    over_grpc = await client.grpc_points.Scroll(qdrant.ScrollPoints(collection_name=documents, limit=1))

    assert plain[0].payload == {"document_id": "d0", "chunk_index": 0, "score": 0.0, "even": True}
    assert plain[0].vector is None
    assert chosen[0].payload == {"chunk_index": 0}
    assert isinstance(chosen[0].vector, dict)
    assert bare[0].payload == {}
    assert set(over_grpc.result[0].payload) == {"document_id", "chunk_index", "score", "even"}


@pytest.mark.parametrize("key", ["chunk_index", "score"])
async def test_scroll_ordered_by_a_field_gives_its_order(client: AsyncQdrantClient, documents: str, key: str) -> None:
    ascending, _ = await client.scroll(documents, order_by=key, limit=25)
    order = models.OrderBy(key=key, direction=models.Direction.DESC, start_from=2)
    descending, _ = await client.scroll(documents, order_by=order, limit=25)

    rising = [record.payload[key] for record in ascending if record.payload]
    falling = [record.payload[key] for record in descending if record.payload]
    assert rising == sorted(rising)
    assert len(rising) == 25
    assert falling == sorted((value for value in rising if value <= 2), reverse=True)
    assert [record.order_value for record in descending] == pytest.approx(falling)


async def test_scroll_ordered_by_a_field_without_a_range_index_is_refused(
    client: AsyncQdrantClient, documents: str
) -> None:
    await refusal(client.scroll(documents, order_by="document_id"), grpc.StatusCode.INVALID_ARGUMENT)


async def test_scroll_with_a_limit_of_0_is_refused(client: AsyncQdrantClient, documents: str) -> None:
    await refusal(client.scroll(documents, limit=0), grpc.StatusCode.INVALID_ARGUMENT)


async def test_count_with_and_without_a_filter_is_exact(client: AsyncQdrantClient, documents: str) -> None:
    assert (await client.count(documents)).count == 25
    assert (await client.count(documents, where("document_id", "d1"))).count == 5
    assert (await client.count(documents, where("document_id", "none"))).count == 0


@pytest.mark.usefixtures("on_one_shard")  # each shard counts the values that are most frequent in it
async def test_facet_counts_points_by_value_with_most_first(client: AsyncQdrantClient, documents: str) -> None:
    await client.delete(documents, [0, 1, 5])

    whole = await client.facet(documents, "document_id", exact=True)
    first = await client.facet(documents, "document_id", limit=1, exact=True)
    numbers = await client.facet(documents, "chunk_index", facet_filter=where("document_id", "d4"), exact=True)
    truths = await client.facet(documents, "even", exact=True)

    assert {hit.value: hit.count for hit in whole.hits} == {"d0": 3, "d1": 4, "d2": 5, "d3": 5, "d4": 5}
    counts = [hit.count for hit in whole.hits]
    assert counts == sorted(counts, reverse=True)
    assert [hit.count for hit in first.hits] == [5]
    assert {hit.value: hit.count for hit in numbers.hits} == dict.fromkeys(range(5), 1)
    assert {hit.value: hit.count for hit in truths.hits} == {True: 12, False: 10}


async def test_facet_of_chosen_documents_counts_their_points(client: AsyncQdrantClient, documents: str) -> None:
    chosen = models.Filter(
        must=[models.FieldCondition(key="document_id", match=models.MatchAny(any=["d1", "d3", "missing"]))]
    )

    response = await client.facet(documents, "document_id", facet_filter=chosen, limit=100, exact=True)

    assert {hit.value: hit.count for hit in response.hits} == {"d1": 5, "d3": 5}


async def test_facet_of_a_field_without_an_index_is_refused(client: AsyncQdrantClient, collection: str) -> None:
    await client.upsert(
        collection, [models.PointStruct(id=1, vector={"dense": [1.0, 0.0, 0.0, 0.0]}, payload={"a": "b"})]
    )

    await refusal(client.facet(collection, "a"), grpc.StatusCode.INVALID_ARGUMENT)
