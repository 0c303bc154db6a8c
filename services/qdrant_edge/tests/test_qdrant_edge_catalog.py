"""The catalog file, and databases whose files are damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from trivium_qdrant_edge.catalog import Catalog, CatalogEntry, read_catalog, write_catalog
from trivium_qdrant_edge.data_folder import DataFolder, DataFolderError
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.schema import CollectionSchema, DenseSchema, HnswSchema, OptimizerSchema, SparseSchema

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
    write_catalog(folder, Catalog(collections={"docs/ü": entry}, aliases={"a": "docs/ü"}))
    folder.shard_path("abc", 3).mkdir(parents=True)
    yield folder
    folder.release()


def test_catalog_when_read_is_what_was_written(folder: DataFolder) -> None:
    catalog = read_catalog(folder)

    assert catalog.collections == {"docs/ü": CatalogEntry(id="abc", generation=3, created_at=1.5, schema=EVERYTHING)}
    assert catalog.aliases == {"a": "docs/ü"}


def test_catalog_of_a_new_folder_is_empty(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new")

    assert read_catalog(folder) == Catalog()
    folder.release()


@pytest.mark.parametrize(
    "damage", ["truncated", "binary", "empty", "missing", "other_format", "no_schema", "no_object"]
)
def test_catalog_that_is_damaged_is_an_error_and_stays_as_it_is(folder: DataFolder, damage: str) -> None:
    content = json.loads(folder.catalog_path.read_text())
    if damage == "missing":
        folder.catalog_path.unlink()
    elif damage == "truncated":
        folder.catalog_path.write_text(json.dumps(content)[:-20])
    elif damage == "binary":
        folder.catalog_path.write_bytes(bytes(range(256)))
    elif damage == "empty":
        folder.catalog_path.write_bytes(b"")
    elif damage == "other_format":
        folder.catalog_path.write_text(json.dumps({**content, "format": 99}))
    elif damage == "no_schema":
        del content["collections"]["docs/ü"]["schema"]
        folder.catalog_path.write_text(json.dumps(content))
    else:
        folder.catalog_path.write_text("[]")
    before = folder.catalog_path.read_bytes() if folder.catalog_path.exists() else None

    with pytest.raises(DataFolderError, match=f"the catalog {folder.catalog_path} is damaged") as caught:
        read_catalog(folder)

    assert caught.value.reason == "CATALOG_DAMAGED"
    assert (folder.catalog_path.read_bytes() if folder.catalog_path.exists() else None) == before


async def test_database_with_a_damaged_collection_names_it(tmp_path: Path, schema: CollectionSchema) -> None:
    database = Database(tmp_path, max_collections=1)
    await database.open()
    await database.create("docs", schema)
    config = database.collection("docs").path / "edge_config.json"
    await database.close()
    config.write_bytes(config.read_bytes()[:10])

    database = Database(tmp_path, max_collections=1)
    with pytest.raises(DataFolderError, match=r"cannot open collection `docs` in .*edge_config\.json") as caught:
        await database.open()

    assert caught.value.reason == "COLLECTION_DAMAGED"
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
