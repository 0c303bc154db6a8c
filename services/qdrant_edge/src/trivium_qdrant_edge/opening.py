"""How a start opens the shards of a data folder: checked, and rid of what interrupted changes left behind."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import qdrant_edge
from trivium_serving.errors import FailedPrecondition, StorageFull, TriviumError

from trivium_qdrant_edge.data_folder import building_path, copy_tree, writing
from trivium_qdrant_edge.digests import Damaged, clean_path, forget_clean, sealed_path, verify
from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_qdrant_edge.catalog import Catalog, CatalogEntry
    from trivium_qdrant_edge.data_folder import DataFolder
    from trivium_qdrant_edge.room import Room


class Opener:
    """Opens shards.

    Args:
        folder: The data folder.
        room: The room on its disk.
    """

    def __init__(self, folder: DataFolder, room: Room) -> None:
        self._folder = folder
        self._room = room
        self._copies: tempfile.TemporaryDirectory[str] | None = None

    def clear_strays(self, catalog: Catalog) -> None:
        """Clears away what no collection names; where an entry cannot be read, nothing, as it may name anything."""
        if not catalog.unreadable and not self._folder.is_read_only:
            kept = {entry.id for entry in catalog.collections.values()}
            self._folder.clear(self._folder.collections_path, kept, catalog.discarded)

    def open(self, entry: CatalogEntry, catalog: Catalog) -> qdrant_edge.EdgeShard:
        """Opens a collection's data if they are whole, and then clears away what else is in its folder.

        Raises:
            StorageFull: There is no room to open it.
            TriviumError: It is damaged; everything is as it was.
        """
        path = self._folder.shard_path(entry.id, entry.generation)
        if not path.is_dir():
            raise Damaged(f"{path} is missing")
        verify(path)
        if self._folder.is_read_only:
            path = self._copied(path)
        else:
            with suppress(StorageFull):  # what was closed whole opens without
                self._room.make_way()
            self._room.check_opening(path)
            with writing(path):
                forget_clean(path)
        with engine_errors():
            shard = qdrant_edge.EdgeShard.load(str(path), entry.schema.engine_config())
        if not self._folder.is_read_only:
            kept = {path.name, clean_path(path).name, sealed_path(path).name}
            half_made = (building_path(path).name, f"{clean_path(path).name}.tmp", f"{sealed_path(path).name}.tmp")
            discarded = catalog.discarded | {f"{entry.id}/{name}" for name in half_made}
            self._folder.clear(path.parent, kept, discarded)
        return shard

    def close(self) -> None:
        """Deletes the copies that were made to read from."""
        if self._copies is not None:
            self._copies.cleanup()

    def _copied(self, path: Path) -> Path:
        """Copies a shard to where it can be written to, without which the engine does not open it."""
        if self._copies is None:
            with writing(Path(tempfile.gettempdir())):
                self._copies = tempfile.TemporaryDirectory(prefix="trivium-qdrant-edge-")
        copy = Path(self._copies.name, path.parent.name)
        with writing(copy):
            copy_tree(path, copy)
        return copy


def refusal(name: str, cause: TriviumError) -> Callable[[], TriviumError]:
    """Makes the error of a call for a collection that could not be opened; each call needs one of its own."""
    if isinstance(cause, StorageFull):
        return lambda: StorageFull(
            f"{cause.message}: collection `{name}` could not be opened. Make room on the disk and start the service "
            "again."
        )
    return lambda: FailedPrecondition(
        f"Collection `{name}` is damaged and not served: {cause.message}. Its files are as they were found. Restore "
        "them from a backup, or delete the collection and ingest again.",
        reason="COLLECTION_DAMAGED",
    )
