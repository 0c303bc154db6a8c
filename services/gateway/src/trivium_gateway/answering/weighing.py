"""How much the vectors, the words and the reranker count for a query, by what their models can read of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_gateway.domain.fusion import reading_weight
from trivium_gateway.library.asking import LegWeights

if TYPE_CHECKING:
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.library.candidates import Leg
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.models.query_memory import QueryVector
    from trivium_gateway.models.rerank import Reranking

_READ = 0.5
"""A model that can read less of a query than this weighs cannot judge by it."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much the stages count whose model has to read the query.

    Attributes:
        dense: The vectors, from 0 to 1.
        rerank: The reranker beside the search, from 0.
        by_model: Whether the embedding model can read the query, and its vectors count.
    """

    dense: float
    rerank: float
    by_model: bool


def weights_of(
    embedded: QueryVector | None,
    judged: Reranking | None,
    collection: ResolvedCollection,
    settings: CollectionSettings,
) -> Weights:
    """A model that cannot read the query has no vote in the search, and half of one over what the words found.

    Late interaction still sees which of the tokens that it does know stand in a passage.
    """
    reads = reading_weight(embedded.read_share) if embedded else 1.0
    judges_too = judged is not None and judged.model == collection.made.model
    return Weights(
        reads * settings.weight_of_dense,
        ((1 + reads) / 2 if judges_too else 1.0) * settings.weight_of_rerank,
        by_model=reads >= _READ and settings.weight_of_dense > 0,
    )


def leg_weights(embedded: QueryVector | None, settings: CollectionSettings) -> LegWeights:
    """How much the legs count: as the collection's settings say, and the vectors as far as their model can read."""
    reads = reading_weight(embedded.read_share) if embedded else 1.0
    off: Leg | None = None
    if not settings.weight_of_dense:
        off = "dense"
    elif not settings.weight_of_sparse:
        off = "sparse"
    return LegWeights(reads * settings.weight_of_dense, settings.weight_of_sparse, off, settings.weight_of_learned)
