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

from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    import qdrant_edge

    from trivium_qdrant_edge.catalog import CatalogEntry

_Result = TypeVar("_Result")


class Collection:
    """A collection that is open.

    Args:
        name: Its name.
        entry: What the catalog says of it.
        shard: Its data.
        readers: Threads for reads.
    """

    def __init__(
        self, name: str, entry: CatalogEntry, shard: qdrant_edge.EdgeShard, readers: ThreadPoolExecutor
    ) -> None:
        self.name = name
        self.entry = entry
        self.changed_at = time.monotonic()
        self._shard = shard
        self._readers = readers
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"write-{entry.id[:8]}")
        self._unflushed = False
        self._record: list[qdrant_edge.UpdateOperation] | None = None

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
                if self._record is not None:
                    self._record.append(operation)
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
            with engine_errors():
                self._shard.flush()
            return True

        return await self._on_writer(run)

    async def copy(self, copy_files: Callable[[], None]) -> None:
        """Copies the collection's files while no write runs, and records every later write for `replace`.

        Args:
            copy_files: Copies them.
        """

        def run() -> None:
            with engine_errors():
                self._shard.flush()
            copy_files()
            self._record = []

        await self._on_writer(run)

    def points_count(self) -> int:
        """How many points there are. Blocks, shortly."""
        with engine_errors():
            return self._shard.info().points_count

    def forget_copy(self) -> None:
        """Ends the recording of writes: the copy will not be used."""
        self._record = None

    def recorded_operation_count(self) -> int:
        """How many writes there were since the copy."""
        return len(self._record or ())

    async def replace(
        self, open_shard: Callable[[], qdrant_edge.EdgeShard], commit: Callable[[], CatalogEntry]
    ) -> None:
        """Goes on with another shard, made from the copy, once it has the writes made since.

        Reads that run finish on the old shard, which closes with the last of them.

        Args:
            open_shard: Opens the other shard.
            commit: Makes it the collection's for good, in the catalog.
        """

        def run() -> None:
            with engine_errors():
                shard = open_shard()
            for operation in self._record or ():
                # What failed on the old shard fails here in the same way, and leaves the same behind.
                with suppress(TriviumError), engine_errors():
                    shard.update(operation)
            with engine_errors():
                shard.flush()
            self.entry = commit()
            self._shard = shard
            self._record = None

        await self._on_writer(run)

    async def close(self) -> None:
        """Flushes and closes, after the writes that wait. Later writes are refused."""

        def run() -> None:
            with engine_errors():
                self._shard.close()

        await self._on_writer(run)
        self._writer.shutdown(wait=False)

    def abandon(self) -> None:
        """Refuses later writes; the data goes with the last reader."""
        self._writer.shutdown(wait=False, cancel_futures=True)

    async def _on_writer(self, run: Callable[[], _Result]) -> _Result:
        try:
            future = self._writer.submit(run)
        except RuntimeError as error:  # the executor was shut down
            raise Unavailable(f"Collection `{self.name}` is being closed or deleted.", reason="CLOSING") from error
        return await asyncio.wrap_future(future)
