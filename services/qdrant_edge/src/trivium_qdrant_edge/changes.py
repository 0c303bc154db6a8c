"""Changes of what there is: one at a time, each to its end, and each in the catalog before anybody sees it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from trivium_serving.errors import StorageFull

from trivium_qdrant_edge.catalog import Catalog, open_catalog, write_catalog
from trivium_qdrant_edge.room import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from trivium_qdrant_edge.data_folder import DataFolder
    from trivium_qdrant_edge.room import Room

_Result = TypeVar("_Result")


class CatalogChanges:
    """The catalog of a data folder, and who may change it when.

    Attributes:
        catalog: As it is on the disk.
        alone: Held while a change runs.

    Args:
        folder: Where it is.
        room: The room on the disk.

    Raises:
        DataFolderError: It is damaged.
    """

    def __init__(self, folder: DataFolder, room: Room) -> None:
        self.catalog = open_catalog(folder)
        self.alone = asyncio.Lock()
        self._folder = folder
        self._room = room
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Runs a change alone and to its end, even if the caller leaves.

        Raises:
            FailedPrecondition: The data folder is read-only.
        """

        async def run() -> _Result:
            async with self.alone:
                if self._folder.is_read_only:
                    raise read_only(self._folder.root)
                return await work()

        task = asyncio.ensure_future(run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def commit(self, catalog: Catalog) -> None:
        """Puts another catalog in the place of this one, for good. Called in a change."""
        catalog = self.without_gone(catalog)
        with suppress(StorageFull):  # if it does not fit, writing says so
            self._room.make_way()
        await asyncio.to_thread(write_catalog, self._folder, catalog)
        self.catalog = catalog

    def without_gone(self, catalog: Catalog) -> Catalog:
        """The catalog without what was discarded and is gone by now."""
        return replace(catalog, discarded=frozenset(filter(self._folder.has, catalog.discarded)))
