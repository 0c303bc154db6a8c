"""Aliases: they stand for a collection everywhere, and switch in one step."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
from contract.qdrant.refusals import refusal
from qdrant_client import models

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qdrant_client import AsyncQdrantClient

VECTOR = [1.0, 0.0, 0.0, 0.0]


def set_alias(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=alias, collection_name=collection))


def drop_alias(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def rename_alias(old: str, new: str) -> models.RenameAliasOperation:
    return models.RenameAliasOperation(rename_alias=models.RenameAlias(old_alias_name=old, new_alias_name=new))


async def aliases_of(client: AsyncQdrantClient, collection: str) -> list[str]:
    return sorted(alias.alias_name for alias in (await client.get_collection_aliases(collection)).aliases)


async def test_alias_stands_for_its_collection_in_every_call(
    client: AsyncQdrantClient, collection: str, new_name: Callable[[], str]
) -> None:
    alias = new_name()
    await client.update_collection_aliases([set_alias(alias, collection)])

    await client.create_payload_index(alias, "key", models.PayloadSchemaType.KEYWORD)
    await client.upsert(alias, [models.PointStruct(id=1, vector={"dense": VECTOR}, payload={"key": "a"})])

    assert (await client.count(collection)).count == 1
    assert (await client.query_points(alias, query=VECTOR, using="dense")).points[0].id == 1
    assert (await client.get_collection(alias)).points_count == 1
    assert await client.collection_exists(alias)
    assert await aliases_of(client, collection) == [alias]
    listed = (await client.get_aliases()).aliases
    assert models.AliasDescription(alias_name=alias, collection_name=collection) in listed


async def test_alias_when_switched_never_misses_and_never_shows_both(
    client: AsyncQdrantClient, new_collection: Callable[[], Awaitable[str]], new_name: Callable[[], str]
) -> None:
    old, new, alias = await new_collection(), await new_collection(), new_name()
    await client.upsert(old, [models.PointStruct(id=1, vector={"dense": VECTOR})])
    await client.upsert(new, [models.PointStruct(id=2, vector={"dense": VECTOR})])
    await client.update_collection_aliases([set_alias(alias, old)])
    seen: list[list[object]] = []
    has_read = asyncio.Event()

    async def read_until_switched() -> None:
        while not seen or seen[-1] != [2]:
            found = await client.query_points(alias, query=VECTOR, using="dense")
            seen.append([point.id for point in found.points])
            has_read.set()

    reading = asyncio.create_task(read_until_switched())
    await has_read.wait()
    await client.update_collection_aliases([drop_alias(alias), set_alias(alias, new)])
    await asyncio.wait_for(reading, 20)

    assert seen[0] == [1]
    assert all(ids in ([1], [2]) for ids in seen)


async def test_alias_when_renamed_keeps_its_collection(
    client: AsyncQdrantClient, collection: str, new_name: Callable[[], str]
) -> None:
    old, new = new_name(), new_name()
    await client.update_collection_aliases([set_alias(old, collection)])

    await client.update_collection_aliases([rename_alias(old, new)])

    assert await aliases_of(client, collection) == [new]
    assert not await client.collection_exists(old)


async def test_alias_when_set_again_points_to_the_other_collection(
    client: AsyncQdrantClient, new_collection: Callable[[], Awaitable[str]], new_name: Callable[[], str]
) -> None:
    first, second, alias = await new_collection(), await new_collection(), new_name()
    await client.update_collection_aliases([set_alias(alias, first)])

    await client.update_collection_aliases([set_alias(alias, second)])

    assert await aliases_of(client, first) == []
    assert await aliases_of(client, second) == [alias]


async def test_alias_goes_with_its_collection_and_cannot_delete_it(
    client: AsyncQdrantClient, collection: str, new_name: Callable[[], str]
) -> None:
    alias = new_name()
    await client.update_collection_aliases([set_alias(alias, collection)])

    assert not await client.delete_collection(alias)
    assert await client.collection_exists(collection)
    assert await client.delete_collection(collection)

    assert not await client.collection_exists(alias)
    assert alias not in [listed.alias_name for listed in (await client.get_aliases()).aliases]


async def test_aliases_of_a_collection_that_does_not_exist_are_none(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    assert await aliases_of(client, new_name()) == []


async def test_alias_to_a_collection_that_does_not_exist_is_refused(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    missing = new_name()

    text = await refusal(client.update_collection_aliases([set_alias(new_name(), missing)]), grpc.StatusCode.NOT_FOUND)

    assert f"Collection `{missing}` doesn't exist!" in text


async def test_alias_that_does_not_exist_cannot_be_renamed(
    client: AsyncQdrantClient, new_name: Callable[[], str]
) -> None:
    await refusal(client.update_collection_aliases([rename_alias(new_name(), new_name())]), grpc.StatusCode.NOT_FOUND)


async def test_alias_with_the_name_of_a_collection_is_refused_both_ways(
    client: AsyncQdrantClient, collection: str, new_name: Callable[[], str]
) -> None:
    alias = new_name()
    await client.update_collection_aliases([set_alias(alias, collection)])

    await refusal(client.update_collection_aliases([set_alias(collection, collection)]), grpc.StatusCode.ALREADY_EXISTS)
    await refusal(
        client.create_collection(
            alias, vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.COSINE)}
        ),
        grpc.StatusCode.INVALID_ARGUMENT,
    )
