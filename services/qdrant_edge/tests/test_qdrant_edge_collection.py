"""Who may touch a collection when: order, callers that leave, replacement of the data under readers."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import qdrant_edge
from prometheus_client import CollectorRegistry
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.data_folder import copy_tree
from trivium_qdrant_edge.metrics import EngineMetrics
from trivium_qdrant_edge.optimizing import OptimizationFailed, Optimizer
from trivium_serving.errors import InvalidField, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.database import Database


def upsert(*numbers: int, value: str = "") -> Callable[[], Change]:
    points = [
        qdrant_edge.Point(number, {"dense": [1.0, float(number), 0.0, 0.0]}, {"value": value}) for number in numbers
    ]
    return lambda: Change(qdrant_edge.UpdateOperation.upsert_points(points), numbers)


def delete(*numbers: int) -> Callable[[], Change]:
    return lambda: Change(qdrant_edge.UpdateOperation.delete_points(list(numbers)), numbers)


def index(field: str) -> Callable[[], Change]:
    operation = qdrant_edge.UpdateOperation.create_field_index(field, qdrant_edge.PayloadSchemaType.Keyword)
    return lambda: Change(operation, None)


async def values(collection: Collection) -> dict[int, str]:
    def read(shard: qdrant_edge.EdgeShard) -> dict[int, str]:
        records, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=10_000, with_payload=True))
        return {int(str(record.id)): (record.payload or {})["value"] for record in records}

    return await collection.read(read)


class BlockedWriter:
    """Keeps a collection's writer busy until `release`."""

    def __init__(self, collection: Collection) -> None:
        self._busy, self._free = threading.Event(), threading.Event()
        self.task = asyncio.create_task(collection.write(self._block))

    async def wait_until_busy(self) -> None:
        await asyncio.to_thread(self._busy.wait)

    def release(self) -> None:
        self._free.set()

    def _block(self) -> Change:
        self._busy.set()
        assert self._free.wait(30)
        return upsert(1, value="first")()


async def test_writes_happen_in_the_order_in_which_they_came(database: Database) -> None:
    collection = database.collection("docs")
    blocked = BlockedWriter(collection)

    later = [asyncio.create_task(collection.write(upsert(1, value=str(number)))) for number in range(20)]
    await blocked.wait_until_busy()
    blocked.release()
    await asyncio.gather(blocked.task, *later)

    assert await values(collection) == {1: "19"}


async def test_reads_pass_the_writes_that_wait(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(7, value="before"))
    blocked = BlockedWriter(collection)
    await blocked.wait_until_busy()

    assert await asyncio.wait_for(values(collection), 10) == {7: "before"}

    blocked.release()
    await blocked.task


async def test_write_whose_caller_left_before_its_turn_is_not_made(database: Database) -> None:
    collection = database.collection("docs")
    blocked = BlockedWriter(collection)
    await blocked.wait_until_busy()
    leaving = asyncio.create_task(collection.write(upsert(2)))
    await asyncio.sleep(0)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    blocked.release()
    await blocked.task

    assert (await values(collection)).keys() == {1}


async def test_writes_that_wait_when_their_collection_is_deleted_are_refused(database: Database) -> None:
    collection = database.collection("docs")
    blocked = BlockedWriter(collection)
    await blocked.wait_until_busy()
    waiting = asyncio.create_task(collection.write(upsert(2)))
    await asyncio.sleep(0)

    assert await database.delete("docs")
    blocked.release()

    with pytest.raises(Unavailable, match="`docs` is being closed or deleted"):
        await waiting
    with pytest.raises(NotFound):
        database.collection("docs")


async def test_collection_being_made_when_its_caller_leaves_is_made(database: Database) -> None:
    schema = database.collection("docs").entry.schema
    making = asyncio.create_task(database.create("other", schema))
    await asyncio.sleep(0)

    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await database.change_aliases([])  # waits for its turn

    assert [collection.name for collection in database.collections()] == ["docs", "other"]


async def test_replacement_has_the_writes_made_since_the_copy(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(10), value="old"))
    building = collection.path.with_name("building")

    await collection.copy(lambda: copy_tree(collection.path, building))
    await collection.write(upsert(3, 10, value="new"))
    await collection.write(delete(0))
    half = qdrant_edge.UpdateOperation.set_payload([4, 999], {"value": "half"})
    with pytest.raises(NotFound):  # half applied, on both
        await collection.write(lambda: Change(half, [4, 999]))
    expected = await values(collection)

    assert await database.adopt(collection, building, {})

    assert await values(collection) == expected
    assert collection.entry.generation == 1
    assert {path.name for path in collection.path.parent.iterdir()} == {"1", "1.sealed.json"}
    await collection.write(upsert(50, value="after"))
    assert (await values(collection))[50] == "after"


async def test_copy_that_caught_up_has_the_writes_made_before_and_after_that(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(10), value="old"))
    building = collection.path.with_name("building")

    await collection.copy(lambda: copy_tree(collection.path, building))
    await collection.write(upsert(3, 10, value="new"))
    assert await collection.catch_up(building)
    await collection.write(upsert(3, value="newer"))
    await collection.write(delete(0))
    expected = await values(collection)

    assert await database.adopt(collection, building, {})

    assert await values(collection) == expected
    assert expected[3] == "newer"


