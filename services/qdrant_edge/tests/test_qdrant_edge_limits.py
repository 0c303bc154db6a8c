"""Every limit, crossed: a clear error that says which, and nothing done."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import qdrant_edge
from prometheus_client import CollectorRegistry
from qdrant_client import grpc as qdrant
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.points_servicer import PointsServicer
from trivium_qdrant_edge.settings import Limits
from trivium_serving.admission import Admission
from trivium_serving.errors import FailedPrecondition, Overloaded, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from qdrant_client import AsyncQdrantClient
    from trivium_qdrant_edge.child_process import QdrantEdgeProcess
    from trivium_qdrant_edge.database import Database

LIMITS = Limits(points_per_call=5, query_limit=10, queries_per_batch=2, filter_conditions=6)


@pytest.fixture
def points(database: Database) -> PointsServicer:
    """A servicer with narrow limits."""
    admission = Admission(service="test", registry=CollectorRegistry(), max_requests=2, max_tokens=1 << 30)
    return PointsServicer(database, LIMITS, admission)


def upsert(count: int) -> qdrant.UpsertPoints:
    vector = qdrant.Vector(dense=qdrant.DenseVector(data=[1.0, 0.0, 0.0, 0.0]))
    vectors = qdrant.Vectors(vectors=qdrant.NamedVectors(vectors={"dense": vector}))
    structs = [qdrant.PointStruct(id=qdrant.PointId(num=number), vectors=vectors) for number in range(count)]
    return qdrant.UpsertPoints(collection_name="docs", points=structs)


def ids(count: int) -> list[qdrant.PointId]:
    return [qdrant.PointId(num=number) for number in range(count)]


def query(**fields: Any) -> qdrant.QueryPoints:
    nearest = qdrant.VectorInput(dense=qdrant.DenseVector(data=[1.0, 0.0, 0.0, 0.0]))
    return qdrant.QueryPoints(collection_name="docs", query=qdrant.Query(nearest=nearest), using="dense", **fields)


def filter_of(count: int) -> qdrant.Filter:
    """A filter of `count` conditions: one `any` and the values in it."""
    match = qdrant.Match(integers=qdrant.RepeatedIntegers(integers=range(count - 1)))
    return qdrant.Filter(must=[qdrant.Condition(field=qdrant.FieldCondition(key="a", match=match))])


def selector(count: int) -> qdrant.PointsSelector:
    return qdrant.PointsSelector(points=qdrant.PointsIdsList(ids=ids(count)))


CALLS: dict[str, tuple[str, Any, Any, str]] = {
    "points_upserted": ("Upsert", upsert(5), upsert(6), "6 points in one call, of which at most 5"),
    "points_deleted": (
        "Delete",
        qdrant.DeletePoints(collection_name="docs", points=selector(5)),
        qdrant.DeletePoints(collection_name="docs", points=selector(6)),
        "6 points in one call, of which at most 5",
    ),
    "points_read": (
        "Get",
        qdrant.GetPoints(collection_name="docs", ids=ids(5)),
        qdrant.GetPoints(collection_name="docs", ids=ids(6)),
        "6 ids in one call, of which at most 5",
    ),
    "results": ("Query", query(limit=10), query(limit=11), "11 results were asked for, of which at most 10"),
    "results_and_offset": (
        "Query",
        query(limit=5, offset=5),
        query(limit=5, offset=6),
        "11 results were asked for, of which at most 10",
    ),
    "results_of_a_prefetch": (
        "Query",
        query(prefetch=[qdrant.PrefetchQuery(limit=10)]),
        query(prefetch=[qdrant.PrefetchQuery(limit=1 << 40)]),
        "of which at most 10",
    ),
    "queries": (
        "QueryBatch",
        qdrant.QueryBatchPoints(collection_name="docs", query_points=[query()] * 2),
        qdrant.QueryBatchPoints(collection_name="docs", query_points=[query()] * 3),
        "3 queries in one batch, of which at most 2",
    ),
    "page": (
        "Scroll",
        qdrant.ScrollPoints(collection_name="docs", limit=10),
        qdrant.ScrollPoints(collection_name="docs", limit=11),
        "a page of 11 was asked for, the longest has 10",
    ),
    "facets": (
        "Facet",
        None,
        qdrant.FacetCounts(collection_name="docs", key="a", limit=11),
        "a page of 11 was asked for, the longest has 10",
    ),
    "conditions": (
        "Count",
        qdrant.CountPoints(collection_name="docs", filter=filter_of(6)),
        qdrant.CountPoints(collection_name="docs", filter=filter_of(7)),
        "may have 6 conditions",
    ),
    "conditions_of_all_filters_of_a_query": (
        "Query",
        query(filter=filter_of(3), prefetch=[qdrant.PrefetchQuery(filter=filter_of(3), limit=1)]),
        query(filter=filter_of(3), prefetch=[qdrant.PrefetchQuery(filter=filter_of(4), limit=1)]),
        "may have 6 conditions",
    ),
}


@pytest.mark.parametrize(("rpc", "at_limit", "over_limit", "text"), CALLS.values(), ids=CALLS.keys())
async def test_request_over_a_limit_is_refused_and_one_at_it_is_not(
    points: PointsServicer, database: Database, rpc: str, at_limit: Any, over_limit: Any, text: str
) -> None:
    if at_limit is not None:
        await getattr(points, rpc)(at_limit, None)
    count = database.collection("docs").points_count()

    with pytest.raises(TooLarge, match=text):
        await getattr(points, rpc)(over_limit, None)

    assert database.collection("docs").points_count() == count


async def test_collection_over_the_limit_is_refused_until_one_is_deleted(database: Database) -> None:
    schema = database.collection("docs").entry.schema
    for number in range(7):
        await database.create(f"docs{number}", schema)

    with pytest.raises(FailedPrecondition, match="There are 8 collections, which is the most") as caught:
        await database.create("one-more", schema)

    assert caught.value.reason == "TOO_MANY_COLLECTIONS"
    await database.delete("docs0")
    await database.create("one-more", schema)


@pytest.mark.parametrize(("most_calls", "most_bytes"), [(2, 1 << 30), (99, 100)], ids=["calls", "bytes"])
async def test_call_when_as_much_as_may_be_is_in_work_is_refused_at_once(
    database: Database, most_calls: int, most_bytes: int
) -> None:
    admission = Admission(service="test", registry=CollectorRegistry(), max_requests=most_calls, max_tokens=most_bytes)
    points = PointsServicer(database, LIMITS, admission)
    busy, free = threading.Event(), threading.Event()

    def block() -> Change:
        busy.set()
        assert free.wait(30)
        return Change(qdrant_edge.UpdateOperation.delete_points([]), [])

    blocking = asyncio.create_task(database.collection("docs").write(block))
    await asyncio.to_thread(busy.wait)
    waiting = [asyncio.create_task(points.Upsert(upsert(1), None)) for _ in range(2)]
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match="2 requests with"):
        await points.Upsert(upsert(3), None)

    free.set()
    await asyncio.gather(blocking, *waiting)
    assert (await points.Count(qdrant.CountPoints(collection_name="docs"), None)).result.count == 1


async def test_message_over_64_mib_is_refused_and_the_service_goes_on(
    start: Callable[..., QdrantEdgeProcess], connect: Callable[[QdrantEdgeProcess], AsyncQdrantClient]
) -> None:
    client = connect(start())
    request = qdrant.UpsertPoints(
        collection_name="docs",
        points=[qdrant.PointStruct(payload={"text": qdrant.Value(string_value="x" * (65 << 20))})],
    )

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.grpc_points.Upsert(request)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in (caught.value.details() or "")
    assert not await client.collection_exists("docs")
