"""When changes are forced to the disk, and when the engine shortens its log, which stops the whole process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import qdrant_edge
from prometheus_client import CollectorRegistry
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.collection import Collection
from trivium_qdrant_edge.data_folder import copy_tree
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.flushing import flush_forever
from trivium_qdrant_edge.metrics import EngineMetrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from trivium_qdrant_edge.schema import CollectionSchema


def upsert(*numbers: int) -> Callable[[], Change]:
    points = [qdrant_edge.Point(number, {"dense": [1.0, float(number), 0.0, 0.5]}, {}) for number in numbers]
    return lambda: Change(qdrant_edge.UpdateOperation.upsert_points(points), numbers)


async def test_engine_is_not_stopped_for_collections_that_are_written_to_again_and_again(
    database: Database, schema: CollectionSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    flush_now = Collection._flush_now

    def noted(collection: Collection) -> None:
        flushed.append(collection.name)
        flush_now(collection)

    monkeypatch.setattr(Collection, "_flush_now", noted)
    await database.create("other", schema)
    registry = CollectorRegistry()
    flushing = asyncio.create_task(flush_forever(database, EngineMetrics(registry), 0.01))
    number = 0
    async with asyncio.timeout(60):
        while (registry.get_sample_value("trivium_qdrant_edge_flush_duration_seconds_count") or 0) < 6:
            for name in ("docs", "other"):
                await database.collection(name).write(upsert(number := number + 1))
        assert flushed == []

        monkeypatch.setattr("trivium_qdrant_edge.durability._QUIET_SECONDS", 0.0)
        while set(flushed) != {"docs", "other"}:  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)


async def test_flush_is_due_when_the_log_has_become_long(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(1), size_bytes=100)
    assert await collection.sync()
    assert not collection.durability.is_flush_due
    await collection.write(upsert(2), size_bytes=16 << 20)
    assert collection.durability.is_flush_due
    assert await collection.flush()
    assert not collection.durability.is_flush_due
    assert not await collection.sync()


async def test_what_was_forced_to_the_disk_and_not_flushed_is_there_after_a_kill(
    database: Database, tmp_path: Path
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(50)))
    assert await collection.sync()
    await collection.write(upsert(*range(50, 60)))

    copy_tree(tmp_path / "qdrant", tmp_path / "killed")
    (tmp_path / "killed" / "lock").unlink()
    killed = Database(tmp_path / "killed", max_collections=8)
    await killed.open()
    assert await killed.collection("docs").read(lambda shard: shard.count(qdrant_edge.CountRequest())) == 60
    await killed.close()
