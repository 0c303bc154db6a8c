"""Damage is seen when a collection is opened, and stays within it; what is whole is never taken for damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
import qdrant_edge
from prometheus_client import CollectorRegistry
from qdrant_client import AsyncQdrantClient, models
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.data_folder import copy_tree, remove_tree
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.digests import clean_path, sealed_path, verify
from trivium_qdrant_edge.metrics import EngineMetrics
from trivium_qdrant_edge.optimizing import Optimizer
from trivium_serving.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trivium_qdrant_edge.child_process import QdrantEdgeProcess
    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.schema import CollectionSchema

    Start = Callable[..., QdrantEdgeProcess]
    Connect = Callable[[QdrantEdgeProcess], AsyncQdrantClient]

Operation = qdrant_edge.UpdateOperation


def upsert(*numbers: int) -> Callable[[], Change]:
    points = [
        qdrant_edge.Point(number, {"dense": [1.0, float(number), 0.0, 0.5]}, {"value": number}) for number in numbers
    ]
    return lambda: Change(Operation.upsert_points(points), numbers)


async def count(collection: Collection) -> int:
    return await collection.read(lambda shard: shard.count(qdrant_edge.CountRequest()))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes()[: offset + 1])
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes([content[offset] ^ 0xFF]))


async def opened(root: Path) -> Database:
    database = Database(root, max_collections=8)
    await database.open()
    return database


async def as_after_a_kill(database: Database, root: Path, copy: Path) -> Database:
    """What a start would find if the process were killed now."""
    copy_tree(root, copy)
    (copy / "lock").unlink()
    return await opened(copy)


async def test_flipped_byte_in_a_vector_is_seen_by_the_next_start(tmp_path: Path, schema: CollectionSchema) -> None:
    database = await opened(tmp_path / "qdrant")
    for name in ("docs", "other"):
        await database.create(name, schema)
        await database.collection(name).write(upsert(*range(100)))
    shard = database.collection("docs").path
    await database.close()
    (vectors,) = shard.glob("segments/*/vector_storage-dense/vectors/chunk_0.mmap")
    flip(vectors, 200)

    reopened = await opened(tmp_path / "qdrant")

    assert reopened.damaged() == ["docs"]
    with pytest.raises(FailedPrecondition, match=r"`docs` is damaged.*chunk_0\.mmap is not what was written") as caught:
        reopened.collection("docs")
    assert caught.value.reason == "COLLECTION_DAMAGED"
    assert await count(reopened.collection("other")) == 100
    await reopened.close()

    clean_path(shard).unlink()  # as the message says
    reopened = await opened(tmp_path / "qdrant")
    assert await count(reopened.collection("docs")) == 100
    await reopened.close()


async def test_log_that_is_truncated_is_seen_after_a_kill(database: Database, tmp_path: Path) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(100)))
    copy = tmp_path / "killed"
    copy_tree(tmp_path / "qdrant", copy)
    (copy / "lock").unlink()
    (log,) = copy.glob("collections/*/0/wal/open-1")
    with log.open("r+b") as file:
        file.truncate(1000)

    killed = await opened(copy)

    with pytest.raises(FailedPrecondition, match=r"open-1 is truncated"):
        killed.collection("docs")
    assert log.stat().st_size == 1000
    await killed.close()


async def test_collection_that_was_quiet_and_then_written_to_is_whole_after_a_kill(
    database: Database, tmp_path: Path
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(100)))
    assert await collection.flush()
    assert await collection.keep_digests()
    assert not await collection.keep_digests()
    await count(collection)
    verify(collection.path)
    quiet = await as_after_a_kill(database, tmp_path / "qdrant", tmp_path / "quiet")
    await collection.write(upsert(200))
    written_to = await as_after_a_kill(database, tmp_path / "qdrant", tmp_path / "written_to")

    assert await count(quiet.collection("docs")) == 100
    assert await count(written_to.collection("docs")) == 101
    for killed in (quiet, written_to):
        assert killed.set_aside_count() == 0
        await killed.close()


async def test_digests_of_files_that_changed_meanwhile_are_not_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(1))
    await collection.flush()

    def digest_while_written(path: Path) -> dict[str, str]:
        collection.durability.note_write(collection.path, 1)
        return {}

    monkeypatch.setattr("trivium_qdrant_edge.collection.digest_all", digest_while_written)

    assert not await collection.keep_digests()
    assert not clean_path(collection.path).exists()


async def test_index_that_is_damaged_is_seen_though_the_collection_was_written_to_since(
    database: Database, tmp_path: Path
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(300)))
    optimizer = Optimizer(database, EngineMetrics(CollectorRegistry()), from_points=10, quiet_seconds=0)
    await optimizer.optimize(collection)
    for operation in (  # none of them touches what is sealed
        upsert(5, 6, 1000)().operation,
        Operation.delete_points([1, 2]),
        Operation.set_payload([10], {"value": -1}),
        Operation.clear_payload([11]),
        Operation.delete_payload([12], ["value"]),
        Operation.create_field_index("value", qdrant_edge.PayloadSchemaType.Integer),
    ):
        change = Change(operation, None)
        await collection.write(lambda change=change: change)  # type: ignore[misc]
    await collection.flush()
    whole = await as_after_a_kill(database, tmp_path / "qdrant", tmp_path / "whole")
    assert await count(whole.collection("docs")) == 299
    assert whole.damaged() == []
    await whole.close()
    copy = tmp_path / "damaged"
    copy_tree(tmp_path / "qdrant", copy)
    (copy / "lock").unlink()
    (shard,) = copy.glob("collections/*/1")
    assert sealed_path(shard).exists()
    (matrix,) = shard.glob("segments/*/vector_storage-dense/matrix.dat")
    flip(matrix, 300)

    damaged = await opened(copy)

    with pytest.raises(FailedPrecondition, match=r"matrix\.dat is not what was written"):
        damaged.collection("docs")
    await damaged.close()


async def test_collection_whose_files_are_gone_is_damaged(tmp_path: Path, schema: CollectionSchema) -> None:
    database = await opened(tmp_path / "qdrant")
    await database.create("docs", schema)
    shard = database.collection("docs").path
    await database.close()
    remove_tree(shard)

    reopened = await opened(tmp_path / "qdrant")

    with pytest.raises(FailedPrecondition, match=f"{shard} is missing"):
        reopened.collection("docs")
    await reopened.close()


async def test_service_with_a_damaged_collection_says_so_everywhere_and_answers_for_the_others(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    process = start()
    client = connect(process)
    for name in ("docs", "other"):
        vectors = {"dense": models.VectorParams(size=4, distance=models.Distance.DOT)}
        await client.create_collection(name, vectors_config=vectors)
        await client.upsert(name, [models.PointStruct(id=1, vector={"dense": [1.0, 0.0, 0.0, 0.0]})])
        if name == "docs":
            (shard,) = (tmp_path / "data/qdrant/collections").glob("*/0")
    assert process.stop() == 0
    flip(next(shard.glob("segments/*/vector_storage-dense/vectors/chunk_0.mmap")), 1)

    client = connect(process := start())

    with pytest.raises(grpc.aio.AioRpcError, match="`docs` is damaged") as caught:
        await client.retrieve("docs", [1])
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert len(await client.retrieve("other", [1])) == 1
    assert {listed.name for listed in (await client.get_collections()).collections} == {"docs", "other"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.http_port}") as http:
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.text) == (200, "ready, without what is damaged: docs")
        assert "trivium_qdrant_edge_damaged_collections 1.0" in (await http.get("/metrics")).text
    assert "collection `docs` cannot be opened and is not served" in process.log()
