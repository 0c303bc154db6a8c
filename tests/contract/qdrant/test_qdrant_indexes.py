"""Payload indexes: made, described, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from qdrant_client import models

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient

KINDS = models.PayloadSchemaType


def point(number: int, **payload: Any) -> models.PointStruct:
    return models.PointStruct(id=number, vector={"dense": [1.0, 0.0, 0.0, 0.0]}, payload=payload)


@pytest.mark.parametrize(
    "kind",
    [KINDS.KEYWORD, KINDS.INTEGER, KINDS.FLOAT, KINDS.BOOL, KINDS.TEXT, KINDS.DATETIME, KINDS.UUID],
    ids=lambda kind: kind.value,
)
async def test_index_of_each_kind_is_described(
    client: AsyncQdrantClient, collection: str, kind: models.PayloadSchemaType
) -> None:
    await client.create_payload_index(collection, "metadata.key", kind)

    schema = (await client.get_collection(collection)).payload_schema

    assert schema["metadata.key"].data_type is kind
    assert schema["metadata.key"].points == 0


async def test_index_with_parameters_keeps_them(client: AsyncQdrantClient, collection: str) -> None:
    keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    integer = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=True, range=False)
    text = models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.MULTILINGUAL,
        lowercase=True,
        min_token_len=2,
        max_token_len=20,
    )
    await client.create_payload_index(collection, "tenant", keyword)
    await client.create_payload_index(collection, "number", integer)
    await client.create_payload_index(collection, "text", text)

    schema = (await client.get_collection(collection)).payload_schema

    described = {field: info.params for field, info in schema.items()}
    assert isinstance(described["tenant"], models.KeywordIndexParams)
    assert described["tenant"].is_tenant is True
    assert isinstance(described["number"], models.IntegerIndexParams)
    assert (described["number"].lookup, described["number"].range) == (True, False)
    assert isinstance(described["text"], models.TextIndexParams)
    assert described["text"].tokenizer is models.TokenizerType.MULTILINGUAL
    assert (described["text"].min_token_len, described["text"].max_token_len) == (2, 20)


async def test_index_counts_the_points_that_have_the_field(client: AsyncQdrantClient, collection: str) -> None:
    await client.upsert(collection, [point(1, key="a")])
    await client.create_payload_index(collection, "key", KINDS.KEYWORD)
    await client.upsert(collection, [point(2, key="b"), point(3)])

    schema = (await client.get_collection(collection)).payload_schema

    assert schema["key"].points == 2


async def test_index_made_again_changes_nothing(client: AsyncQdrantClient, collection: str) -> None:
    for _ in range(2):
        await client.create_payload_index(collection, "key", KINDS.KEYWORD)
        await client.upsert(collection, [point(1, key="a")])

    schema = (await client.get_collection(collection)).payload_schema

    assert (schema["key"].data_type, schema["key"].points) == (KINDS.KEYWORD, 1)


async def test_index_when_deleted_is_gone_and_its_field_is_still_filtered(
    client: AsyncQdrantClient, collection: str
) -> None:
    await client.create_payload_index(collection, "key", KINDS.KEYWORD)
    await client.upsert(collection, [point(1, key="a"), point(2, key="b")])

    await client.delete_payload_index(collection, "key")

    assert (await client.get_collection(collection)).payload_schema == {}
    condition = models.FieldCondition(key="key", match=models.MatchValue(value="b"))
    records, _ = await client.scroll(collection, models.Filter(must=[condition]))
    assert [record.id for record in records] == [2]
