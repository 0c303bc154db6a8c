"""A disk that is full or read-only: reading and deleting go on, writes are refused, and every start succeeds."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import qdrant_edge
from qdrant_client import models
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.child_process import QdrantEdgeProcess
from trivium_qdrant_edge.data_folder import copy_tree
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.room import Room
from trivium_serving.errors import FailedPrecondition, StorageFull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from qdrant_client import AsyncQdrantClient
    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.schema import CollectionSchema

    Connect = Callable[[QdrantEdgeProcess], AsyncQdrantClient]

_MIB = 1 << 20


def upsert(*numbers: int) -> Callable[[], Change]:
    points = [qdrant_edge.Point(number, {"dense": [1.0, float(number), 0.0, 0.0]}, {}) for number in numbers]
    return lambda: Change(qdrant_edge.UpdateOperation.upsert_points(points), numbers)


async def count(collection: Collection) -> int:
    return await collection.read(lambda shard: shard.count(qdrant_edge.CountRequest()))


def run(*command: object) -> None:
    try:
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk needs root and the right to mount: {error}")


@pytest.fixture(params=["ext4", "tmpfs"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A disk of 80 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if request.param == "tmpfs":
        run("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", disk)
    else:
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(80 * _MIB)
        run("mkfs.ext4", "-q", image)
        run("mount", "-o", "loop", image, disk)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=False)


@pytest.fixture
def opening_takes_no_room(request: pytest.FixtureRequest) -> bool:
    """Whether opening takes no room: in memory it takes that of the holes, which others must leave."""
    return bool(request.node.callspec.params["small_disk"] == "ext4")


def fill(disk: Path) -> Path:
    """Leaves nothing free."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        for size in (_MIB, 4096, 512):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    return ballast


def point(number: int) -> models.PointStruct:
    return models.PointStruct(id=number, vector={"dense": [1.0] * 64}, payload={"text": os.urandom(4000).hex()})


async def create(client: AsyncQdrantClient, name: str) -> None:
    vectors = {"dense": models.VectorParams(size=64, distance=models.Distance.DOT)}
    await client.create_collection(name, vectors_config=vectors)


async def ids(client: AsyncQdrantClient, name: str) -> set[Any]:
    records, _ = await client.scroll(name, limit=10_000, with_payload=False)
    return {record.id for record in records}


async def write_without_end(client: AsyncQdrantClient, name: str, stored: set[int]) -> None:
    for first in range(0, 100_000, 20):
        await client.upsert(name, [point(number) for number in range(first, first + 20)])
        stored.update(range(first, first + 20))


async def index_and_write_without_end(
    client: AsyncQdrantClient, name: str, kinds: list[models.PayloadSchemaType], made: list[str], stored: set[int]
) -> None:
    for number, kind in enumerate(kinds):  # their files are mostly holes, which the next start has to fill
        await client.create_payload_index(name, f"field{number}", kind)
        made.append(f"field{number}")
    await write_without_end(client, name, stored)


async def test_disk_that_fills_up_refuses_writes_and_goes_on_reading_deleting_and_starting(
    small_disk: Path, connect: Connect, opening_takes_no_room: bool
) -> None:
    # What is not flushed is stored again by the start after the kill.
    environment = {"TRIVIUM_QDRANT_EDGE_FLUSH_INTERVAL_SECONDS": "3600"}
    with QdrantEdgeProcess(small_disk / "data", environment) as process:
        client = connect(process)
        await create(client, "docs")
        await client.create_payload_index("docs", "text", models.PayloadSchemaType.KEYWORD)
        stored: set[int] = set()
        with pytest.raises(grpc.aio.AioRpcError) as full:
            await write_without_end(client, "docs", stored)
        assert full.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert (full.value.details() or "").startswith("No space left on device: ")
        assert len(stored) >= 500
        assert await ids(client, "docs") == stored

        if opening_takes_no_room:
            fill(small_disk)  # somebody else takes what was left
            with pytest.raises(grpc.aio.AioRpcError, match="No space left on device"):
                await client.upsert("docs", [point(0)])
        await client.delete("docs", list(range(300)))
        stored -= set(range(300))
        assert await ids(client, "docs") == stored
        process.kill()

    with QdrantEdgeProcess(small_disk / "data", environment) as process:
        client = connect(process)
        assert await ids(client, "docs") == stored
        await client.delete("docs", [400])
        stored.remove(400)
        assert process.stop() == 0

    (small_disk / "ballast").unlink(missing_ok=True)
    with QdrantEdgeProcess(small_disk / "data", environment) as process:
        client = connect(process)
        assert await ids(client, "docs") == stored
        await client.delete_collection("docs")
        await create(client, "docs")
        await client.upsert("docs", [point(1)])
        assert await ids(client, "docs") == {1}


