"""The writes that a copy of a collection lacks, in memory until the copy has them or is given up."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    import qdrant_edge

# How much a copy may lack: some minutes of what an encoder on a few cores gives. What the engine keeps of a message in
# memory is about its size.
_MOST_COUNT = 20_000
_MOST_BYTES = 256 << 20

# A copy is caught up with until it lacks this few writes, or is not getting there: each round is shorter than the last
# where the engine is quicker than those who write.
_FEW_WRITES = 4
_MOST_ROUNDS = 8


class RememberedWrites:
    """Writes since `begin`. Belongs to the collection's writing thread."""

    def __init__(self) -> None:
        self._writes: list[qdrant_edge.UpdateOperation] | None = None
        self.size_bytes = 0

    def begin(self) -> None:
        """Remembers every write from now on."""
        self._writes, self.size_bytes = [], 0

    def end(self) -> None:
        """Remembers nothing any more."""
        self._writes, self.size_bytes = None, 0

    def add(self, operation: qdrant_edge.UpdateOperation, size_bytes: int) -> None:
        """Remembers a write, if that was begun; ends it all if it would be too much."""
        if self._writes is None:
            return
        self.size_bytes += size_bytes
        if len(self._writes) >= _MOST_COUNT or self.size_bytes > _MOST_BYTES:
            self.end()
        else:
            self._writes.append(operation)

    def take(self) -> Sequence[qdrant_edge.UpdateOperation] | None:
        """The writes in their order, which are forgotten; None if they were too many, or nothing was begun."""
        taken = self._writes
        if taken is not None:
            self.begin()
        return taken


async def catch_up(
    open_shard: Callable[[], qdrant_edge.EdgeShard],
    take: Callable[[], Awaitable[Sequence[qdrant_edge.UpdateOperation] | None]],
) -> bool:
    """Repeats on a copy most of the writes that it lacks, while there are more.

    Args:
        open_shard: Opens the copy.
        take: See `RememberedWrites.take`.

    Returns:
        Whether it was done; not so if the copy was too far behind.
    """
    shard = await asyncio.to_thread(open_shard)
    try:
        for _ in range(_MOST_ROUNDS):
            operations = await take()
            if operations is None:
                return False
            for operation in operations:
                await asyncio.to_thread(repeat, shard, operation)
            if len(operations) <= _FEW_WRITES:
                break
        return True
    finally:
        await asyncio.to_thread(_close, shard)


def repeat(shard: qdrant_edge.EdgeShard, operation: qdrant_edge.UpdateOperation) -> None:
    """Does once more what was done on another shard."""
    # What failed there fails here in the same way, and leaves the same behind.
    with suppress(TriviumError), engine_errors():
        shard.update(operation)


def _close(shard: qdrant_edge.EdgeShard) -> None:
    with engine_errors():
        shard.flush()
        shard.close()
