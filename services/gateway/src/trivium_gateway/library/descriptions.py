"""A collection as people see it, and what an error tells of the collection that was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from trivium_serving.errors import StorageFull, TriviumError

from trivium_gateway.domain.comparison import IndexComparison
from trivium_gateway.domain.indexes import IndexBeside
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.settings import SettingsHistory

__all__ = ["CollectionDescription", "CollectionState", "state_told_by"]


class CollectionState(Enum):
    """Whether a collection can be used."""

    READY = "ready"
    OPENING = "opening"
    """Qdrant knows it and has not opened it yet."""
    DAMAGED = "damaged"
    """Its files are not what was written; Qdrant serves the others."""
    UNAVAILABLE = "unavailable"
    """Qdrant fails with it for another reason: there was no room to open it, or its shards are away or broken."""


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """A collection as people see it. Of one that cannot be used only the name and the state are known.

    Attributes:
        name: Its name.
        state: Whether it can be used.
        chunk_count: Number of pieces of documents in it; None if nobody can tell.
        coded_chunk_count: Number of those that have the vectors of their tokens, roughly while documents are written;
            None if nobody can tell.
        model: Name of the embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        metadata_keys: Keys that can be filtered by, and what their values are; in the order of their names.
        needs_reindex: Whether a reindexing would make it otherwise than it is. It is searched as it was made.
        settings: How it is searched and judged, and was before.
        beside: The index beside the one that answers; None if there is none.
        comparison: How its index and the one before answered the same questions; None if they were not compared.
        sparse_fingerprint: Fingerprint of the model of its learned sparse vectors; empty if it has none.
    """

    name: str
    state: CollectionState
    chunk_count: int | None = None
    coded_chunk_count: int | None = None
    model: str = ""
    model_fingerprint: str = ""
    dimension: int = 0
    metadata_keys: Mapping[str, MetadataKind] = field(default_factory=dict)
    needs_reindex: bool = False
    settings: SettingsHistory = field(default_factory=SettingsHistory)
    beside: IndexBeside | None = None
    comparison: IndexComparison | None = None
    sparse_fingerprint: str = ""


_STATES = {
    "COLLECTION_UNAVAILABLE": CollectionState.OPENING,
    "COLLECTION_DAMAGED": CollectionState.DAMAGED,
    "UPSTREAM_FAILED": CollectionState.UNAVAILABLE,
}


def state_told_by(error: TriviumError) -> CollectionState | None:
    """Say what an error tells of the collection that was asked for.

    Returns:
        Its state; None if the error says nothing of this collection, but of the request or of Qdrant as a whole.
    """
    return CollectionState.UNAVAILABLE if isinstance(error, StorageFull) else _STATES.get(error.reason)