@pytest.mark.parametrize("small_disk", ["tmpfs"], indirect=True)
async def test_start_in_memory_of_which_nothing_is_left_refuses_by_name_what_it_cannot_open(
    small_disk: Path, connect: Connect
) -> None:
    with QdrantEdgeProcess(small_disk / "data") as process:
        client = connect(process)
        await create(client, "docs")
        await client.upsert("docs", [point(1)])
        fill(small_disk)
        await client.delete("docs", [2])  # for which the reserve is given up
        process.kill()
    fill(small_disk)
    (small_disk / "data" / "qdrant" / "reserve").unlink(missing_ok=True)
    fill(small_disk)

    with QdrantEdgeProcess(small_disk / "data") as process:
        with pytest.raises(grpc.aio.AioRpcError, match="collection `docs` could not be opened"):
            await ids(connect(process), "docs")
        assert process.stop() == 0

    (small_disk / "ballast").unlink()
    with QdrantEdgeProcess(small_disk / "data") as process:
        assert await ids(connect(process), "docs") == {1}


@pytest.mark.parametrize("small_disk", ["tmpfs"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "most"), [(models.PayloadSchemaType.TEXT, 100), (models.PayloadSchemaType.KEYWORD, 7)], ids=str
)
async def test_indexes_and_points_that_the_next_start_could_not_open_in_memory_are_refused(
    small_disk: Path, connect: Connect, kind: models.PayloadSchemaType, most: int
) -> None:
    (small_disk / "ballast").write_bytes(bytes(6 * _MIB))
    with QdrantEdgeProcess(small_disk / "data") as process:
        client = connect(process)
        await create(client, "docs")
        stored: set[int] = set()
        made: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError, match="No space left on device"):
            await index_and_write_without_end(client, "docs", [kind] * most, made, stored)
        assert made
        process.kill()

    with QdrantEdgeProcess(small_disk / "data") as process:
        client = connect(process)
        assert await ids(client, "docs") == stored
        assert len((await client.get_collection("docs")).payload_schema) == len(made)


async def test_write_without_room_is_refused_and_a_deletion_is_not(database: Database) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(1, 2), size_bytes=100)

    with pytest.raises(StorageFull, match="No space left on device"):
        await collection.write(upsert(3), size_bytes=1 << 60)
    await collection.write(lambda: Change(qdrant_edge.UpdateOperation.delete_points([1]), [1]))

    assert await count(collection) == 1


def test_reserve_is_taken_given_up_when_the_disk_is_full_and_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(tmp_path, 8 * _MIB)
    room.keep()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 4 * _MIB

    with monkeypatch.context() as patch:
        patch.setattr(room, "_free", lambda: 300_000 if not (tmp_path / "reserve").exists() else 0)
        room.make_way()
        room.keep()
        assert not (tmp_path / "reserve").exists()
    room.keep()
    assert (tmp_path / "reserve").exists()


async def test_flush_that_fails_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = database.collection("docs")
    await collection.write(upsert(1))

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("trivium_qdrant_edge.collection.sync_files", fail)
        with pytest.raises(OSError, match="Input/output error"):
            await collection.flush()

    assert await collection.flush()
    assert not await collection.flush()


@pytest.fixture
async def read_only(tmp_path: Path, schema: CollectionSchema) -> AsyncIterator[Path]:
    """A database with a collection of two points, in a folder that cannot be written to."""
    database = Database(tmp_path / "writable", max_collections=8)
    await database.open()
    await database.create("docs", schema)
    await database.collection("docs").write(upsert(1, 2))
    await database.close()
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() == 0:  # whom no mode of a folder holds back
        run("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", folder)
    try:
        copy_tree(tmp_path / "writable", folder / "qdrant")
        if os.geteuid() == 0:
            run("mount", "-o", "remount,ro", folder)
        else:
            (folder / "qdrant").chmod(0o500)
        yield folder / "qdrant"
    finally:
        if os.geteuid() == 0:
            run("umount", "--lazy", folder)
        else:
            (folder / "qdrant").chmod(0o700)


async def test_read_only_folder_is_served_for_reading_and_refuses_every_change(
    read_only: Path, schema: CollectionSchema
) -> None:
    database = Database(read_only, max_collections=8)
    await database.open()
    collection = database.collection("docs")

    assert await count(collection) == 2
    for change in (
        collection.write(upsert(3), size_bytes=100),
        collection.write(lambda: Change(qdrant_edge.UpdateOperation.delete_points([1]), [1])),
        database.create("new", schema),
        database.delete("docs"),
    ):
        with pytest.raises(FailedPrecondition, match="is read-only: collections can be read") as caught:
            await change
        assert caught.value.reason == "READ_ONLY"
    assert not await collection.flush()
    await database.close()


async def test_read_only_folder_that_cannot_be_copied_is_refused_by_name_and_ends_no_start(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    database = Database(read_only, max_collections=8)
    await database.open()

    with pytest.raises(FailedPrecondition, match="`docs`"):
        database.collection("docs")
    await database.close()
