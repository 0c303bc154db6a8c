"""Which points were changed since a collection was copied, and how the copy gets them as they are now.

What is kept is not what was written, but which points it was about: a copy may be behind by all that is written in the
hour that its index takes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import qdrant_edge
from trivium_serving.errors import TriviumError

from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

# More are not kept; the index is begun anew then, when less is written. An id takes 100 bytes, and so does a change of
# the indexes.
_MOST_KEPT = 2_000_000

# The engine holds Python's lock for each call, and a point may have some 20 kB.
_POINTS_AT_A_TIME = 32

# A copy is caught up with until it lacks this few points, or is not getting there: each round is shorter than the last
# where the engine is quicker than those who write.
_FEW_POINTS = 256
_MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Change:
    """A change to a collection.

    Attributes:
        operation: What the engine is to do.
        points: Which points it is about; None if it is about the indexes of the payload.
    """

    operation: qdrant_edge.UpdateOperation
    points: Sequence[qdrant_edge.PointId] | qdrant_edge.Filter | None

    def ids(self, shard: qdrant_edge.EdgeShard) -> Sequence[qdrant_edge.PointId]:
        """The points it is about, before it is made."""
        if not isinstance(self.points, qdrant_edge.Filter):
            return self.points or ()
        limit = max(1, shard.info().points_count)
        found, _ = shard.scroll(qdrant_edge.ScrollRequest(limit=limit, filter=self.points, with_payload=False))
        return [record.id for record in found]


@dataclass(slots=True)
class Changes:
    """What a copy lacks.

    Attributes:
        points: The points that were changed.
        of_indexes: Changes to the indexes of the payload, in their order.
        size_bytes: How large the messages were that changed them.
    """

    points: set[qdrant_edge.PointId] = field(default_factory=set)
    of_indexes: list[qdrant_edge.UpdateOperation] = field(default_factory=list)
    size_bytes: int = 0

    def make(self, shard: qdrant_edge.EdgeShard, copy: qdrant_edge.EdgeShard) -> Iterator[None]:
        """Gives a copy all this as the shard has it now, a little with each step."""
        for operation in self.of_indexes:
            with suppress(TriviumError), engine_errors():  # what failed there fails here in the same way
                copy.update(operation)
            yield
        ids = list(self.points)
        for start in range(0, len(ids), _POINTS_AT_A_TIME):
            some = ids[start : start + _POINTS_AT_A_TIME]
            with engine_errors():
                found = shard.retrieve(some, True, True)
                points = [qdrant_edge.Point(one.id, one.vector or {}, one.payload or {}) for one in found]
                if points:
                    copy.update(qdrant_edge.UpdateOperation.upsert_points(points))
                if gone := set(some) - {one.id for one in found}:
                    copy.update(qdrant_edge.UpdateOperation.delete_points(list(gone)))
            yield


class ChangedPoints:
    """What was changed since `begin`. Belongs to the collection's writing thread."""

    def __init__(self) -> None:
        self._changes: Changes | None = None

    def begin(self) -> None:
        """Keeps every change from now on."""
        self._changes = Changes()

    def end(self) -> None:
        """Keeps none any more."""
        self._changes = None

    def note(self, change: Change, shard: qdrant_edge.EdgeShard, size_bytes: int) -> None:
        """Keeps a change that is about to be made, if that was begun; ends it all if it would be too much."""
        changes = self._changes
        if changes is None:
            return
        if change.points is None:
            changes.of_indexes.append(change.operation)
        else:
            changes.points.update(change.ids(shard))
        changes.size_bytes += size_bytes
        if len(changes.points) + len(changes.of_indexes) > _MOST_KEPT:
            self.end()

    def take(self) -> Changes | None:
        """The changes, which are forgotten; None if they were too many, or nothing was begun."""
        taken = self._changes
        if taken is not None:
            self.begin()
        return taken


async def catch_up(
    live_shard: Callable[[], qdrant_edge.EdgeShard],
    open_copy: Callable[[], qdrant_edge.EdgeShard],
    take: Callable[[], Awaitable[Changes | None]],
) -> bool:
    """Gives a copy most of what it lacks, while there is more.

    Args:
        live_shard: Gives the shard that takes the writes.
        open_copy: Opens the copy.
        take: See `ChangedPoints.take`.

    Returns:
        Whether it was done; not so if the copy was too far behind.
    """
    copy = await asyncio.to_thread(open_copy)
    try:
        for _ in range(_MOST_ROUNDS):
            changes = await take()
            if changes is None:
                return False
            steps = changes.make(live_shard(), copy)
            while await asyncio.to_thread(_step, steps):
                pass
            if len(changes.points) <= _FEW_POINTS:
                break
        return True
    finally:
        await asyncio.to_thread(_close, copy)


def _step(steps: Iterator[None]) -> bool:
    return next(steps, False) is None


def _close(shard: qdrant_edge.EdgeShard) -> None:
    with engine_errors():
        shard.flush()
        shard.close()
