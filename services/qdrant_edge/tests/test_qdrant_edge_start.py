"""What a start does: nothing is served before it is open, and nothing is deleted that no caller deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import qdrant_edge
from trivium_qdrant_edge import adopting
from trivium_qdrant_edge import database as database_module
from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.data_folder import building_path, copy_tree
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.names import SetAlias
from trivium_serving.errors import AlreadyExists, InvalidField, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.schema import CollectionSchema


def upsert(*numbers: int) -> Callable[[], Change]:
    points = [qdrant_edge.Point(number, {"dense": [1.0, float(number), 0.0, 0.0]}, {}) for number in numbers]
    return lambda: Change(qdrant_edge.UpdateOperation.upsert_points(points), numbers)


async def numbers(collection: Collection) -> set[int]:
    def read(shard: qdrant_edge.EdgeShard) -> set[int]:
        records, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=10_000))
        return {int(str(record.id)) for record in records}

    return await collection.read(read)


@pytest.fixture
async def closed(tmp_path: Path, schema: CollectionSchema) -> Path:
    """The folder of a database with a collection `docs` of three points and an alias `alias`, closed."""
    database = Database(tmp_path / "closed", max_collections=8)
    await database.open()
    await database.create("docs", schema)
    await database.change_aliases([SetAlias("alias", "docs")])
    await database.collection("docs").write(upsert(1, 2, 3))
    await database.close()
    return tmp_path / "closed"


def set_aside(root: Path) -> Sequence[Path]:
    folder = root / "set-aside"
    return sorted(folder.iterdir()) if folder.exists() else []


async def test_database_before_it_has_opened_a_collection_knows_it_and_refuses_to_answer_for_it(
    closed: Path, schema: CollectionSchema
) -> None:
    database = Database(closed, max_collections=8)

    assert (database.names(), dict(database.aliases())) == (["docs"], {"alias": "docs"})
    assert database.exists("docs")
    assert database.exists("alias")
    for name in ("docs", "alias"):
        with pytest.raises(Unavailable, match="`docs` is being opened: 0 of 1 collections are open") as caught:
            database.collection(name)
        assert caught.value.reason == "OPENING"
    with pytest.raises(Unavailable, match="being opened"):
        await database.delete("docs")
    with pytest.raises(Unavailable, match="being opened"):
        await database.merge_metadata("docs", {"a": 1})
    with pytest.raises(NotFound):
        database.collection("other")

    await database.open()
    assert await numbers(database.collection("alias")) == {1, 2, 3}
    await database.close()


async def test_collection_that_the_catalog_has_cannot_be_made_anew_before_it_is_open(
    closed: Path, schema: CollectionSchema
) -> None:
    database = Database(closed, max_collections=2)

    with pytest.raises(AlreadyExists):
        await database.create("docs", schema)
    with pytest.raises(InvalidField, match="Alias with the same name"):
        await database.create("alias", schema)
    await database.create("new", schema)
    await database.collection("new").write(upsert(7))
    await database.open()
    await database.close()

    database = Database(closed, max_collections=2)
    await database.open()
    assert await numbers(database.collection("docs")) == {1, 2, 3}
    assert await numbers(database.collection("new")) == {7}
    assert set_aside(closed) == []
    await database.close()


async def test_start_sets_aside_what_no_collection_names_and_deletes_nothing(closed: Path) -> None:
    (shard,) = (closed / "collections").glob("*/0")
    copy_tree(shard, closed / "collections" / "0123456789abcdef" / "0")
    copy_tree(shard, shard.with_name("1"))
    building_path(shard).mkdir()

    database = Database(closed, max_collections=8)
    await database.open()

    assert [path.name.partition("-collections-")[2] for path in set_aside(closed)] == [
        "0123456789abcdef",
        f"{shard.parent.name}-1",
    ]
    assert database.set_aside_count() == 2
    assert all(list(path.glob("**/segment.json")) for path in set_aside(closed))
    assert [path.name for path in shard.parent.iterdir()] == ["0"]  # the half-built copy never held anything of its own
    assert await numbers(database.collection("docs")) == {1, 2, 3}
    await database.close()


async def test_deletion_that_was_interrupted_is_ended_by_the_next_start(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(closed, max_collections=8)
    await database.open()
    with monkeypatch.context() as patch:
        patch.setattr(database_module, "remove_tree", lambda _: None)  # the process ends here
        assert await database.delete("docs")
    await database.close()
    assert len(list((closed / "collections").iterdir())) == 1

    database = Database(closed, max_collections=8)
    await database.open()

    assert list((closed / "collections").iterdir()) == []
    assert set_aside(closed) == []
    await database.close()


async def test_crash_at_any_moment_of_a_replacement_loses_no_point(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(closed, max_collections=8)
    await database.open()
    collection = database.collection("docs")
    moments: dict[str, Path] = {}

    def remember(moment: str) -> None:
        moments[moment] = tmp_path / f"moment-{len(moments)}"
        copy_tree(closed, moments[moment])

    for step in ("remove_tree", "sync_files", "write_catalog"):
        original: Callable[..., Any] = getattr(adopting, step)

        def observed(*arguments: Any, step: str = step, original: Callable[..., Any] = original) -> None:
            remember(f"before {step} {len(moments)}")
            original(*arguments)
            remember(f"after {step} {len(moments)}")

        monkeypatch.setattr(adopting, step, observed)
    building = building_path(collection.path)
    await collection.copy(lambda: copy_tree(collection.path, building))
    await collection.write(upsert(4, 5))
    assert await database.adopt(collection, building, {})
    await database.close()
    monkeypatch.undo()

    assert len(moments) == 12
    for moment, root in moments.items():
        (root / "lock").unlink()
        reopened = Database(root, max_collections=8)
        await reopened.open()
        assert await numbers(reopened.collection("docs")) == {1, 2, 3, 4, 5}, moment
        folders = [path for path in reopened.collection("docs").path.parent.iterdir() if path.is_dir()]
        assert len(folders) == 1, moment
        await reopened.close()
