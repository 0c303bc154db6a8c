"""The catalog file, and databases whose files are damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from trivium_qdrant_edge.catalog import Catalog, CatalogEntry, open_catalog, write_catalog
from trivium_qdrant_edge.data_folder import DataFolder, DataFolderError
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.schema import CollectionSchema, DenseSchema, HnswSchema, OptimizerSchema, SparseSchema
from trivium_serving.errors import AlreadyExists, FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYTHING = CollectionSchema(
    dense={"": DenseSchema(size=3, distance="Dot", on_disk=True, hnsw=HnswSchema(m=0, payload_m=16))},
    sparse={"bm25": SparseSchema(idf=True, on_disk=False, full_scan_threshold=5)},
    hnsw=HnswSchema(m=8, ef_construct=50, full_scan_threshold=100, max_indexing_threads=2, on_disk=True),
    optimizers=OptimizerSchema(deleted_threshold=0.5, indexing_threshold=0),
    on_disk_payload=False,
    metadata={"model": "模型", "list": [1, None, {"a": 0.5}]},
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    """A folder of which the catalog knows one collection."""
    folder = DataFolder(tmp_path / "qdrant")
    entry = CatalogEntry(id="abc", generation=3, created_at=1.5, schema=EVERYTHING)
    catalog = Catalog(collections={"docs/ü": entry}, aliases={"a": "docs/ü"}, discarded=frozenset(("old",)))
    write_catalog(folder, catalog)
    folder.shard_path("abc", 3).mkdir(parents=True)
    yield folder
    folder.release()


DAMAGES = ["truncated", "binary", "empty", "missing", "other_format", "other_content", "no_object"]


def damage_file(path: Path, damage: str) -> None:
    content = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(json.dumps(content)[:-20])
    elif damage == "binary":
        path.write_bytes(bytes(range(256)))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other_format":
        path.write_text(json.dumps({**content, "format": 99}))
    elif damage == "other_content":
        content["collections"]["docs/ü"]["generation"] = 4
        path.write_text(json.dumps(content))
    else:
        path.write_text("[]")


def test_catalog_when_read_is_what_was_written(folder: DataFolder) -> None:
    catalog = open_catalog(folder)

    assert catalog.collections == {"docs/ü": CatalogEntry(id="abc", generation=3, created_at=1.5, schema=EVERYTHING)}
    assert catalog.aliases == {"a": "docs/ü"}
    assert catalog.discarded == {"old"}


def test_catalog_of_a_new_folder_is_empty(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new")

    assert open_catalog(folder) == Catalog()
    folder.release()


def test_catalog_that_is_whole_is_not_written_by_a_start(folder: DataFolder) -> None:
    before = [path.stat().st_mtime_ns for path in (folder.catalog_path, folder.catalog_copy_path)]

    open_catalog(folder)

    assert [path.stat().st_mtime_ns for path in (folder.catalog_path, folder.catalog_copy_path)] == before


@pytest.mark.parametrize("damage", DAMAGES)
def test_catalog_that_is_damaged_is_made_anew_from_its_copy_and_set_aside(folder: DataFolder, damage: str) -> None:
    whole, content = open_catalog(folder), folder.catalog_path.read_bytes()
    damage_file(folder.catalog_path, damage)

    assert open_catalog(folder) == whole

    assert folder.catalog_path.read_bytes() == content
    assert folder.set_aside_count() == (0 if damage == "missing" else 1)


@pytest.mark.parametrize("damage", DAMAGES)
def test_catalog_whose_copy_is_damaged_too_is_an_error_and_stays_as_it_is(folder: DataFolder, damage: str) -> None:
    paths = (folder.catalog_path, folder.catalog_copy_path)
    for path in paths:
        damage_file(path, damage)
    before = [path.read_bytes() if path.exists() else None for path in paths]

    with pytest.raises(DataFolderError, match=f"the catalog {folder.catalog_path} is damaged") as caught:
        open_catalog(folder)

    assert caught.value.reason == "CATALOG_DAMAGED"
    assert [path.read_bytes() if path.exists() else None for path in paths] == before


def test_catalog_of_an_earlier_version_is_read(folder: DataFolder) -> None:
    whole, content = open_catalog(folder), json.loads(folder.catalog_path.read_text())
    del content["sha256"], content["discarded"]
    folder.catalog_path.write_text(json.dumps(content))
    folder.catalog_copy_path.unlink()

    assert open_catalog(folder) == replace(whole, discarded=frozenset())


async def test_collection_whose_entry_cannot_be_read_is_refused_alone_and_its_files_stay(
    tmp_path: Path, schema: CollectionSchema
) -> None:
    database = Database(tmp_path, max_collections=3)
    await database.open()
    for name in ("docs", "other"):
        await database.create(name, schema)
    await database.close()
    path = tmp_path / "catalog.json"
    content = json.loads(path.read_text())
    del content["sha256"], content["collections"]["docs"]["schema"]
    path.write_text(json.dumps(content))

    database = Database(tmp_path, max_collections=3)
    await database.open()

    assert database.names() == ["docs", "other"]
    assert database.damaged() == ["docs"]
    with pytest.raises(FailedPrecondition, match="the catalog's entry of it") as caught:
        database.collection("docs")
    assert caught.value.reason == "COLLECTION_DAMAGED"
    assert database.collection("other").points_count() == 0
    assert len(list((tmp_path / "collections").iterdir())) == 2
    await database.create("third", schema)  # writes the catalog, the entry that nobody could read included
    assert json.loads(path.read_text())["collections"]["docs"] == content["collections"]["docs"]
    await database.close()


async def test_database_with_a_damaged_collection_serves_the_others_and_names_it(
    tmp_path: Path, schema: CollectionSchema
) -> None:
    database = Database(tmp_path, max_collections=2)
    await database.open()
    for name in ("docs", "other"):
        await database.create(name, schema)
    folder = database.collection("docs").path
    await database.close()
    config = folder / "edge_config.json"
    config.write_bytes(config.read_bytes()[:10])

    database = Database(tmp_path, max_collections=2)
    await database.open()

    assert database.collection("other").points_count() == 0
    with pytest.raises(FailedPrecondition, match=r"`docs` is damaged and not served: .*edge_config\.json") as caught:
        database.collection("docs")
    assert caught.value.reason == "COLLECTION_DAMAGED"
    with pytest.raises(AlreadyExists):
        await database.create("docs", schema)
    assert await database.delete("docs")  # a caller may
    assert not folder.exists()
    await database.create("docs", schema)
    await database.close()


def test_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DataFolderError, match="Set TRIVIUM_DATA_DIR to a folder that this user can write to"):
        DataFolder(tmp_path / "file" / "qdrant")


def test_folder_that_is_in_use_is_refused_until_it_is_released(tmp_path: Path) -> None:
    first = DataFolder(tmp_path)

    with pytest.raises(DataFolderError, match="is served by another process"):
        DataFolder(tmp_path)

    first.release()
    DataFolder(tmp_path).release()
