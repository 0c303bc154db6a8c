"""All collections and aliases, and the changes to them."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import qdrant_edge
from trivium_serving.errors import FailedPrecondition, StorageFull, TriviumError, Unavailable

from trivium_qdrant_edge.adopting import adopt
from trivium_qdrant_edge.catalog import CatalogEntry
from trivium_qdrant_edge.changes import CatalogChanges
from trivium_qdrant_edge.collection import Collection
from trivium_qdrant_edge.data_folder import DataFolder, remove_tree, sync_folder
from trivium_qdrant_edge.engine_errors import engine_errors
from trivium_qdrant_edge.names import changed_aliases, check_new_collection, no_such_collection
from trivium_qdrant_edge.opening import Opener, refusal
from trivium_qdrant_edge.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from trivium_qdrant_edge.catalog import Catalog
    from trivium_qdrant_edge.names import AliasAction
    from trivium_qdrant_edge.schema import CollectionSchema

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_READER_COUNT = 4

# How long after the begin of the end digests are still made; the next start checks less of what comes then.
_DIGEST_SECONDS = 5.0

# An empty collection takes 57 kB on the disk, its first points a little more.
_EMPTY_COLLECTION_BYTES = 100_000


class Database:
    """The collections of a data folder. Belongs to one event loop.

    What there is, is known from the start. A collection of the catalog is being opened, open, or damaged; calls that
    need its data are refused with its name until it is open.

    Args:
        root: The folder.
        max_collections: Most collections.
        reserve_bytes: How much of the disk stays free for what must go on when it is full.

    Raises:
        DataFolderError: Another process holds the folder, or its catalog is damaged.
    """

    def __init__(self, root: Path, *, max_collections: int, reserve_bytes: int = 0) -> None:
        self._folder = DataFolder(root)
        self._max_collections = max_collections
        self.room = Room(root, reserve_bytes)
        self._readers = ThreadPoolExecutor(_READER_COUNT, thread_name_prefix="read")
        try:
            self._changes = CatalogChanges(self._folder, self.room)
        except BaseException:
            self._folder.release()
            raise
        self._opener = Opener(self._folder, self.room)
        self._open: dict[str, Collection] = {}
        unreadable = TriviumError(f"the catalog's entry of it in {self._folder.catalog_path} cannot be read")
        self._refused = {name: refusal(name, unreadable) for name in self._catalog.unreadable}

    async def open(self) -> None:
        """Opens every collection that is whole, and clears away what interrupted changes left behind.

        What is not whole is left as it is, and refused from then on.
        """
        known = dict(self._catalog.collections)
        await self._on_reader(self._opener.clear_strays, self._catalog)
        if self.is_read_only:
            _logger.error("%s is read-only: its collections are served from a copy, and not changed", self._folder.root)
        else:
            await self._on_reader(self.room.keep)
        for name, entry in known.items():
            try:
                shard = await self._on_reader(self._opener.open, entry, self._catalog)
            except TriviumError as error:
                _logger.error("collection `%s` cannot be opened and is not served: %s", name, error.message)
                self._refused[name] = refusal(name, error)
                continue
            collection = Collection(name, entry, self._folder, shard, self._readers, self.room)
            self._open[name] = collection
            if not self.is_read_only and not self.room.is_left:  # reading the log again must not take room each time
                with suppress(StorageFull):
                    await collection.flush()

    async def close(self) -> None:
        """Flushes and closes every collection, and lets go of the folder once nothing works on it any more."""
        until = time.monotonic() + _DIGEST_SECONDS
        async with self._changes.alone:
            for collection in self._open.values():
                try:
                    await collection.close(keep_digests=time.monotonic() < until)
                except (TriviumError, OSError) as error:  # its log has what is not flushed
                    _logger.error("cannot flush collection `%s` at the end: %s", collection.name, error)
            self._open.clear()
        await asyncio.to_thread(self._readers.shutdown, wait=True, cancel_futures=True)
        self._opener.close()
        self._folder.release()

    def collection(self, name: str) -> Collection:
        """The collection that a name or alias stands for.

        Raises:
            NotFound: There is none.
            Unavailable: It is being opened.
            FailedPrecondition: It is damaged.
            StorageFull: There was no room to open it.
        """
        own_name = self._catalog.resolve(name)
        found = self._open.get(own_name)
        if found is not None:
            return found
        if own_name not in self._catalog.names:
            raise no_such_collection(name)
        if own_name in self._refused:
            raise self._refused[own_name]()
        raise Unavailable(
            f"Collection `{own_name}` is being opened: {len(self._open)} of {len(self._catalog.names)} collections "
            "are open. Try again shortly.",
            reason="OPENING",
        )

    @property
    def _catalog(self) -> Catalog:
        return self._changes.catalog

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be changed."""
        return self._folder.is_read_only

    def own_name(self, name: str) -> str:
        """The name of the collection that a name or alias stands for; there need not be such a collection."""
        return self._catalog.resolve(name)

    def exists(self, name: str) -> bool:
        """Whether there is a collection that a name or alias stands for, open or not."""
        return self.own_name(name) in self._catalog.names

    def names(self) -> Sequence[str]:
        """The names of all collections, open or not, in their order."""
        return sorted(self._catalog.names)

    def damaged(self) -> Sequence[str]:
        """The names of the collections that cannot be opened."""
        return sorted(self._refused)

    def set_aside_count(self) -> int:
        """How many things were set aside because no collection names them, and are still there."""
        return self._folder.set_aside_count()

    def collections(self) -> Sequence[Collection]:
        """All collections that are open, by name."""
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
        await self._changes.run(lambda: self._create(name, schema))

    async def delete(self, name: str) -> bool:
        """Deletes a collection and the aliases that point to it.

        Args:
            name: Its own name; an alias does not do.

        Returns:
            Whether there was such a collection.

        Raises:
            Unavailable: It is being opened.
        """
        return await self._changes.run(lambda: self._delete(name))

    async def change_aliases(self, actions: Sequence[AliasAction]) -> None:
        """Does all of the actions, in their order, or none of them; nobody sees only some.

        Raises:
            NotFound: A collection, or an alias to rename, does not exist.
            AlreadyExists: An alias would have a collection's name.
            InvalidField: A name cannot be one.
        """

        async def change() -> None:
            aliases = changed_aliases(self._catalog.aliases, actions, self._catalog.names)
            await self._changes.commit(replace(self._catalog, aliases=aliases))

        await self._changes.run(change)

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
            await self._changes.commit(self._catalog.with_entry(collection.name, entry))
            collection.entry = entry

        await self._changes.run(change)

    async def adopt(self, collection: Collection, building: Path, sealed: Mapping[str, str]) -> bool:
        """Replaces the collection's data by what was built from a copy of it, and the writes made since.

        Args:
            collection: The collection, of which `copy` was called.
            building: The folder of what was built.
            sealed: The digests of its files that no write touches.

        Returns:
            Whether it was done; not so if the copy is too far behind or the collection was deleted.
        """

        async def change() -> bool:
            if self._open.get(collection.name) is not collection:
                return False
            return await adopt(collection, building, sealed, folder=self._folder, changes=self._changes)

        return await self._changes.run(change)

    async def _create(self, name: str, schema: CollectionSchema) -> None:
        check_new_collection(name, self._catalog.names, self._catalog.aliases)
        if len(self._catalog.names) >= self._max_collections:
            raise FailedPrecondition(
                f"There are {len(self._catalog.names)} collections, which is the most that "
                "TRIVIUM_QDRANT_EDGE_MAX_COLLECTIONS allows. Delete one first.",
                reason="TOO_MANY_COLLECTIONS",
            )
        self.room.check(_EMPTY_COLLECTION_BYTES, self._folder.root)
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
        await self._changes.commit(self._catalog.with_entry(name, entry))
        self._open[name] = Collection(name, entry, self._folder, shard, self._readers, self.room)

    async def _delete(self, name: str) -> bool:
        if name not in self._catalog.names:
            return False
        if name not in self._refused:
            self.collection(name)
        entry = self._catalog.collections.get(name)
        catalog = self._catalog.without(name)
        await self._changes.commit(catalog if entry is None else catalog.discarding(entry.id))
        self._refused.pop(name, None)
        collection = self._open.pop(name, None)
        if collection is not None:
            collection.abandon()
        if entry is not None:
            await asyncio.to_thread(remove_tree, self._folder.collection_path(entry.id))
        return True

    async def _on_reader(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work, *arguments)
