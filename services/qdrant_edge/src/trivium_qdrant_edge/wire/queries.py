"""Queries: nearest vectors, prefetches and their fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import qdrant_edge
from trivium_serving.errors import InvalidField, TooLarge

from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.fields import allow_only, unsupported
from trivium_qdrant_edge.wire.filters import FilterConverter
from trivium_qdrant_edge.wire.selectors import order_by_to_engine, payload_selector, vectors_selector
from trivium_qdrant_edge.wire.vectors import query_vector_to_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_qdrant_edge.settings import Limits

_DEFAULT_LIMIT = 10
_DEFAULT_RRF_K = 2

# There is one copy of the data, and the client's deadline bounds the call: these two change nothing here.
WITHOUT_EFFECT = frozenset(("read_consistency", "timeout"))

_QUERY = WITHOUT_EFFECT | {
    "collection_name", "prefetch", "query", "using", "filter", "params", "score_threshold", "limit", "offset",
    "with_vectors", "with_payload",
}  # fmt: skip
_PREFETCH = frozenset(("prefetch", "query", "using", "filter", "params", "score_threshold", "limit"))
_PARAMS = frozenset(("hnsw_ef", "exact", "indexed_only", "idf"))


class QueryConverter:
    """Converts the query, or the batch of queries, of one request.

    Args:
        limits: What it may ask for.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._filters = FilterConverter(limits.filter_conditions)

    def convert(self, wire: qdrant.QueryPoints) -> qdrant_edge.QueryRequest:
        """The engine's form of a query.

        Raises:
            InvalidField: It makes no sense.
            TooLarge: It asks for more than it may.
            Unimplemented: It uses what is not supported.
        """
        allow_only(wire, _QUERY)
        limit = self._limit(wire)
        if limit + wire.offset > self._limits.query_limit:
            raise self._over_limit(limit + wire.offset)
        return qdrant_edge.QueryRequest(
            limit=limit,
            offset=wire.offset,
            query=_scoring(wire),
            prefetches=self._prefetches(wire.prefetch),
            with_vector=vectors_selector(wire),
            with_payload=payload_selector(wire, default=False),
            filter=self._filter(wire),
            score_threshold=wire.score_threshold if wire.HasField("score_threshold") else None,
            params=self._params(wire),
        )

    def _prefetches(self, wire: Sequence[qdrant.PrefetchQuery]) -> list[qdrant_edge.Prefetch] | None:
        return [self._prefetch(prefetch) for prefetch in wire] or None

    def _prefetch(self, wire: qdrant.PrefetchQuery) -> qdrant_edge.Prefetch:
        allow_only(wire, _PREFETCH)
        return qdrant_edge.Prefetch(
            limit=self._limit(wire),
            query=_scoring(wire),
            prefetches=self._prefetches(wire.prefetch),
            params=self._params(wire),
            filter=self._filter(wire),
            score_threshold=wire.score_threshold if wire.HasField("score_threshold") else None,
        )

    def _filter(self, wire: qdrant.QueryPoints | qdrant.PrefetchQuery) -> qdrant_edge.Filter | None:
        return self._filters.convert(wire.filter) if wire.HasField("filter") else None

    def _limit(self, wire: qdrant.QueryPoints | qdrant.PrefetchQuery) -> int:
        limit = wire.limit if wire.HasField("limit") else _DEFAULT_LIMIT
        if limit < 1:
            raise InvalidField("limit", "Wrong input: limit: value 0 invalid, must be 1 or larger")
        if limit > self._limits.query_limit:
            raise self._over_limit(limit)
        return limit

    def _over_limit(self, asked: int) -> TooLarge:
        return TooLarge(
            f"Wrong input: {asked} results were asked for, of which at most {self._limits.query_limit} can be given. "
            "Page with Scroll, or raise TRIVIUM_QDRANT_EDGE_MAX_QUERY_LIMIT.",
            field="limit",
        )

    def _params(self, wire: qdrant.QueryPoints | qdrant.PrefetchQuery) -> qdrant_edge.SearchParams | None:
        if not wire.HasField("params"):
            return None
        params = wire.params
        allow_only(params, _PARAMS)
        idf = None
        if params.HasField("idf") and params.idf.HasField("corpus"):
            idf = qdrant_edge.IdfParams(corpus=self._filters.convert(params.idf.corpus))
        return qdrant_edge.SearchParams(
            hnsw_ef=params.hnsw_ef if params.HasField("hnsw_ef") else None,
            exact=params.exact,
            indexed_only=params.indexed_only,
            idf=idf,
        )


def _scoring(wire: qdrant.QueryPoints | qdrant.PrefetchQuery) -> qdrant_edge.ScoringQueryType | None:
    """How points are scored; None for the order of their ids."""
    if not wire.HasField("query"):
        return None
    query = wire.query
    kind = query.WhichOneof("variant")
    if kind == "nearest":
        vector = query_vector_to_engine(query.nearest, "query.nearest")
        return qdrant_edge.Query.Nearest(vector, wire.using if wire.HasField("using") else None)
    if kind == "fusion":
        return _fusion(query.fusion)
    if kind == "rrf":
        k = query.rrf.k if query.rrf.HasField("k") else _DEFAULT_RRF_K
        if k < 1:
            raise InvalidField("query.rrf.k", "Wrong input: k of RRF must be 1 or larger")
        return cast("qdrant_edge.Fusion", qdrant_edge.Fusion.Rrf(k=k, weights=list(query.rrf.weights) or None))
    if kind == "order_by":
        return order_by_to_engine(query.order_by)
    if kind == "sample":
        return qdrant_edge.Sample.Random
    if kind is None:
        raise InvalidField("query", "Wrong input: a query without content")
    raise unsupported(f"a query of the kind `{kind}`")


def _fusion(fusion: qdrant.Fusion.ValueType) -> qdrant_edge.Fusion:
    # The engine's stubs do not say that its two fusions are Fusions.
    if fusion == qdrant.Fusion.RRF:
        return cast("qdrant_edge.Fusion", qdrant_edge.Fusion.Rrf(k=_DEFAULT_RRF_K))
    if fusion == qdrant.Fusion.DBSF:
        return cast("qdrant_edge.Fusion", qdrant_edge.Fusion.Dbsf())
    raise unsupported(f"the fusion {fusion}")
