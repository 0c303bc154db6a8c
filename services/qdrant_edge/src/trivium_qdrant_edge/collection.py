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

from trivium_serving.errors import TriviumError, Unavailable

from trivium_qdrant_edge.data_folder import sync_files
from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import qdrant_edge

    from trivium_qdrant_edge.catalog import CatalogEntry
    from trivium_qdrant_edge.data_folder import DataFolder

_Result = TypeVar("_Result")

# How many writes a copy may be behind, which all wait in memory.
_MOST_RECORDED = 2_000


class Collection:
    """A collection that is open.

    Args:
        name: Its name.
        entry: What the catalog says of it.
        folder: Where its files are.
        shard: Its data.
        readers: Threads for reads.
    """

    def __init__(
        self,
        name: str,
        entry: CatalogEntry,
        folder: DataFolder,
        shard: qdrant_edge.EdgeShard,
        readers: ThreadPoolExecutor,
    ) -> None:
        self.name = name
        self.entry = entry
        self._folder = folder
        self.changed_at = time.monotonic()
        self._shard = shard
        self._readers = readers
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write-{entry.id[:8]}")
        self._unflushed = False
        self._abandoned = False
        self._record: list[qdrant_edge.UpdateOperation] | None = None

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
                return work(self._shard)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, make_operation: Callable[[], qdrant_edge.UpdateOperation]) -> None:
        """Applies an operation after all earlier writes; on return it survives the end of the process.

        Args:
            make_operation: Makes it, on the writing thread. It must refuse whatever the engine would refuse: the
                engine logs an operation before it looks at it, and replays after a crash even the half that it could.
        """

        def run() -> None:
            with engine_errors():
                operation = make_operation()
                self._unflushed = True
                self.changed_at = time.monotonic()
                self._remember(operation)
                self._shard.update(operation)

        await self._on_writer(run)

    async def flush(self) -> bool:
        """Forces what was written to the disk, and lets the engine shorten its log.

        Returns:
            Whether there was anything to force.
        """

        def run() -> bool:
            if not self._unflushed:
                return False
            self._unflushed = False
            # The engine stops the whole process while it flushes, so most of the work is done before, without it.
            sync_files(self.path)
            with engine_errors():
                self._shard.flush()
            return True

        return await self._on_writer(run)

    async def copy(self, copy_files: Callable[[], object]) -> None:
        """Copies the collection's files while no write runs, and remembers every later write for `replace`.

        Args:
            copy_files: Copies them.
        """

        def run() -> None:
            with engine_errors():
                self._shard.flush()
            copy_files()
            self._record = []

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
            return self._shard.info().points_count

    def forget_copy(self) -> None:
        """Remembers no more writes: the copy will not be used, or is."""
        self._record = None

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
            if self._record is None:
                return False
            with engine_errors():
                shard = open_shard()
            for operation in self._record:
                # What failed on the old shard fails here in the same way, and leaves the same behind.
                with suppress(TriviumError), engine_errors():
                    shard.update(operation)
            with engine_errors():
                shard.flush()
            self.entry = commit()
            self._shard = shard
            return True

        return await self._on_writer(run)

    async def close(self) -> None:
        """Flushes and closes, after the writes that wait. Later writes are refused."""

        def run() -> None:
            with engine_errors():
                self._shard.flush()
                self._shard.close()

        await self._on_writer(run)
        self._writer.shutdown(wait=False)

    def abandon(self) -> None:
        """Refuses later writes, and those that wait; the data goes with the last reader."""
        self._abandoned = True
        self._writer.shutdown(wait=False)

    def _remember(self, operation: qdrant_edge.UpdateOperation) -> None:
        if self._record is None:
            return
        if len(self._record) < _MOST_RECORDED:
            self._record.append(operation)
        else:
            self._record = None

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
