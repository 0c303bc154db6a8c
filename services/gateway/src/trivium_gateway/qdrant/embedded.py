"""Reads what models made of chunks."""

from trivium_gateway.domain.sparse_weights import NO_WEIGHTS
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.learned import LEARNED, sparse_weights
from trivium_gateway.qdrant.points import DENSE, EmbeddedChunk, token_codes_from

__all__ = ["embedded_from", "vectors_of_models"]


def vectors_of_models(*, with_learned: bool) -> qdrant.WithVectorsSelector:
    """Ask for what models made of chunks."""
    names = [DENSE, LEARNED] if with_learned else [DENSE]
    return qdrant.WithVectorsSelector(include=qdrant.VectorsSelector(names=names))


def embedded_from(point: qdrant.RetrievedPoint, *, with_learned: bool) -> EmbeddedChunk:
    """Read what models made of a chunk from its point, which was asked for as `vectors_of_models` asks."""
    vectors = point.vectors.vectors.vectors
    learned = sparse_weights(vectors[LEARNED]) if LEARNED in vectors else NO_WEIGHTS
    codes = token_codes_from(point.payload)
    return EmbeddedChunk(vectors[DENSE].dense.data or vectors[DENSE].data, codes, learned if with_learned else None)