def some_change(draw: random.Random) -> Change:
    """A change of any kind, to points of which some are there."""
    operations = qdrant_edge.UpdateOperation
    ids: list[qdrant_edge.PointId] = [draw.randrange(40) for _ in range(3)]
    value = {"value": draw.choice("abc")}
    some = qdrant_edge.Filter(
        must=[qdrant_edge.FieldCondition("value", match=qdrant_edge.MatchValue(draw.choice("abc")))]
    )
    points = [
        qdrant_edge.Point(
            number,
            {
                "dense": [draw.random() for _ in range(4)],
                "bm25": qdrant_edge.SparseVector([draw.randrange(9)], [draw.random()]),
            },
            value,
        )
        for number in ids
    ]
    return draw.choice(
        [
            Change(operations.upsert_points(points), ids),
            Change(operations.upsert_points(points, update_mode=qdrant_edge.UpdateMode.UpdateOnly), ids),
            Change(operations.upsert_points(points, condition=some), ids),
            Change(operations.delete_points(ids), ids),
            Change(operations.delete_points_by_filter(some), some),
            Change(operations.set_payload_by_filter(some, {"more": draw.random()}, None), some),
            Change(operations.overwrite_payload_by_filter(some, value, None), some),
            Change(operations.clear_payload_by_filter(some), some),
            Change(operations.create_field_index("value", qdrant_edge.PayloadSchemaType.Keyword), None),
            Change(operations.delete_field_index("value"), None),
        ]
    )


async def everything(collection: Collection) -> tuple[object, ...]:
    """All points with all that is stored of them, and the indexes of the payload."""

    def read(shard: qdrant_edge.EdgeShard) -> tuple[object, ...]:
        records, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=1000, with_payload=True, with_vector=True))
        points = []
        for one in records:
            assert isinstance(one.vector, dict)
            points.append(repr((one.id, sorted(one.vector.items()), one.payload)))
        return sorted(points), sorted(shard.info().payload_schema)

    return await collection.read(read)


@pytest.mark.parametrize("seed", range(20))
async def test_copy_after_changes_of_every_kind_is_what_the_collection_is(database: Database, seed: int) -> None:
    draw = random.Random(seed)
    collection = database.collection("docs")
    building = collection.path.with_name("building")

    async def change(count: int) -> None:
        for _ in range(count):
            made = some_change(draw)
            with contextlib.suppress(NotFound, InvalidField):
                await collection.write(lambda made=made: made)  # type: ignore[misc]

    await collection.write(upsert(*range(30), value="a"))
    await change(20)
    await collection.copy(lambda: copy_tree(collection.path, building))
    await change(20)
    assert await collection.catch_up(building)
    await change(20)
    expected = await everything(collection)
    assert await database.adopt(collection, building, {})

    assert await everything(collection) == expected


async def test_replacement_lets_running_reads_end_on_the_old_data(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(1, value="x"))
    building = collection.path.with_name("building")
    await collection.copy(lambda: copy_tree(collection.path, building))
    reading, go_on = threading.Event(), threading.Event()

    def read_slowly(shard: qdrant_edge.EdgeShard) -> int:
        reading.set()
        assert go_on.wait(30)
        return shard.count(qdrant_edge.CountRequest())

    slow = asyncio.create_task(collection.read(read_slowly))
    await asyncio.to_thread(reading.wait)

    assert await database.adopt(collection, building, {})
    go_on.set()

    assert await slow == 1


async def test_replacement_of_a_deleted_collection_is_not_made(database: Database) -> None:
    collection = database.collection("docs")
    building = collection.path.with_name("building")
    await collection.copy(lambda: copy_tree(collection.path, building))
    await database.delete("docs")

    assert not await database.adopt(collection, building, {})


async def test_copy_that_nobody_waits_for_any_more_remembers_no_write(database: Database) -> None:
    collection = database.collection("docs")
    building = collection.path.with_name("building")
    copying, go_on = threading.Event(), threading.Event()

    def copy_slowly() -> None:
        copying.set()
        assert go_on.wait(30)
        copy_tree(collection.path, building)

    left = asyncio.create_task(collection.copy(copy_slowly))
    await asyncio.to_thread(copying.wait)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    collection.forget_copy()
    go_on.set()
    await collection.write(upsert(1))

    assert not await database.adopt(collection, building, {})


