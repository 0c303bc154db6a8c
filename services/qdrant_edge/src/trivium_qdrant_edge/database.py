"""All collections and aliases, and the changes to them."""

from __future__ import annotations

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import qdrant_edge
from trivium_serving.errors import FailedPrecondition, TriviumError

from trivium_qdrant_edge.catalog import Catalog, CatalogEntry, read_catalog, write_catalog
from trivium_qdrant_edge.collection import Collection
from trivium_qdrant_edge.data_folder import DataFolder, DataFolderError, remove_tree, sync_folder
from trivium_qdrant_edge.engine_errors import engine_errors
from trivium_qdrant_edge.names import changed_aliases, check_new_collection, no_such_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from trivium_qdrant_edge.names import AliasAction
    from trivium_qdrant_edge.schema import CollectionSchema

_Result = TypeVar("_Result")

_READER_COUNT = 4


class Database:
    """The collections of a data folder. Belongs to one event loop.

    Args:
        root: The folder.
        max_collections: Most collections.

    Raises:
        DataFolderError: Another process holds the folder.
    """

    def __init__(self, root: Path, *, max_collections: int) -> None:
        self._folder = DataFolder(root)
        self._max_collections = max_collections
        self._readers = ThreadPoolExecutor(_READER_COUNT, thread_name_prefix="read")
        self._catalog = Catalog()
        self._open: dict[str, Collection] = {}
        self._changing = asyncio.Lock()
        self._changes: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Opens every collection, after the remains of interrupted changes were deleted.

        Raises:
            DataFolderError: The catalog or a collection is damaged.
        """
        self._catalog = read_catalog(self._folder)
        write_catalog(self._folder, self._catalog)  # from the first start on, a missing catalog is a damage
        self._folder.remove_all_but((entry.id, entry.generation) for entry in self._catalog.collections.values())
        for name, entry in self._catalog.collections.items():
            shard = await asyncio.get_running_loop().run_in_executor(self._readers, self._load, name, entry)
            self._open[name] = Collection(name, entry, self._folder, shard, self._readers)

    async def close(self) -> None:
        """Flushes and closes every collection, and lets go of the folder."""
        async with self._changing:
            for collection in self._open.values():
                await collection.close()
            self._open.clear()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._folder.release()

    def collection(self, name: str) -> Collection:
        """The collection that a name or alias stands for.

        Raises:
            NotFound: There is none.
        """
        found = self._open.get(self._catalog.resolve(name))
        if found is None:
            raise no_such_collection(name)
        return found

    def collections(self) -> Sequence[Collection]:
        """All collections, by name."""
        return [collection for _, collection in sorted(self._open.items())]

    def aliases(self) -> Mapping[str, str]:
        """The collection's name by alias."""
        return self._catalog.aliases

    async def create(self, name: str, schema: CollectionSchema) -> None:
        """Makes an empty collection.

        Raises:
            InvalidField: The name cannot be one, or is an alias; or the engine refuses the schema.
            AlreadyExists: There is such a collection.
            FailedPrecondition: There are as many as there may be.
        """
        await self._change(lambda: self._create(name, schema))

    async def delete(self, name: str) -> bool:
        """Deletes a collection and the aliases that point to it.

        Args:
            name: Its own name; an alias does not do.

        Returns:
            Whether there was such a collection.
        """
        return await self._change(lambda: self._delete(name))

    async def change_aliases(self, actions: Sequence[AliasAction]) -> None:
        """Does all of the actions, in their order, or none of them; nobody sees only some.

        Raises:
            NotFound: A collection, or an alias to rename, does not exist.
            AlreadyExists: An alias would have a collection's name.
            InvalidField: A name cannot be one.
        """

        async def change() -> None:
            aliases = changed_aliases(self._catalog.aliases, actions, self._open)
            await self._commit(replace(self._catalog, aliases=aliases))

        await self._change(change)

    async def merge_metadata(self, name: str, metadata: Mapping[str, Any]) -> None:
        """Adds to a collection's metadata; a key whose value is None is taken away.

        Raises:
            NotFound: There is no such collection.
        """

        async def change() -> None:
            collection = self.collection(name)
            schema = collection.entry.schema
            merged = {key: value for key, value in {**schema.metadata, **metadata}.items() if value is not None}
            entry = replace(collection.entry, schema=replace(schema, metadata=merged))
            await self._commit(self._catalog.with_entry(collection.name, entry))
            collection.entry = entry

        await self._change(change)

    async def adopt(self, collection: Collection, building: Path) -> bool:
        """Replaces the collection's data by what was built from a copy of it, and the writes made since.

        Args:
            collection: The collection, of which `copy` was called.
            building: The folder of what was built.

        Returns:
            Whether it was done; not so if the copy is too far behind or the collection was deleted.
        """

        async def change() -> bool:
            if self._open.get(collection.name) is not collection:
                return False
            old = collection.path
            entry = replace(collection.entry, generation=collection.entry.generation + 1)
            path = self._folder.shard_path(entry.id, entry.generation)
            catalog = self._catalog.with_entry(collection.name, entry)

            def open_shard() -> qdrant_edge.EdgeShard:
                remove_tree(path)  # from an attempt that failed after this point
                building.rename(path)
                return qdrant_edge.EdgeShard.load(str(path), entry.schema.engine_config())

            def commit() -> CatalogEntry:
                sync_folder(path.parent)
                write_catalog(self._folder, catalog)
                return entry

            if not await collection.replace(open_shard, commit):
                return False
            self._catalog = catalog
            await asyncio.to_thread(remove_tree, old)
            return True

        return await self._change(change)

    async def _create(self, name: str, schema: CollectionSchema) -> None:
        check_new_collection(name, self._open, self._catalog.aliases)
        if len(self._open) >= self._max_collections:
            raise FailedPrecondition(
                f"There are {len(self._open)} collections, which is the most that "
                "TRIVIUM_QDRANT_EDGE_MAX_COLLECTIONS allows. Delete one first.",
                reason="TOO_MANY_COLLECTIONS",
            )
        entry = CatalogEntry(id=uuid.uuid4().hex, generation=0, created_at=time.time(), schema=schema)

        def make() -> qdrant_edge.EdgeShard:
            path = self._folder.shard_path(entry.id, entry.generation)
            with engine_errors():
                shard = qdrant_edge.EdgeShard.create(str(path), schema.engine_config())
                shard.flush()
            sync_folder(path.parent)
            sync_folder(path.parent.parent)
            return shard

        shard = await asyncio.to_thread(make)
        await self._commit(self._catalog.with_entry(name, entry))
        self._open[name] = Collection(name, entry, self._folder, shard, self._readers)

    async def _delete(self, name: str) -> bool:
        collection = self._open.get(name)
        if collection is None:
            return False
        await self._commit(self._catalog.without(name))
        del self._open[name]
        collection.abandon()
        await asyncio.to_thread(remove_tree, self._folder.collection_path(collection.entry.id))
        return True

    async def _change(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Runs a change alone and to its end, even if the caller leaves."""

        async def run() -> _Result:
            async with self._changing:
                return await work()

        task = asyncio.ensure_future(run())
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)

    async def _commit(self, catalog: Catalog) -> None:
        await asyncio.to_thread(write_catalog, self._folder, catalog)
        self._catalog = catalog

    def _load(self, name: str, entry: CatalogEntry) -> qdrant_edge.EdgeShard:
        path = self._folder.shard_path(entry.id, entry.generation)
        try:
            with engine_errors():
                return qdrant_edge.EdgeShard.load(str(path), entry.schema.engine_config())
        except TriviumError as error:
            raise DataFolderError(
                f"cannot open collection `{name}` in {path}: {error.message}. Nothing was changed. Restore the folder "
                f"from a backup, or move {self._folder.root} away to start empty and ingest again.",
                reason="COLLECTION_DAMAGED",
            ) from error
