"""Gives a collection other files: what was built from a copy of them, and the writes made since."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import qdrant_edge

from trivium_qdrant_edge.catalog import write_catalog
from trivium_qdrant_edge.data_folder import remove_tree, sync_files, writing
from trivium_qdrant_edge.digests import clean_path, keep_sealed, sealed_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from trivium_qdrant_edge.catalog import CatalogEntry
    from trivium_qdrant_edge.changes import CatalogChanges
    from trivium_qdrant_edge.collection import Collection
    from trivium_qdrant_edge.data_folder import DataFolder


async def adopt(
    collection: Collection, building: Path, sealed: Mapping[str, str], *, folder: DataFolder, changes: CatalogChanges
) -> bool:
    """Replaces a collection's data. Called in a change.

    Args:
        collection: The collection, of which `copy` was called.
        building: The folder of what was built.
        sealed: The digests of its files that no write touches.
        folder: Where the collection's files are.
        changes: Whose catalog names them.

    Returns:
        Whether it was done; not so if the copy is too far behind.
    """
    old = collection.path
    entry = replace(collection.entry, generation=collection.entry.generation + 1)
    path = folder.shard_path(entry.id, entry.generation)
    replaced = (old, clean_path(old), sealed_path(old))
    catalog = changes.catalog.with_entry(collection.name, entry)
    for one in replaced:
        catalog = catalog.discarding(f"{entry.id}/{one.name}")
    catalog = changes.without_gone(catalog)

    def open_shard() -> qdrant_edge.EdgeShard:
        remove_tree(path)  # from an attempt that failed after this point
        building.rename(path)
        return qdrant_edge.EdgeShard.load(str(path), entry.schema.engine_config())

    def commit() -> CatalogEntry:
        with writing(path):
            keep_sealed(path, sealed)
            sync_files(path.parent)
        write_catalog(folder, catalog)
        return entry

    try:
        if not await collection.replace(open_shard, commit):
            return False
    except BaseException:
        for one in (path, sealed_path(path)):  # the catalog does not name it
            await asyncio.to_thread(remove_tree, one)
        raise
    changes.catalog = catalog
    for one in replaced:
        await asyncio.to_thread(remove_tree, one)
    return True
