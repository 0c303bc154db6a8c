"""Learned sparse vectors: a weight for each token of the vocabulary that tells something of a text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.tokenization import TokenIds


@dataclass(frozen=True, slots=True, eq=False)
class SparseVector:
    """The weights of one text that are not 0."""

    indices: NDArray[np.uint32]
    """`[terms]`, ids in the model's vocabulary, ascending."""
    values: NDArray[np.float32]
    """`[terms]`, weights above 0."""

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers."""
        return self.indices.nbytes + self.values.nbytes

    def heaviest(self, most: int) -> "SparseVector":
        """The vector with its heaviest terms alone, at most so many."""
        if len(self.indices) <= most:
            return self
        kept = np.sort(np.argsort(-self.values, kind="stable")[:most])
        return SparseVector(self.indices[kept], self.values[kept])


@dataclass(frozen=True, slots=True, eq=False)
class LexicalHead:
    """BGE-M3's weights of tokens, made of the same token embeddings as its dense vector: a linear layer, none below 0,
    and the largest of a token that occurs several times (Chen et al., "BGE M3-Embedding", 2024, 3.2)."""

    weight: NDArray[np.float32]
    """`[hidden]`."""
    bias: float
    """Added to each."""
    left_out: NDArray[np.int32]
    """Ids of special tokens, which have no weight."""

    def __call__(self, tokens: TokenIds, output: NDArray[np.float32]) -> SparseVector:
        """The vector of a text.

        Args:
            tokens: As the model reads them.
            output: `[tokens, hidden]`, the transformer's.
        """
        words = ~tokens.special & np.isin(tokens.ids, self.left_out, invert=True)
        weights = np.maximum(output[words] @ self.weight + np.float32(self.bias), 0)
        return largest_of_each(tokens.ids[words], weights)


def largest_of_each(ids: NDArray[np.int32], weights: NDArray[np.float32]) -> SparseVector:
    """The vector in which each of some tokens has the largest of its weights.

    Args:
        ids: `[tokens]`, in any order.
        weights: `[tokens]`, 0 or more; those of 0 are left out.
    """
    told = weights > 0
    indices, places = np.unique(ids[told], return_inverse=True)
    values = np.zeros(len(indices), np.float32)
    np.maximum.at(values, places, weights[told])
    return SparseVector(indices.astype(np.uint32), values)
