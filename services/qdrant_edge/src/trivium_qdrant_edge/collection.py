"""One collection: the engine's shard, and who may touch it when.

The engine's bindings hold Python's global lock while they work, so no two calls into the engine ever run at once, and
threads only keep the event loop free between calls. Writes of a collection run one after the other, in order of
arrival, on a thread of its own; reads run on threads that all collections share, and so pass the writes that wait. A
write is applied before it is acknowledged, so that a reader sees every acknowledged write.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from trivium_serving.errors import StorageFull, TriviumError, Unavailable

from trivium_qdrant_edge.data_folder import size_on_disk, sync_files, writing
from trivium_qdrant_edge.digests import digest_all, forget_clean, keep_clean
from trivium_qdrant_edge.engine_errors import engine_errors
from trivium_qdrant_edge.remembered_writes import RememberedWrites
from trivium_qdrant_edge.room import read_only

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import qdrant_edge

    from trivium_qdrant_edge.catalog import CatalogEntry
    from trivium_qdrant_edge.data_folder import DataFolder
    from trivium_qdrant_edge.room import Room

_Result = TypeVar("_Result")

# What an operation that stores nothing takes in memory, about.
_SMALL_BYTES = 1_000

# A copy is caught up with until it lacks this few writes, or is not getting there: each round is shorter than the last
# where the engine is quicker than those who write.
_FEW_WRITES = 4
_MOST_ROUNDS = 8

# What was written since the last flush is read from the log again by a start after a kill: so much of it in a moment.
_LONGEST_LOG_BYTES = 16 << 20

# How long a collection must not have changed before its log is shortened, however short it is.
_QUIET_SECONDS = 10.0

# A larger collection ends without new digests of all its files, so that the end of the process does not wait for them.
_MOST_DIGESTED_BYTES = 1 << 30


class Collection:
    """A collection that is open.

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
        self.changed_at = time.monotonic()
        self._shard: qdrant_edge.EdgeShard | None = shard
        self._readers = readers
        self._room = room
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write-{entry.id[:8]}")
        # What a start reads again from the log is not on the disk yet, for all we know.
        self._unflushed = self._unsynced = not folder.is_read_only
        self._log_bytes = 0
        self._is_clean = False
        self._change_count = 0
        self._abandoned = False
        self._remembered = RememberedWrites()

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
        make_operation: Callable[[], qdrant_edge.UpdateOperation],
        size_bytes: int | None = None,
        files_bytes: int = 0,
    ) -> None:
        """Applies an operation after all earlier writes; on return it survives the end of the process.

        Args:
            make_operation: Makes it, on the writing thread. It must refuse whatever the engine would refuse: the
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
                operation = make_operation()
                self._note_change(size_bytes or _SMALL_BYTES)
                self._room.note_write(size_bytes or _SMALL_BYTES, self.path)
                self._remembered.add(operation, size_bytes or _SMALL_BYTES)
                self._live_shard().update(operation)

        await self._on_writer(run)

    async def sync(self) -> bool:
        """Forces what was written to the disk, the engine's log among it.

        Returns:
            Whether there was anything to force. What could not be forced is tried again by the next call.
        """

        def run() -> bool:
            if not self._unsynced:
                return False
            sync_files(self.path)
            self._unsynced = False
            return True

        return await self._on_writer(run)

    async def flush(self) -> bool:
        """Lets the engine shorten its log, so that the next start need not read it.

        The engine stops the whole process while it flushes, for tenths of a second, on a busy machine for seconds: see
        `is_flush_due`.

        Returns:
            Whether there was anything to flush. What could not be flushed is tried again by the next call.
        """

        def run() -> bool:
            if not self._unflushed:
                return False
            sync_files(self.path)  # most of the work, while the process goes on
            self._flush_now()
            return True

        return await self._on_writer(run)

    @property
    def is_flush_due(self) -> bool:
        """Whether the log is worth shortening: it has become long, or nothing is written any more."""
        is_quiet = time.monotonic() - self.changed_at >= _QUIET_SECONDS
        return self._unflushed and (is_quiet or self._log_bytes >= _LONGEST_LOG_BYTES)

    async def keep_digests(self) -> bool:
        """Keeps digests of all files, unless there are such, or something is written meanwhile.

        Returns:
            Whether it did.
        """
        count = await self._on_writer(lambda: None if self._unflushed or self._is_clean else self._change_count)
        if count is None or not self._room.is_left:
            return False
        path = self.path
        digests = await asyncio.to_thread(digest_all, path)

        def run() -> bool:
            if self._change_count != count:
                return False
            keep_clean(path, digests)
            self._is_clean = True
            return True

        return await self._on_writer(run)

    async def copy(self, copy_files: Callable[[], object]) -> None:
        """Copies the collection's files while no write runs, and remembers every later write for `replace`.

        Args:
            copy_files: Copies them.
        """

        def run() -> None:
            self._check_writable()
            if self._unflushed:
                sync_files(self.path)
                self._flush_now()
            copy_files()
            self._remembered.begin()

        await self._on_writer(run)

    async def unindexed_count(self) -> int:
        """How many points have no search index for a dense vector, if each has all vectors of the collection.

        The engine counts indexed vectors, the sparse among them, which always are.
        """

        def count(shard: qdrant_edge.EdgeShard) -> int:
            info, schema = shard.info(), self.entry.schema
            vector_count = info.points_count * (len(schema.dense) + len(schema.sparse))
            return (vector_count - info.indexed_vectors_count) // max(len(schema.dense), 1)

        return await self.read(count)

    def points_count(self) -> int:
        """How many points there are. Blocks, shortly."""
        with engine_errors():
            return self._live_shard().info().points_count

    async def catch_up(self, open_shard: Callable[[], qdrant_edge.EdgeShard]) -> bool:
        """Applies to the copy most of the writes made since, while this collection takes more.

        So that `replace`, which no write passes, has little left to do.

        Args:
            open_shard: Opens the copy.

        Returns:
            Whether it was done; not so if the copy was too far behind.
        """
        shard = await asyncio.to_thread(open_shard)
        try:
            for _ in range(_MOST_ROUNDS):
                operations = await self._on_writer(self._remembered.take)
                if operations is None:
                    return False
                for operation in operations:
                    await asyncio.to_thread(_repeat, shard, operation)
                if len(operations) <= _FEW_WRITES:
                    break
            return True
        finally:
            await asyncio.to_thread(_close, shard)

    def forget_copy(self) -> None:
        """Remembers no more writes: the copy will not be used, or is."""
        with suppress(RuntimeError):  # closed meanwhile
            self._writer.submit(self._remembered.end)  # after a copy that nobody waits for any more

    async def replace(
        self, open_shard: Callable[[], qdrant_edge.EdgeShard], commit: Callable[[], CatalogEntry]
    ) -> bool:
        """Goes on with another shard, made from the copy, once it has the writes made since.

        Reads that run finish on the old shard, which closes with the last of them.

        Args:
            open_shard: Opens the other shard.
            commit: Makes it the collection's for good, in the catalog.

        Returns:
            Whether it was done; not so if the copy was too far behind.
        """

        def run() -> bool:
            size_bytes, operations = self._remembered.size_bytes, self._remembered.take()
            if operations is None:
                return False
            self._room.check(size_bytes, self.path)
            with engine_errors():
                shard = open_shard()
            for operation in operations:
                _repeat(shard, operation)
            with engine_errors():
                shard.flush()
            old, self.entry = self.path, commit()
            self._room.forget(old)
            self._is_clean = False
            self._change_count += 1
            self._shard = shard
            return True

        return await self._on_writer(run)

    async def close(self, *, keep_digests: bool) -> None:
        """Flushes and closes, after the writes that wait. Later writes are refused.

        Args:
            keep_digests: Whether there is time for digests of all files.
        """

        def run() -> None:
            if self._unflushed:
                self._flush_now()
            with engine_errors():
                self._live_shard().close()
            wanted = keep_digests and not self._is_clean and not self._folder.is_read_only
            if wanted and size_on_disk(self.path) <= _MOST_DIGESTED_BYTES:
                with suppress(OSError):  # the next start checks less
                    keep_clean(self.path, digest_all(self.path))

        await self._on_writer(run)
        self._writer.shutdown(wait=False)

    def abandon(self) -> None:
        """Refuses later writes, and those that wait; the data goes with the last reader."""
        self._abandoned = True
        self._shard = None  # the room of deleted files is free only once nothing maps them
        self._room.forget(self.path)
        self._writer.shutdown(wait=False)

    def _note_change(self, size_bytes: int) -> None:
        if self._is_clean:
            with writing(self.path):
                forget_clean(self.path)
        self._is_clean, self._unflushed, self._unsynced = False, True, True
        self._log_bytes += size_bytes
        self._change_count += 1
        self.changed_at = time.monotonic()

    def _check_room(self, size_bytes: int, files_bytes: int) -> None:
        try:
            self._room.check(size_bytes, self.path, files_bytes)
        except StorageFull:
            if not self._unflushed:
                raise
            self._flush_now()
            self._room.check(size_bytes, self.path, files_bytes)

    def _flush_now(self) -> None:
        self._room.make_way()
        with engine_errors():
            self._live_shard().flush()
        self._room.note_flush(self.path)
        self._unflushed = self._unsynced = False
        self._log_bytes = 0

    def _live_shard(self) -> qdrant_edge.EdgeShard:
        shard = self._shard
        if shard is None:
            raise self._closing()
        return shard

    def _check_writable(self) -> None:
        if self._folder.is_read_only:
            raise read_only(self._folder.root)

    async def _on_writer(self, run: Callable[[], _Result]) -> _Result:
        def run_if_kept() -> _Result:
            if self._abandoned:
                raise self._closing()
            return run()

        try:
            future = self._writer.submit(run_if_kept)
        except RuntimeError as error:  # the executor was shut down
            raise self._closing() from error
        return await asyncio.wrap_future(future)

    def _closing(self) -> Unavailable:
        return Unavailable(f"Collection `{self.name}` is being closed or deleted.", reason="CLOSING")


def _repeat(shard: qdrant_edge.EdgeShard, operation: qdrant_edge.UpdateOperation) -> None:
    # What failed on the old shard fails here in the same way, and leaves the same behind.
    with suppress(TriviumError), engine_errors():
        shard.update(operation)


def _close(shard: qdrant_edge.EdgeShard) -> None:
    with engine_errors():
        shard.flush()
        shard.close()
