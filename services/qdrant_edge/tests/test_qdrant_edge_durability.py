"""What was acknowledged survives the end of the process, whichever way it ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from qdrant_client import AsyncQdrantClient, models
from trivium_qdrant_edge.child_process import ChildFailed, QdrantEdgeProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., QdrantEdgeProcess]
    Connect = Callable[[QdrantEdgeProcess], AsyncQdrantClient]


async def create(client: AsyncQdrantClient, name: str) -> None:
    await client.create_collection(
        name,
        vectors_config={"dense": models.VectorParams(size=4, distance=models.Distance.DOT)},
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"model": "m"},
    )


def point(number: int) -> models.PointStruct:
    document = models.Document(text=f"word{number}", model="qdrant/bm25", options={"tokenizer": "multilingual"})
    vector: dict[str, Any] = {"dense": [float(number), 1.0, 0.0, 0.0], "bm25": document}
    return models.PointStruct(id=number, vector=vector, payload={"number": number})


async def stored(client: AsyncQdrantClient, name: str) -> dict[int, tuple[Any, Any]]:
    """Payload and dense vector by id."""
    records, _ = await client.scroll(name, limit=10_000, with_vectors=["dense"])
    found = {}
    for record in records:
        assert isinstance(record.vector, dict)
        assert isinstance(record.payload, dict)
        found[int(str(record.id))] = (record.payload["number"], record.vector["dense"])
    return found


async def test_upserts_acknowledged_before_a_kill_are_there_after_it(start: Start, connect: Connect) -> None:
    process = start()
    client = connect(process)
    await create(client, "docs__1")
    await client.create_payload_index("docs__1", "number", models.PayloadSchemaType.INTEGER)
    alias = models.CreateAlias(collection_name="docs__1", alias_name="docs")
    await client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    acknowledged: set[int] = set()
    enough = asyncio.Event()

    async def write(first: int) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):  # the kill
            for batch in range(first, 1_000_000, 60):
                numbers = range(batch, batch + 20)
                await client.upsert("docs", [point(number) for number in numbers], wait=True)
                acknowledged.update(numbers)
                if len(acknowledged) > 1500:
                    enough.set()

    writers = [asyncio.create_task(write(first)) for first in (0, 20, 40)]
    await asyncio.wait_for(enough.wait(), 60)
    process.kill()
    await asyncio.gather(*writers)

    client = connect(start())
    found = await stored(client, "docs")

    assert acknowledged <= found.keys()
    assert all(found[number] == (number, [float(number), 1.0, 0.0, 0.0]) for number in acknowledged)
    description = await client.get_collection("docs")
    assert description.config.metadata == {"model": "m"}
    assert description.payload_schema["number"].points == len(found)
    last = max(acknowledged)
    lexical = await client.query_points("docs", query=point(last).vector["bm25"], using="bm25")  # type: ignore[index,call-overload]
    assert [hit.id for hit in lexical.points] == [last]


async def test_changes_survive_a_kill_and_refused_ones_do_not_come_back(start: Start, connect: Connect) -> None:
    process = start()
    client = connect(process)
    await create(client, "docs")
    await client.upsert("docs", [point(number) for number in range(5)])
    await client.delete("docs", [1])
    where = models.Filter(must=[models.FieldCondition(key="number", match=models.MatchValue(value=2))])
    await client.delete("docs", where)
    await client.set_payload("docs", {"number": 30}, points=[3])
    bad = models.PointStruct(id=11, vector={"dense": [1.0]})
    with pytest.raises(grpc.aio.AioRpcError):
        await client.upsert("docs", [point(10), bad])
    before = await stored(client, "docs")

    process.kill()
    client = connect(start())

    assert {number: payload for number, (payload, _) in before.items()} == {0: 0, 3: 30, 4: 4}
    assert await stored(client, "docs") == before


async def test_collections_after_a_kill_amid_their_making_and_deletion_are_whole_or_gone(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    process = start()
    client = connect(process)
    exists: dict[str, bool] = {}
    in_doubt: set[str] = set()
    enough = asyncio.Event()

    async def change(worker: int) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError):  # the kill
            for number in range(1000):
                name = f"{worker}-{number}"
                in_doubt.add(name)
                await create(client, name)
                if number % 2:
                    await client.delete_collection(name)
                exists[name] = number % 2 == 0
                in_doubt.remove(name)
                if len(exists) >= 8:
                    enough.set()

    changes = [asyncio.create_task(change(worker)) for worker in range(3)]
    await asyncio.wait_for(enough.wait(), 60)
    process.kill()
    await asyncio.gather(*changes)
    client = connect(start())

    names = {listed.name for listed in (await client.get_collections()).collections}
    assert names - in_doubt == {name for name, is_there in exists.items() if is_there}
    assert len(list((tmp_path / "data/qdrant/collections").iterdir())) == len(names)
    for name in names:
        await client.upsert(name, [point(1)])
        assert (await client.count(name)).count == 1


async def test_service_when_terminated_ends_with_status_0_and_sets_aside_what_interrupted_changes_left(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    process = start()
    client = connect(process)
    await create(client, "docs")
    await client.upsert("docs", [point(number) for number in range(100)])
    assert process.stop() == 0
    collections = tmp_path / "data/qdrant/collections"
    (collection,) = collections.iterdir()
    half_created = collections / "0123456789abcdef"
    (half_created / "0" / "segments").mkdir(parents=True)
    half_built = collection / "0.optimized"
    half_built.mkdir()
    (half_built / "file").write_text("x")

    client = connect(process := start())

    assert list(collections.iterdir()) == [collection]
    assert [folder.name for folder in collection.iterdir()] == ["0"]
    assert len(await stored(client, "docs")) == 100
    (kept,) = (tmp_path / "data/qdrant/set-aside").iterdir()
    assert kept.name.endswith("-collections-0123456789abcdef")
    assert f"it is set aside as {kept}" in process.log()


async def test_service_whose_folder_is_damaged_or_in_use_says_so_in_one_line_and_does_not_start(
    start: Start, tmp_path: Path
) -> None:
    catalog = tmp_path / "data/qdrant/catalog.json"
    catalog.parent.mkdir(parents=True)
    catalog.write_text('{"format":')

    with pytest.raises(ChildFailed, match="status 1") as damaged:
        start()
    catalog.unlink()
    first = start()
    with pytest.raises(ChildFailed, match=f"is served by another process \\(pid {first.pid}\\)") as in_use:
        start()

    assert f"the catalog {catalog} is damaged" in str(damaged.value)
    assert "Traceback" not in str(damaged.value) + str(in_use.value)
    assert first.stop() == 0
