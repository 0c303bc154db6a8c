"""Prefetch and fusion: DBSF and RRF, computed here again from the scores of the legs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant.refusals import refusal
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

DENSE_QUERY = [1.0, 0.2, 0.0, 0.0]
SPARSE_QUERY = models.SparseVector(indices=[1, 2], values=[1.0, 1.0])

DENSE_LEG = models.Prefetch(query=DENSE_QUERY, using="dense", limit=7)
SPARSE_LEG = models.Prefetch(query=SPARSE_QUERY, using="bm25", limit=7)


@pytest.fixture
async def corpus(client: AsyncQdrantClient, collection: str) -> str:
    """Ten points on which the dense and the sparse leg disagree."""
    points = [
        models.PointStruct(
            id=number,
            vector={
                "dense": [1.0, number / 3, 0.1 * number, 0.0],
                "bm25": models.SparseVector(
                    indices=[1 + number % 2, 10 + number], values=[0.3 + number * number / 20, 1.0]
                ),
            },
            payload={"number": number, "tenant": "a" if number % 3 else "b"},
        )
        for number in range(10)
    ]
    await client.upsert(collection, points)
    return collection


async def leg(client: AsyncQdrantClient, collection: str, prefetch: models.Prefetch) -> list[tuple[Any, float]]:
    response = await client.query_points(
        collection, query=prefetch.query, using=prefetch.using, limit=prefetch.limit or 10
    )
    return [(point.id, point.score) for point in response.points]


async def fused(
    client: AsyncQdrantClient, collection: str, query: Any, legs: list[models.Prefetch], **more: Any
) -> dict[Any, float]:
    """Scores by id, in the order that came back."""
    response = await client.query_points(collection, prefetch=legs, query=query, **more)
    scores = {point.id: point.score for point in response.points}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    return scores


def dbsf(*legs: list[tuple[Any, float]]) -> dict[Any, float]:
    """Distribution-based score fusion: each leg's scores, scaled so that mean - 3 and + 3 deviations are 0 and 1."""
    total: dict[Any, float] = {}
    for results in legs:
        scores = [score for _, score in results]
        low = statistics.mean(scores) - 3 * statistics.stdev(scores)
        high = statistics.mean(scores) + 3 * statistics.stdev(scores)
        for point_id, score in results:
            total[point_id] = total.get(point_id, 0.0) + (score - low) / (high - low)
    return total


def rrf(*legs: list[tuple[Any, float]], k: int) -> dict[Any, float]:
    """Reciprocal rank fusion as Qdrant counts: the first rank is 0."""
    total: dict[Any, float] = {}
    for results in legs:
        for rank, (point_id, _) in enumerate(results):
            total[point_id] = total.get(point_id, 0.0) + 1 / (k + rank)
    return total


async def test_fusion_by_dbsf_adds_the_scaled_scores_of_the_legs(client: AsyncQdrantClient, corpus: str) -> None:
    dense, sparse = await leg(client, corpus, DENSE_LEG), await leg(client, corpus, SPARSE_LEG)

    scores = await fused(
        client, corpus, models.FusionQuery(fusion=models.Fusion.DBSF), [DENSE_LEG, SPARSE_LEG], limit=20
    )

    assert scores == pytest.approx(dbsf(dense, sparse), abs=1e-4)
    assert dict(dense).keys() & dict(sparse).keys()  # or no sum would have been seen


async def test_fusion_by_rrf_adds_the_reciprocal_ranks(client: AsyncQdrantClient, corpus: str) -> None:
    legs = [await leg(client, corpus, DENSE_LEG), await leg(client, corpus, SPARSE_LEG)]

    plain = await fused(client, corpus, models.FusionQuery(fusion=models.Fusion.RRF), [DENSE_LEG, SPARSE_LEG], limit=20)
    wide = await fused(client, corpus, models.RrfQuery(rrf=models.Rrf(k=60)), [DENSE_LEG, SPARSE_LEG], limit=20)

    assert plain == pytest.approx(rrf(*legs, k=2), abs=1e-5)
    assert wide == pytest.approx(rrf(*legs, k=60), abs=1e-5)


async def test_fusion_by_rrf_with_weights_favours_the_heavier_leg(client: AsyncQdrantClient, corpus: str) -> None:
    first_dense = (await leg(client, corpus, DENSE_LEG))[0][0]
    first_sparse = (await leg(client, corpus, SPARSE_LEG))[0][0]
    assert first_dense != first_sparse

    to_dense = await fused(client, corpus, models.RrfQuery(rrf=models.Rrf(weights=[5.0, 1.0])), [DENSE_LEG, SPARSE_LEG])
    to_sparse = await fused(
        client, corpus, models.RrfQuery(rrf=models.Rrf(weights=[1.0, 5.0])), [DENSE_LEG, SPARSE_LEG]
    )

    assert next(iter(to_dense)) == first_dense
    assert next(iter(to_sparse)) == first_sparse


