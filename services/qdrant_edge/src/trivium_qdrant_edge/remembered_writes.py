"""The writes that a copy of a collection lacks, in memory until the copy has them or is given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import qdrant_edge

# How much a copy may lack: some minutes of what an encoder on a few cores gives. What the engine keeps of a message in
# memory is about its size.
_MOST_COUNT = 20_000
_MOST_BYTES = 256 << 20


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
