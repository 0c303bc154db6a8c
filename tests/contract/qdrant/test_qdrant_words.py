"""Words that Trivium's own analyzer made, stored and searched as ready-made sparse vectors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from qdrant_client import models
from trivium_lexical import SparseVector, document_vector, query_vector

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

TEXTS = (
    "Relay PPR-9087 was replaced on 2024-03-05.",
    "Relay PPR-9088 is certified by ISO 9001.",
    "The C++ driver listens on 10.0.0.1.",
    "The C# driver, version v2.3.1, costs 1,249.00 euros.",
    "北京大学的图书馆藏书很多",
    "保証期間は納品から三年です",
)
_LARGEST_INDEX = 2**32 - 1


def only(tenant: str) -> models.Filter:
    """Keeps the points of a tenant."""
    return models.Filter(must=[models.FieldCondition(key="tenant", match=models.MatchValue(value=tenant))])


def vector(sparse: SparseVector) -> models.SparseVector:
    """What the client sends of it."""
    return models.SparseVector(indices=list(sparse.indices), values=list(sparse.values))


async def store(client: AsyncQdrantClient, collection: str, tenant: str, first_id: int, texts: tuple[str, ...]) -> None:
    points = [
        models.PointStruct(
            id=first_id + number, vector={"bm25": vector(document_vector(text))}, payload={"tenant": tenant}
        )
        for number, text in enumerate(texts)
    ]
    await client.upsert(collection, points, wait=True)


def expected(query: str) -> dict[int, float]:
    """Scores by hand: for each shared term its weight in query and text, times its IDF over all texts."""
    documents = [dict(zip(one.indices, one.values, strict=True)) for one in map(document_vector, TEXTS)]
    asked = query_vector(query)
    scores: dict[int, float] = {}
    for term, weight in zip(asked.indices, asked.values, strict=True):
        having = [number for number, one in enumerate(documents) if term in one]
        idf = math.log((len(documents) - len(having) + 0.5) / (len(having) + 0.5) + 1)
        for number in having:
            scores[number] = scores.get(number, 0.0) + weight * documents[number][term] * idf
    return scores


async def found(client: AsyncQdrantClient, collection: str, query: str, *, own_corpus: bool) -> dict[int, float]:
    params = models.SearchParams(idf=models.IdfCorpusParams(corpus=only("a"))) if own_corpus else None
    response = await client.query_points(
        collection, query=vector(query_vector(query)), using="bm25", query_filter=only("a"), search_params=params
    )
    return {int(point.id): point.score for point in response.points}


@pytest.fixture
async def words(client: AsyncQdrantClient, collection: str) -> str:
    """The texts, of tenant a."""
    index = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    await client.create_payload_index(collection, "tenant", index)
    await store(client, collection, "a", 0, TEXTS)
    return collection


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("PPR-9087", 0),
        ("ppr 9088", 1),
        ("ISO 9001", 1),
        ("2024-03-05", 0),
        ("10.0.0.1", 2),
        ("C++", 2),
        ("C#", 3),
        ("v2.3.1", 3),
        ("1249", 3),
        ("图书馆", 4),
        ("保証期間", 5),
    ],
)
async def test_words_of_the_analyzer_score_by_weight_and_idf(
    client: AsyncQdrantClient, words: str, query: str, best: int
) -> None:
    scores = await found(client, words, query, own_corpus=False)

    assert scores == pytest.approx(expected(query), rel=1e-4)
    assert max(scores, key=lambda number: scores[number]) == best


async def test_words_of_the_analyzer_over_a_tenants_own_corpus_are_not_moved_by_another_tenant(
    client: AsyncQdrantClient, words: str
) -> None:
    await store(client, words, "b", 100, TEXTS[:1] * 50)

    assert await found(client, words, "PPR-9087", own_corpus=True) == pytest.approx(expected("PPR-9087"), rel=1e-4)
    # Without the corpus they are, or this would prove nothing.
    leaking = await found(client, words, "PPR-9087", own_corpus=False)
    assert leaking[0] < 0.8 * expected("PPR-9087")[0]


async def test_words_with_the_least_and_the_greatest_index_are_found(
    client: AsyncQdrantClient, collection: str
) -> None:
    ends = models.SparseVector(indices=[0, _LARGEST_INDEX], values=[1.0, 2.0])
    await client.upsert(collection, [models.PointStruct(id=1, vector={"bm25": ends})], wait=True)

    for index in ends.indices:
        query = models.SparseVector(indices=[index], values=[1.0])
        response = await client.query_points(collection, query=query, using="bm25")
        assert [point.id for point in response.points] == [1]