@pytest.mark.parametrize("of", ["points", "indexes"])
async def test_replacement_that_is_too_far_behind_is_not_made(
    database: Database, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    monkeypatch.setattr("trivium_qdrant_edge.changed_points._MOST_KEPT", 3)
    collection = database.collection("docs")
    building = collection.path.with_name("building")
    await collection.copy(lambda: copy_tree(collection.path, building))
    for number in range(4):
        await collection.write(upsert(number) if of == "points" else index("value"), size_bytes=1)

    assert not await database.adopt(collection, building, {})
    assert len(await values(collection)) == (4 if of == "points" else 0)


async def test_optimizer_when_its_child_fails_leaves_the_collection_as_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(100)))
    registry = CollectorRegistry()
    optimizer = Optimizer(database, EngineMetrics(registry), from_points=10, quiet_seconds=0)

    def copy_badly(source: Path, target: Path) -> None:
        copy_tree(source, target)
        (target / "edge_config.json").write_text("{")

    monkeypatch.setattr("trivium_qdrant_edge.optimizing.copy_tree", copy_badly)
    assert await optimizer.is_due(collection)
    with pytest.raises(OptimizationFailed, match="ended with status 1"):
        await optimizer.optimize(collection)

    assert not await optimizer.is_due(collection)  # not again until there is more to do
    assert registry.get_sample_value("trivium_qdrant_edge_optimizations_total", {"outcome": "failed"}) == 1
    assert [folder.name for folder in collection.path.parent.iterdir()] == ["0"]
    await collection.write(upsert(500))
    assert len(await values(collection)) == 101


async def test_optimizer_that_had_to_give_up_tries_again_once_the_collection_is_quiet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(100)))
    registry = CollectorRegistry()
    optimizer = Optimizer(database, EngineMetrics(registry), from_points=10, quiet_seconds=0)

    async def build_while_much_is_written(_: Path) -> None:
        for number in range(100, 110):
            await collection.write(upsert(number))

    with monkeypatch.context() as while_busy:
        while_busy.setattr("trivium_qdrant_edge.changed_points._MOST_KEPT", 3)
        while_busy.setattr("trivium_qdrant_edge.optimizing._run_child", build_while_much_is_written)
        await optimizer.optimize(collection)
    assert registry.get_sample_value("trivium_qdrant_edge_optimizations_total", {"outcome": "abandoned"}) == 1

    assert await optimizer.is_due(collection)
    await optimizer.optimize(collection)

    assert registry.get_sample_value("trivium_qdrant_edge_optimizations_total", {"outcome": "done"}) == 1
    assert not await optimizer.is_due(collection)


async def test_optimizer_builds_an_index_while_a_collection_is_written_all_the_time(database: Database) -> None:
    schema = replace(database.collection("docs").entry.schema, sparse={})  # so that each point has all vectors
    await database.create("dense", schema)
    collection = database.collection("dense")
    await collection.write(upsert(*range(100)))
    optimizer = Optimizer(database, EngineMetrics(CollectorRegistry()), from_points=60, quiet_seconds=3600)
    assert await optimizer.is_due(collection)

    await optimizer.optimize(collection)

    assert not await optimizer.is_due(collection)
    await collection.write(upsert(*range(100, 140)))
    assert not await optimizer.is_due(collection)
    settled = Optimizer(database, EngineMetrics(CollectorRegistry()), from_points=60, quiet_seconds=0)
    assert await settled.is_due(collection)  # half as many are enough once it is quiet
    await collection.write(upsert(*range(140, 160)))
    assert await optimizer.is_due(collection)


async def test_optimizer_without_enough_free_space_does_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(*range(100)))
    monkeypatch.setattr("trivium_qdrant_edge.optimizing.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    optimizer = Optimizer(database, EngineMetrics(CollectorRegistry()), from_points=10, quiet_seconds=0)

    with pytest.raises(OptimizationFailed, match="0 MiB are free"):
        await optimizer.optimize(collection)

    assert [folder.name for folder in collection.path.parent.iterdir()] == ["0"]


async def test_engine_that_panics_is_a_domain_error_and_goes_on(database: Database) -> None:
    collection = database.collection("docs")
    index = qdrant_edge.UpdateOperation.create_field_index("x", qdrant_edge.PayloadSchemaType.Float)
    await collection.write(lambda: Change(index, None))
    point = qdrant_edge.Point(1, {"dense": [1.0, 0.0, 0.0, 0.0]}, {"value": "", "x": 1.0})
    await collection.write(lambda: Change(qdrant_edge.UpdateOperation.upsert_points([point]), [1]))
    not_a_number = qdrant_edge.FieldCondition("x", range=qdrant_edge.RangeFloat(gte=float("nan")))
    request = qdrant_edge.CountRequest(filter=qdrant_edge.Filter(must=[not_a_number]))

    with pytest.raises(Exception, match="the engine panicked") as caught:
        await collection.read(lambda shard: shard.count(request))

    assert caught.value.reason == "ENGINE_FAILURE"  # type: ignore[attr-defined]
    await collection.write(upsert(2))
    assert len(await values(collection)) == 2


async def test_defect_in_our_own_code_is_not_taken_for_the_callers(database: Database) -> None:
    def defect(_: qdrant_edge.EdgeShard) -> Iterable[int]:
        return sorted([1, "a"])  # type: ignore[list-item]

    with pytest.raises(TypeError):
        await database.collection("docs").read(defect)
    with pytest.raises(InvalidField):
        await database.collection("docs").read(lambda _: qdrant_edge.Point("no uuid", {}))
