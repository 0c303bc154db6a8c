"""The legs of a hybrid search as Qdrant is asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import grpc as qdrant

from trivium_gateway.qdrant.points import BM25, DENSE

__all__ = ["LegQuery", "dense_leg", "sparse_leg"]

_PAYLOAD_FIELDS = (
    *("document_id", "chunk_index", "content_hash", "text", "title", "uri", "start", "end", "metadata"),
    *("heading", "page", "table_header"),
)

_CANDIDATE = qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=_PAYLOAD_FIELDS))
"""What a candidate is made of."""


@dataclass(frozen=True, slots=True)
class LegQuery:
    """One leg, ready to be asked."""

    using: str
    nearest: qdrant.VectorInput
    scope: qdrant.Filter

    def query(self, physical: str, limit: int) -> qdrant.QueryPoints:
        """The query for the best points of the leg."""
        return qdrant.QueryPoints(
            collection_name=physical,
            query=qdrant.Query(nearest=self.nearest),
            using=self.using,
            filter=self.scope,
            limit=limit,
            with_payload=_CANDIDATE,
        )


def dense_leg(vector: Sequence[float], scope: qdrant.Filter) -> LegQuery:
    """The nearest vectors."""
    return LegQuery(DENSE, qdrant.VectorInput(dense=qdrant.DenseVector(data=vector)), scope)


def sparse_leg(words: qdrant.VectorInput, scope: qdrant.Filter) -> LegQuery:
    """BM25, by how rare each word is in the whole collection, which is one tenant's."""
    return LegQuery(BM25, words, scope)
