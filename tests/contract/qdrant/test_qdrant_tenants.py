"""Tenants in one collection: each sees its own points only, and scores that the others' points do not move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient


def only(tenant: str) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=tenant))])


def text(words: str) -> models.Document:
    return models.Document(text=words, model="qdrant/bm25", options={"tokenizer": "multilingual"})


async def store(client: AsyncQdrantClient, collection: str, tenant: str, first_id: int, texts: list[str]) -> None:
    points = [
        models.PointStruct(
            id=first_id + number,
            vector={"dense": [1.0, float(number), 0.0, 0.0], "bm25": text(words)},
            payload={"tenant": tenant},
        )
        for number, words in enumerate(texts)
    ]
    await client.upsert(collection, points)


async def sparse_scores(
    client: AsyncQdrantClient, collection: str, tenant: str, words: str, *, own_corpus: bool
) -> list[float]:
    params = models.SearchParams(idf=models.IdfCorpusParams(corpus=only(tenant))) if own_corpus else None
    response = await client.query_points(
        collection, query=text(words), using="bm25", query_filter=only(tenant), search_params=params
    )
    return [point.score for point in response.points]


@pytest.fixture
async def tenants(client: AsyncQdrantClient, collection: str) -> str:
    """Tenant a with four points, of which one is about engines."""
    index = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    await client.create_payload_index(collection, "tenant", index)
    await store(client, collection, "a", 0, ["engines run", "cooking pasta", "garden birds", "paper boats"])
    return collection


async def test_tenant_scores_over_its_own_corpus_are_not_moved_by_another_tenant(
    client: AsyncQdrantClient, tenants: str
) -> None:
    before = await sparse_scores(client, tenants, "a", "engines", own_corpus=True)
    leaking = await sparse_scores(client, tenants, "a", "engines", own_corpus=False)

    await store(client, tenants, "b", 100, ["engines everywhere"] * 50)

    assert len(before) == 1
    assert await sparse_scores(client, tenants, "a", "engines", own_corpus=True) == pytest.approx(before)
    # Without the corpus they are, or the test above would prove nothing.
    assert (await sparse_scores(client, tenants, "a", "engines", own_corpus=False))[0] < leaking[0] / 2


async def test_tenant_corpus_in_a_prefetch_gives_the_scores_of_the_leg_alone(
    client: AsyncQdrantClient, tenants: str
) -> None:
    await store(client, tenants, "b", 100, ["engines everywhere"] * 50)
    alone = await sparse_scores(client, tenants, "a", "engines run", own_corpus=True)
    leg = models.Prefetch(
        query=text("engines run"),
        using="bm25",
        filter=only("a"),
        params=models.SearchParams(idf=models.IdfCorpusParams(corpus=only("a"))),
        score_threshold=alone[0] - 1e-4,
    )

    response = await client.query_points(tenants, prefetch=[leg], query=models.FusionQuery(fusion=models.Fusion.RRF))

    assert [point.id for point in response.points] == [0]


async def test_tenant_filter_in_every_leg_shows_no_point_of_another_tenant(
    client: AsyncQdrantClient, tenants: str
) -> None:
    await store(client, tenants, "b", 100, ["engines run"] * 20)
    legs = [
        models.Prefetch(query=text("engines run"), using="bm25", filter=only("a"), limit=50),
        models.Prefetch(query=[1.0, 0.0, 0.0, 0.0], using="dense", filter=only("a"), limit=50),
    ]

    response = await client.query_points(
        tenants, prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=50
    )

    assert {point.id for point in response.points} == {0, 1, 2, 3}
