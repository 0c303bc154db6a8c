"""Filters: each condition, and how they combine."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from contract.qdrant.refusals import refusal
from qdrant_client import grpc as qdrant
from qdrant_client import models
from qdrant_client.models import FieldCondition as Field
from qdrant_client.models import Filter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qdrant_client import AsyncQdrantClient

PAYLOADS: dict[int, dict[str, Any]] = {
    1: {"lang": "en", "year": 2019, "price": 1.5, "open": True, "tags": ["a", "b"], "text": "hybrid search engine"},
    2: {"lang": "zh", "year": 2020, "price": 2.5, "open": False, "tags": ["b"], "text": "search for a database"},
    3: {"lang": "en", "year": 2021, "price": -1.0, "open": True, "tags": [], "nothing": None, "text": "engine search"},
    4: {"lang": "de", "metadata": {"year": 2022, "source": {"kind": "web"}}, "at": "2024-05-01T12:00:00Z"},
    5: {"parts": [{"name": "x", "size": 1}, {"name": "y", "size": 9}], "at": "2025-05-01T12:00:00Z"},
}


@pytest.fixture(params=["without_indexes", "with_indexes"])
async def filtered(
    request: pytest.FixtureRequest, client: AsyncQdrantClient, new_collection: Callable[[], Awaitable[str]]
) -> str:
    """The payloads above, with and without indexes: an index must not change what matches."""
    name = await new_collection()
    if request.param == "with_indexes":
        kinds = models.PayloadSchemaType
        for field, kind in {
            "lang": kinds.KEYWORD,
            "year": kinds.INTEGER,
            "price": kinds.FLOAT,
            "open": kinds.BOOL,
            "tags": kinds.KEYWORD,
            "metadata.year": kinds.INTEGER,
            "metadata.source.kind": kinds.KEYWORD,
            "at": kinds.DATETIME,
            "parts[].name": kinds.KEYWORD,
        }.items():
            await client.create_payload_index(name, field, kind)
    points = [
        models.PointStruct(id=number, vector={"dense": [1.0, 0.0, 0.0, 0.0]}, payload=payload)
        for number, payload in PAYLOADS.items()
    ]
    await client.upsert(name, points)
    return name


def value(key: str, wanted: Any) -> Field:
    return Field(key=key, match=models.MatchValue(value=wanted))


EN = value("lang", "en")
OPEN = value("open", True)

CASES: dict[str, tuple[Any, set[int]]] = {
    "keyword": (EN, {1, 3}),
    "integer": (value("year", 2020), {2}),
    "boolean": (value("open", False), {2}),
    "in_a_list": (value("tags", "b"), {1, 2}),
    "any_of_keywords": (Field(key="lang", match=models.MatchAny(any=["de", "zh"])), {2, 4}),
    "any_of_integers": (Field(key="year", match=models.MatchAny(any=[2019, 2021, 7])), {1, 3}),
    "any_of_nothing": (Field(key="lang", match=models.MatchAny(any=[])), set()),
    "except_keywords": (Field(key="lang", match=models.MatchExcept(**{"except": ["en"]})), {2, 4}),
    "range_closed": (Field(key="year", range=models.Range(gte=2020, lte=2021)), {2, 3}),
    "range_open": (Field(key="price", range=models.Range(gt=-1.0, lt=2.5)), {1}),
    "range_in_an_object": (Field(key="metadata.year", range=models.Range(gte=2022)), {4}),
    "keyword_deep_in_an_object": (value("metadata.source.kind", "web"), {4}),
    "datetime_range": (
        Field(key="at", range=models.DatetimeRange(gte=datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))),
        {5},
    ),
    "values_count": (Field(key="tags", values_count=models.ValuesCount(gte=2)), {1}),
    "has_id": (models.HasIdCondition(has_id=[2, 4, 99]), {2, 4}),
    "is_empty": (models.IsEmptyCondition(is_empty=models.PayloadField(key="tags")), {3, 4, 5}),
    "is_null": (models.IsNullCondition(is_null=models.PayloadField(key="nothing")), {3}),
    "has_vector": (models.HasVectorCondition(has_vector="dense"), {1, 2, 3, 4, 5}),
    "has_no_such_vector": (models.HasVectorCondition(has_vector="bm25"), set()),
    "any_element": (value("parts[].name", "y"), {5}),
    "nested_in_one_element": (
        models.NestedCondition(
            nested=models.Nested(
                key="parts",
                filter=Filter(must=[value("name", "x"), Field(key="size", range=models.Range(lt=5))]),
            )
        ),
        {5},
    ),
    "nested_not_across_elements": (
        models.NestedCondition(
            nested=models.Nested(
                key="parts",
                filter=Filter(must=[value("name", "x"), Field(key="size", range=models.Range(gt=5))]),
            )
        ),
        set(),
    ),
    "must": (Filter(must=[EN, OPEN, value("year", 2019)]), {1}),
    "should": (Filter(should=[value("year", 2019), value("lang", "zh")]), {1, 2}),
    "must_not": (Filter(must_not=[EN]), {2, 4, 5}),
    "must_and_should_and_must_not": (
        Filter(must=[EN], should=[value("tags", "a"), value("year", 2021)], must_not=[value("year", 2021)]),
        {1},
    ),
    "min_should": (
        Filter(min_should=models.MinShould(conditions=[EN, OPEN, value("tags", "b")], min_count=3)),
        {1},
    ),
    "filter_in_a_filter": (Filter(must=[Filter(should=[value("lang", "zh"), value("lang", "de")])]), {2, 4}),
    "not_in_a_filter": (Filter(must=[OPEN, Filter(must_not=[value("tags", "a")])]), {3}),
    "empty_filter": (Filter(), {1, 2, 3, 4, 5}),
    "unknown_field": (value("no_such_field", "x"), set()),
}


async def test_filter_of_each_kind_matches_exactly_the_points_it_describes(
    client: AsyncQdrantClient, filtered: str
) -> None:
    expected = {name: points for name, (_, points) in CASES.items()}
    scrolled, queried, counted = {}, {}, {}
    for name, (condition, _) in CASES.items():
        filter_ = condition if isinstance(condition, Filter) else Filter(must=[condition])
        records, _ = await client.scroll(filtered, filter_, limit=100)
        scrolled[name] = {record.id for record in records}
        response = await client.query_points(
            filtered, query=[1.0, 0.0, 0.0, 0.0], using="dense", query_filter=filter_, limit=100
        )
        queried[name] = {point.id for point in response.points}
        counted[name] = (await client.count(filtered, filter_)).count

    assert scrolled == expected
    assert queried == expected
    assert counted == {name: len(points) for name, points in expected.items()}


async def test_filter_by_text_needs_all_the_words_in_any_order(client: AsyncQdrantClient, filtered: str) -> None:
    index = models.TextIndexParams(type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True)
    await client.create_payload_index(filtered, "text", index)

    async def matching(words: str) -> set[Any]:
        condition = Field(key="text", match=models.MatchText(text=words))
        return {record.id for record in (await client.scroll(filtered, Filter(must=[condition])))[0]}

    assert await matching("search") == {1, 2, 3}
    assert await matching("Search ENGINE") == {1, 3}
    assert await matching("engine database") == set()


async def test_filter_with_a_condition_that_says_nothing_is_refused(client: AsyncQdrantClient, collection: str) -> None:
    nothing = qdrant.Condition(field=qdrant.FieldCondition(key="lang"))

    await refusal(
        client.grpc_points.Count(qdrant.CountPoints(collection_name=collection, filter=qdrant.Filter(must=[nothing]))),
        grpc.StatusCode.INVALID_ARGUMENT,
    )
