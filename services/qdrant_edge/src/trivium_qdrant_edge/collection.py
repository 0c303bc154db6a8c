"""One collection: the engine's shard, and who may touch it when.

The engine's bindings hold Python's global lock while they work, so no two calls into the engine ever run at once, and
threads only keep the event loop free between calls. Writes of a collection run one after the other, in order of
arrival, on a thread of its own; reads run on threads that all collections share, and so pass the writes that wait. A
write is applied before it is acknowledged, so that a reader sees every acknowledged write.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import qdrant_edge
from trivium_serving.errors import StorageFull

from trivium_qdrant_edge.changed_points import ChangedPoints, catch_up
from trivium_qdrant_edge.data_folder import sync_files
from trivium_qdrant_edge.digests import digest_all
from trivium_qdrant_edge.durability import Durability
from trivium_qdrant_edge.engine_errors import engine_errors
from trivium_qdrant_edge.room import read_only
from trivium_qdrant_edge.writing_thread import WritingThread

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from trivium_qdrant_edge.catalog import CatalogEntry
    from trivium_qdrant_edge.changed_points import Change
    from trivium_qdrant_edge.data_folder import DataFolder
    from trivium_qdrant_edge.room import Room

_Result = TypeVar("_Result")

# What an operation that stores nothing takes in memory, about.
_SMALL_BYTES = 1_000


class Collection:
    """A collection that is open.

    Attributes:
        name: Its name.
        entry: What the catalog says of it.
        durability: What of it is not safe on the disk yet.

    Args:
        name: Its name.
        entry: What the catalog says of it.
        folder: Where its files are.
        shard: Its data.
        readers: Threads for reads.
        room: The room on the disk.
    """

    def __init__(
        self,
        name: str,
        entry: CatalogEntry,
        folder: DataFolder,
        shard: qdrant_edge.EdgeShard,
        readers: ThreadPoolExecutor,
        room: Room,
    ) -> None:
        self.name = name
        self.entry = entry
        self._folder = folder
        self._shard: qdrant_edge.EdgeShard | None = shard
        self._readers = readers
        self._room = room
        self._writer = WritingThread(name, f"write-{entry.id[:8]}")
        self.durability = Durability(room, is_read_only=folder.is_read_only)
        self._changed = ChangedPoints()

    @property
    def path(self) -> Path:
        """Where its files are now."""
        return self._folder.shard_path(self.entry.id, self.entry.generation)

    async def read(self, work: Callable[[qdrant_edge.EdgeShard], _Result]) -> _Result:
        """Runs `work` on a thread; conversions from and to protobuf belong into it, as they take time too.

        A caller that leaves before its turn costs nothing.
        """

        def run() -> _Result:
            with engine_errors():
                return work(self._live_shard())

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(
        self,
        make_change: Callable[[], Change],
        size_bytes: int | None = None,
        files_bytes: int = 0,
    ) -> None:
        """Makes a change after all earlier writes; on return it survives the end of the process.

        Args:
            make_change: Makes it, on the writing thread. It must refuse whatever the engine would refuse: the
                engine logs an operation before it looks at it, and replays after a crash even the half that it could.
            size_bytes: How large the message is that it stores; None if it makes room.
            files_bytes: See Room.check.

        Raises:
            StorageFull: There is no room for it.
            FailedPrecondition: The data folder is read-only.
        """

        def run() -> None:
            self._check_writable()
            if size_bytes is None:
                self._room.make_way()
            else:
                self._check_room(size_bytes, files_bytes)
            with engine_errors():
                change, shard = make_change(), self._live_shard()
                self.durability.note_write(self.path, size_bytes or _SMALL_BYTES)
                self._room.note_write(size_bytes or _SMALL_BYTES, self.path)
                self._changed.note(change, shard, size_bytes or _SMALL_BYTES)
                shard.update(change.operation)

        await self._writer.run(run)

    async def sync(self) -> bool:
        """Forces what was written to the disk, the engine's log among it.

        Returns:
            Whether there was anything to force. What could not be forced is tried again by the next call.
        """

        return await self._writer.run(lambda: self.durability.sync(self.path))

    async def flush(self) -> bool:
        """Lets the engine shorten its log, so that the next start need not read it.

        The engine stops the whole process while it flushes, for tenths of a second, on a busy machine for seconds: see
        `Durability.is_flush_due`.

        Returns:
            Whether there was anything to flush. What could not be flushed is tried again by the next call.
        """

        def run() -> bool:
            if not self.durability.is_unflushed:
                return False
            sync_files(self.path)  # most of the work, while the process goes on
            self._flush_now()
            return True

        return await self._writer.run(run)

    async def keep_digests(self) -> bool:
        """Keeps digests of all files, unless there are such, or something is written meanwhile.

        Returns:
            Whether it did.
        """
        durability = self.durability
        count = await self._writer.run(
            lambda: None if durability.is_unflushed or durability.is_clean else durability.change_count
        )
        if count is None or not self._room.is_left:
            return False
        path = self.path
        digests = await asyncio.to_thread(digest_all, path)

        def run() -> bool:
            if durability.change_count != count:
                return False
            durability.keep_digests(path, digests)
            return True

        return await self._writer.run(run)

    async def copy(self, copy_files: Callable[[], object]) -> None:
        """Copies the collection's files while no write runs, and notes every later change for `replace`.

        Args:
            copy_files: Copies them.
        """

        def run() -> None:
            self._check_writable()
            if self.durability.is_unflushed:
                sync_files(self.path)
                self._flush_now()
            copy_files()
            self._changed.begin()

        await self._writer.run(run)

    def points_count(self) -> int:
        """How many points there are. Blocks, shortly."""
        with engine_errors():
            return self._live_shard().info().points_count

    async def catch_up(self, building: Path) -> bool:
        """Gives what was built of the copy most of what was changed since, so that `replace` has little left to do.

        Args:
            building: The folder of what was built.

        Returns:
            Whether it was done; not so if the copy was too far behind.
        """
        config = self.entry.schema.engine_config()
        return await catch_up(
            self._live_shard,
            lambda: qdrant_edge.EdgeShard.load(str(building), config),
            lambda: self._writer.run(self._changed.take),
        )

    def forget_copy(self) -> None:
        """Notes no more changes: the copy will not be used, or is."""
        self._writer.run_some_time(self._changed.end)  # after a copy that nobody waits for any more

    async def replace(
        self, open_shard: Callable[[], qdrant_edge.EdgeShard], commit: Callable[[], CatalogEntry]
    ) -> bool:
        """Goes on with another shard, made from the copy, once it has what was changed since.

        Reads that run finish on the old shard, which closes with the last of them.

        Args:
            open_shard: Opens the other shard.
            commit: Makes it the collection's for good, in the catalog.

        Returns:
            Whether it was done; not so if the copy was too far behind.
        """

        def run() -> bool:
            changes = self._changed.take()
            if changes is None:
                return False
            self._room.check(changes.size_bytes, self.path)
            with engine_errors():
                shard = open_shard()
            for _ in changes.make(self._live_shard(), shard):
                pass
            with engine_errors():
                shard.flush()
            old, self.entry = self.path, commit()
            self._room.forget(old)
            self.durability.note_replaced()
            self._shard = shard
            return True

        return await self._writer.run(run)

    async def close(self, *, keep_digests: bool) -> None:
        """Flushes and closes, after the writes that wait. Later writes are refused.

        Args:
            keep_digests: Whether there is time for digests of all files.
        """

        def run() -> None:
            if self.durability.is_unflushed:
                self._flush_now()
            with engine_errors():
                self._live_shard().close()
            if keep_digests and not self._folder.is_read_only:
                self.durability.keep_last_digests(self.path)

        await self._writer.run(run)
        self._writer.close()

    def abandon(self) -> None:
        """Refuses later writes, and those that wait; the data goes with the last reader."""
        self._writer.abandon()
        self._shard = None  # the room of deleted files is free only once nothing maps them
        self._room.forget(self.path)

    def _check_room(self, size_bytes: int, files_bytes: int) -> None:
        try:
            self._room.check(size_bytes, self.path, files_bytes)
        except StorageFull:
            if not self.durability.is_unflushed:
                raise
            self._flush_now()
            self._room.check(size_bytes, self.path, files_bytes)

    def _flush_now(self) -> None:
        self.durability.flush(self._live_shard(), self.path)

    def _live_shard(self) -> qdrant_edge.EdgeShard:
        shard = self._shard
        if shard is None:
            raise self._writer.closing()
        return shard

    def _check_writable(self) -> None:
        if self._folder.is_read_only:
            raise read_only(self._folder.root)
