"""Collections of documents."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

CollectionState: TypeAlias = Literal["ready", "opening", "damaged", "unavailable"]
"""Whether a collection can be used."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection.

    Attributes:
        name: Its name.
        chunk_count: Number of pieces of documents in it.
        model: The embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        metadata_keys: Metadata keys that can be filtered by.
        state: `ready`; `opening`, `damaged` or `unavailable` if it cannot be used now, and then all but the name is
            unknown: 0 or empty.
    """

    name: str
    chunk_count: int
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: tuple[str, ...]
    state: CollectionState = "ready"
