"""The model `qdrant/bm25`, which the server computes from a document's text."""

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

MODEL = "qdrant/bm25"


def document(text: str, **options: Any) -> models.Document:
    return models.Document(text=text, model=MODEL, options={"tokenizer": "multilingual", **options})


async def store(client: AsyncQdrantClient, collection: str, texts: dict[int, str], **options: Any) -> None:
    points = [
        models.PointStruct(id=number, vector={"bm25": document(text, **options)}) for number, text in texts.items()
    ]
    await client.upsert(collection, points)


async def search(client: AsyncQdrantClient, collection: str, text: str, **options: Any) -> list[models.ScoredPoint]:
    return (await client.query_points(collection, query=document(text, **options), using="bm25")).points


async def stored_weights(client: AsyncQdrantClient, collection: str, point_id: int) -> list[float]:
    (record,) = await client.retrieve(collection, [point_id], with_vectors=True)
    assert isinstance(record.vector, dict)
    sparse = record.vector["bm25"]
    assert isinstance(sparse, models.SparseVector)
    return sorted(sparse.values)


async def test_bm25_finds_by_word_in_any_form_and_case(client: AsyncQdrantClient, collection: str) -> None:
    await store(client, collection, {1: "The engines were running.", 2: "Cooking pasta at home."})

    points = await search(client, collection, "RUN engine")

    assert [point.id for point in points] == [1]


async def test_bm25_with_the_multilingual_tokenizer_finds_chinese_words(
    client: AsyncQdrantClient, collection: str
) -> None:
    await store(client, collection, {1: "向量数据库支持混合搜索。", 2: "今天天气很好。"})

    points = await search(client, collection, "数据库")

    assert [point.id for point in points] == [1]


async def test_bm25_weight_of_a_term_is_that_of_the_formula(client: AsyncQdrantClient, collection: str) -> None:
    k, b, average = 1.5, 0.5, 8.0
    await store(client, collection, {1: "alpha alpha beta gamma"}, k=k, b=b, avg_len=average)

    def weight(frequency: int) -> float:
        return frequency * (k + 1) / (frequency + k * (1 - b + b * 4 / average))

    assert await stored_weights(client, collection, 1) == pytest.approx(
        sorted([weight(2), weight(1), weight(1)]), abs=1e-4
    )


async def test_bm25_score_is_weight_times_idf(client: AsyncQdrantClient, collection: str) -> None:
    await store(client, collection, {1: "alpha", 2: "beta", 3: "beta gamma"})
    (weight,) = await stored_weights(client, collection, 1)

    (point,) = await search(client, collection, "alpha")

    assert point.score == pytest.approx(weight * math.log((3 - 1 + 0.5) / (1 + 0.5) + 1), abs=1e-4)


async def test_bm25_of_a_text_without_words_finds_nothing(client: AsyncQdrantClient, collection: str) -> None:
    await store(client, collection, {1: "alpha", 2: "", 3: "..."})

    assert await search(client, collection, "") == []
    assert await search(client, collection, "?!") == []
    assert (await client.count(collection)).count == 3


async def test_bm25_options_decide_about_words(client: AsyncQdrantClient, collection: str) -> None:
    await store(client, collection, {1: "the running dogs"}, stemmer={"type": "none"}, stopwords={"custom": ["dogs"]})

    assert len(await stored_weights(client, collection, 1)) == 2
    assert await search(client, collection, "run", stemmer={"type": "none"}) == []
    assert len(await search(client, collection, "running", stemmer={"type": "none"})) == 1


async def test_bm25_in_a_prefetch_is_computed_too(client: AsyncQdrantClient, collection: str) -> None:
    await store(client, collection, {1: "alpha beta", 2: "beta"})
    prefetch = models.Prefetch(query=document("alpha"), using="bm25", limit=5)

    response = await client.query_points(
        collection, prefetch=[prefetch], query=models.FusionQuery(fusion=models.Fusion.RRF)
    )

    assert [point.id for point in response.points] == [1]


def query_with(collection: str, options: dict[str, Any]) -> qdrant.QueryPoints:
    values = {
        name: qdrant.Value(string_value=value) if isinstance(value, str) else qdrant.Value(double_value=value)
        for name, value in options.items()
    }
    document = qdrant.Document(text="alpha", model=MODEL, options=values)
    query = qdrant.Query(nearest=qdrant.VectorInput(document=document))
    return qdrant.QueryPoints(collection_name=collection, query=query, using="bm25")


@pytest.mark.parametrize("options", [{"k": -1.0}, {"b": 2.0}, {"tokenizer": "letters"}])
async def test_bm25_with_an_impossible_option_is_refused(
    client: AsyncQdrantClient, collection: str, is_edge: bool, options: dict[str, Any]
) -> None:
    # A server calls it its own failure; the engine says whose mistake it is, as both do of any other field.
    code = grpc.StatusCode.INVALID_ARGUMENT if is_edge else grpc.StatusCode.INTERNAL

    await refusal(client.grpc_points.Query(query_with(collection, options)), code)


async def test_bm25_of_an_unknown_language_is_refused_by_the_engine_and_taken_by_a_server(
    client: AsyncQdrantClient, collection: str, is_edge: bool
) -> None:
    # A server then searches without stemming and stopwords, in silence: for a language that is misspelt, worse.
    call = client.grpc_points.Query(query_with(collection, {"language": "klingon"}))

    if is_edge:
        await refusal(call, grpc.StatusCode.INVALID_ARGUMENT)
    else:
        await call
