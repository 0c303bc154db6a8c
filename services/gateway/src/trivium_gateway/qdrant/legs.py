"""The legs of a hybrid search as Qdrant is asked for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from qdrant_client import grpc as qdrant

from trivium_gateway.qdrant.points import BM25, DENSE

__all__ = ["LegQuery", "dense_leg", "payload_selector", "sparse_leg"]

_PAYLOAD_FIELDS = ("document_id", "chunk_index", "content_hash", "text", "title", "uri", "start", "end", "metadata")


@dataclass(frozen=True, slots=True)
class LegQuery:
    """One leg, ready to be asked by itself or as a part of a fusion."""

    using: str
    nearest: qdrant.VectorInput
    scope: qdrant.Filter
    params: qdrant.SearchParams | None

    def query(self, physical: str, limit: int, *, with_payload: bool) -> qdrant.QueryPoints:
        """The leg as a query of its own."""
        return qdrant.QueryPoints(
            collection_name=physical,
            query=qdrant.Query(nearest=self.nearest),
            using=self.using,
            filter=self.scope,
            params=self.params,
            limit=limit,
            with_payload=payload_selector() if with_payload else qdrant.WithPayloadSelector(enable=False),
        )

    def prefetch(self, limit: int) -> qdrant.PrefetchQuery:
        """The leg as a part of a fusion."""
        return qdrant.PrefetchQuery(
            query=qdrant.Query(nearest=self.nearest),
            using=self.using,
            filter=self.scope,
            params=self.params,
            limit=limit,
        )


def dense_leg(vector: Sequence[float], scope: qdrant.Filter) -> LegQuery:
    """The nearest vectors."""
    return LegQuery(DENSE, qdrant.VectorInput(dense=qdrant.DenseVector(data=vector)), scope, None)


def sparse_leg(words: qdrant.VectorInput, scope: qdrant.Filter, *, corpus: qdrant.Filter) -> LegQuery:
    """BM25.

    Args:
        words: The vector of the query's words.
        scope: Which chunks to find.
        corpus: Over which chunks to count how rare a word is.
    """
    # How rare a word is, is counted over the tenant's own chunks: others must neither show in the scores nor bend them.
    params = qdrant.SearchParams(idf=qdrant.IdfParams(corpus=corpus))
    return LegQuery(BM25, words, scope, params)


def payload_selector() -> qdrant.WithPayloadSelector:
    """What a candidate is made of."""
    return qdrant.WithPayloadSelector(include=qdrant.PayloadIncludeSelector(fields=_PAYLOAD_FIELDS))
