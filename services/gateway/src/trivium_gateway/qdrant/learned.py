"""Learned sparse vectors, as Qdrant keeps them."""

from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.qdrant.generated import qdrant

__all__ = ["LEARNED", "sparse_vector", "sparse_weights"]

LEARNED = "learned"
"""Name of the learned sparse vector, where a collection has one."""


def sparse_vector(weights: SparseWeights) -> qdrant.SparseVector:
    """Make Qdrant's form of a learned sparse vector."""
    return qdrant.SparseVector(indices=weights.indices, values=weights.values)


def sparse_weights(vector: qdrant.VectorOutput) -> SparseWeights:
    """Read a sparse vector; servers before 1.16 give it in another form."""
    if vector.WhichOneof("vector") == "sparse":
        return SparseWeights(vector.sparse.indices, vector.sparse.values)
    return SparseWeights(vector.indices.data, vector.data)