async def test_fusion_with_a_limit_and_an_offset_is_a_window_of_the_whole(
    client: AsyncQdrantClient, corpus: str
) -> None:
    query = models.FusionQuery(fusion=models.Fusion.DBSF)
    whole = await fused(client, corpus, query, [DENSE_LEG, SPARSE_LEG], limit=20)

    window = await fused(client, corpus, query, [DENSE_LEG, SPARSE_LEG], limit=2, offset=1)

    assert list(window) == list(whole)[1:3]


async def test_fusion_returns_payload_and_obeys_the_filters_of_its_legs(client: AsyncQdrantClient, corpus: str) -> None:
    only_a = models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value="a"))])
    legs = [one.model_copy(update={"filter": only_a}) for one in (DENSE_LEG, SPARSE_LEG)]

    response = await client.query_points(
        corpus, prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.DBSF), with_payload=True
    )

    assert response.points
    for point in response.points:
        assert point.payload is not None
        assert (point.payload["number"], point.payload["tenant"]) == (point.id, "a")


async def test_fusion_with_a_filter_of_its_own_obeys_it(client: AsyncQdrantClient, corpus: str) -> None:
    only_b = models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value="b"))])

    scores = await fused(
        client, corpus, models.FusionQuery(fusion=models.Fusion.RRF), [DENSE_LEG, SPARSE_LEG], query_filter=only_b
    )

    assert scores
    assert set(scores) <= {0, 3, 6, 9}


async def test_fusion_of_one_leg_keeps_its_order(client: AsyncQdrantClient, corpus: str) -> None:
    scores = await fused(client, corpus, models.FusionQuery(fusion=models.Fusion.DBSF), [SPARSE_LEG])

    assert list(scores) == [point_id for point_id, _ in await leg(client, corpus, SPARSE_LEG)]


async def test_fusion_with_an_empty_leg_is_that_of_the_other(client: AsyncQdrantClient, corpus: str) -> None:
    nothing = models.Prefetch(query=models.SparseVector(indices=[999], values=[1.0]), using="bm25", limit=5)

    scores = await fused(client, corpus, models.FusionQuery(fusion=models.Fusion.DBSF), [DENSE_LEG, nothing])

    assert list(scores) == [point_id for point_id, _ in await leg(client, corpus, DENSE_LEG)]


@pytest.mark.usefixtures("on_one_shard")  # a prefetch's limit holds for each shard
async def test_prefetch_rescored_by_another_vector_keeps_its_candidates_only(
    client: AsyncQdrantClient, corpus: str
) -> None:
    candidates = {point_id for point_id, _ in await leg(client, corpus, SPARSE_LEG)}

    response = await client.query_points(corpus, prefetch=[SPARSE_LEG], query=DENSE_QUERY, using="dense")

    dense_order = [point_id for point_id, _ in await leg(client, corpus, DENSE_LEG.model_copy(update={"limit": 10}))]
    assert [point.id for point in response.points] == [number for number in dense_order if number in candidates]


@pytest.mark.usefixtures("on_one_shard")  # a prefetch's limit holds for each shard
async def test_prefetch_in_a_prefetch_fuses_and_then_rescores(client: AsyncQdrantClient, corpus: str) -> None:
    inner = models.Prefetch(
        prefetch=[DENSE_LEG, SPARSE_LEG], query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=3
    )
    best = list(
        await fused(client, corpus, models.FusionQuery(fusion=models.Fusion.DBSF), [DENSE_LEG, SPARSE_LEG], limit=3)
    )

    response = await client.query_points(corpus, prefetch=[inner], query=DENSE_QUERY, using="dense")

    assert {point.id for point in response.points} == set(best)
    scores = [point.score for point in response.points]
    assert scores == sorted(scores, reverse=True)


async def test_prefetch_with_a_score_threshold_leaves_out_what_is_below(client: AsyncQdrantClient, corpus: str) -> None:
    results = await leg(client, corpus, DENSE_LEG)
    above = results[1][1]

    scores = await fused(
        client,
        corpus,
        models.FusionQuery(fusion=models.Fusion.RRF),
        [DENSE_LEG.model_copy(update={"score_threshold": above - 1e-6})],
    )

    assert list(scores) == [point_id for point_id, _ in results[:2]]


async def test_fusion_without_legs_or_with_the_wrong_number_of_weights_is_refused(
    client: AsyncQdrantClient, corpus: str
) -> None:
    await refusal(
        client.query_points(corpus, query=models.FusionQuery(fusion=models.Fusion.RRF)),
        grpc.StatusCode.INVALID_ARGUMENT,
    )
    await refusal(
        client.query_points(
            corpus, prefetch=[DENSE_LEG], query=models.RrfQuery(rrf=models.Rrf(weights=[1.0, 2.0, 3.0]))
        ),
        grpc.StatusCode.INVALID_ARGUMENT,
    )
