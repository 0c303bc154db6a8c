"""How far a change of a collection's model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.library.reindexing import ReindexProgress

if TYPE_CHECKING:
    from trivium_gateway.domain.comparison import IndexComparison
    from trivium_gateway.domain.indexes import IndexRole
    from trivium_gateway.ingestion.rebuilding.gate import Comparing
    from trivium_gateway.ingestion.rebuilding.passes import Passes
    from trivium_gateway.library.lookup import OwnCollection
    from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["ChangeRun", "done"]


@dataclass(slots=True)
class ChangeRun:
    """A change on its way. All that matters is in Qdrant: without it, the work is looked over once more.

    Attributes:
        role: What the other index is there for.
        other: The index beside the one that answers.
        passes: What brings documents.
        comparing: The comparison, once it was begun.
        comparison: What it has shown.
        is_following: Whether what came during the comparison is being brought.
    """

    role: IndexRole
    other: ResolvedCollection
    passes: Passes
    comparing: Comparing | None = None
    comparison: IndexComparison | None = None
    is_following: bool = False

    def progress(self, own: OwnCollection) -> ReindexProgress:
        """How far the collection is."""
        total = max(own.described.point_count, 1)
        return ReindexProgress(False, min(self.passes.seen_pieces, total), total, comparison=self.comparison)


def done(own: OwnCollection) -> ReindexProgress:
    """A collection with nothing left to do."""
    return ReindexProgress(True, own.described.point_count, own.described.point_count)
