"""Collections of documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivium_client._indexes import IndexBeside, IndexComparison

CollectionState: TypeAlias = Literal["ready", "opening", "damaged", "unavailable"]
"""Whether a collection can be used."""


SettingValues: TypeAlias = Mapping[str, float | int | str | bool | None]
"""Settings of a collection by their names; see `Trivium.update_collection`."""


@dataclass(frozen=True, slots=True)
class SettingsVersion:
    """Settings of a collection as they were from some moment on.

    Attributes:
        number: Counts the changes, from 1; 0 for what was before the first.
        made_at: When, RFC 3339; None for what was before the first change.
        note: Why, in the words of their author.
        values: What is set; all else is left to the gateway.
    """

    number: int
    made_at: str | None
    note: str
    values: SettingValues


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
        needs_reindex: Whether `trivium reindex` would make it otherwise than it is. It is searched as it was
            made; `reindex_collection` makes it anew.
        coded_chunk_count: Number of pieces that have the vectors of their tokens, so that the reranker need not read
            them; None if that is not known yet. `reindex_collection` gives the others theirs.
        settings: How it is searched and judged; None for one whose settings nobody has changed.
        earlier_settings: The versions before that it can go back to, the last one last.
        index_beside: The index beside the one that answers, while its model is changed or can be changed back.
        comparison: How its index and the one before answered the same questions, when its model was changed last.
        sparse_fingerprint: Fingerprint of the model of its learned sparse vectors; empty if it has none.
    """

    name: str
    chunk_count: int
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: tuple[str, ...]
    state: CollectionState = "ready"
    needs_reindex: bool = False
    coded_chunk_count: int | None = None
    settings: SettingsVersion | None = None
    earlier_settings: tuple[SettingsVersion, ...] = ()
    index_beside: IndexBeside | None = None
    comparison: IndexComparison | None = None
    sparse_fingerprint: str = ""
