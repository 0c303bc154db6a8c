"""The legs of a hybrid search: how Qdrant is asked for them, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.learned import LEARNED, sparse_vector
from trivium_gateway.qdrant.points import BM25, DENSE
from trivium_gateway.qdrant.storing import search_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.domain.sparse_weights import SparseWeights
    from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["Hit", "LegQuery", "dense_leg", "find", "find_all", "learned_leg", "sparse_leg"]

# Most of what the legs find is dropped or never shown, and its payload is most of what they would cost.
_NO_PAYLOAD = qdrant.WithPayloadSelector(enable=False)


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a leg found, by the id of its point."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class LegQuery:
    """One leg, ready to be asked."""

    using: str
    nearest: qdrant.VectorInput
    scope: qdrant.Filter
    params: qdrant.SearchParams | None = None

    def query(self, physical: str, limit: int) -> qdrant.QueryPoints:
        """The query for the best points of the leg."""
        return qdrant.QueryPoints(
            collection_name=physical,
            query=qdrant.Query(nearest=self.nearest),
            using=self.using,
            filter=self.scope,
            params=self.params,
            limit=limit,
            with_payload=_NO_PAYLOAD,
        )


def dense_leg(vector: Sequence[float], scope: qdrant.Filter, settings: CollectionSettings) -> LegQuery:
    """The nearest vectors, found as a collection with some settings keeps them."""
    nearest = qdrant.VectorInput(dense=qdrant.DenseVector(data=vector))
    return LegQuery(DENSE, nearest, scope, search_params(settings))


def sparse_leg(words: qdrant.VectorInput, scope: qdrant.Filter, corpus: qdrant.Filter | None) -> LegQuery:
    """BM25, by how rare each word is in a corpus; in the whole collection, which is one tenant's, if there is none."""
    params = None if corpus is None else qdrant.SearchParams(idf=qdrant.IdfParams(corpus=corpus))
    return LegQuery(BM25, words, scope, params)


def learned_leg(weights: SparseWeights, scope: qdrant.Filter) -> LegQuery:
    """The greatest inner products of learned sparse vectors."""
    return LegQuery(LEARNED, qdrant.VectorInput(sparse=sparse_vector(weights)), scope)


async def find(
    connection: QdrantConnection, physical: str, leg: LegQuery, limit: int, *, timeout_seconds: float
) -> list[Hit]:
    """Give what one leg finds, best first."""
    reply = await connection.call(connection.points.Query, leg.query(physical, limit), timeout_seconds=timeout_seconds)
    return _hits(reply.result)


async def find_all(
    connection: QdrantConnection, physical: str, legs: Sequence[LegQuery], limit: int, *, timeout_seconds: float
) -> list[list[Hit]]:
    """Give what each of the legs finds, best first, in one call."""
    queries = [leg.query(physical, limit) for leg in legs]
    request = qdrant.QueryBatchPoints(collection_name=physical, query_points=queries)
    reply = await connection.call(connection.points.QueryBatch, request, timeout_seconds=timeout_seconds)
    return [_hits(one.result) for one in reply.result]


def _hits(points: Iterable[Any]) -> list[Hit]:
    """Best first; equally good ones by their ids, since Qdrant's order of those depends on where they happen to lie."""
    return sorted((Hit(point.id.uuid, point.score) for point in points), key=lambda hit: (-hit.score, hit.id))
