"""Shorter vectors, of models that were trained to bear it.

Such a model puts the most important numbers first, so that the beginning of a vector is a vector of its own: Kusupati
et al., "Matryoshka Representation Learning", NeurIPS 2022. Of any other model the beginning is an arbitrary part, which
finds worse than a model made for so few numbers, so that is refused.
"""

from dataclasses import replace

import numpy as np
from trivium_catalog import least_dimension
from trivium_encoders import Encoded, EncoderInfo
from trivium_serving.errors import FailedPrecondition, InvalidField

from trivium_embed.backends.base import EmbeddingBackend

_REASON = "DIMENSION_NOT_SUPPORTED"


class Dimensions:
    """The dimensions that a backend's vectors may have.

    Args:
        backend: Computes vectors of its own dimension.
        served: Numbers per vector for callers that ask for none; 0 for the backend's own.
        least: Fewest numbers that the model was trained for; 0 for what the catalog says.

    Raises:
        FailedPrecondition: `served` cannot be (DIMENSION_NOT_SUPPORTED).
    """

    def __init__(self, backend: EmbeddingBackend, *, served: int, least: int) -> None:
        self._backend = backend
        self._own = backend.info
        self.most = backend.info.dimension
        self.least = min(least or least_dimension(backend.info.name) or self.most, self.most)
        if served and (refusal := self._refusal(served)):
            raise FailedPrecondition(f"TRIVIUM_EMBED_DIMENSION is {served}. {refusal}", reason=_REASON)
        self._served = self._cut_info(served or self.most)

    def info(self, dimension: int = 0) -> EncoderInfo:
        """The model, as it is with vectors of a dimension; 0 for what is served.

        Raises:
            InvalidField: It cannot have such vectors (DIMENSION_NOT_SUPPORTED).
        """
        if dimension in (0, self._served.dimension):
            return self._served
        if refusal := self._refusal(dimension):
            raise InvalidField("dimension", f"dimension is {dimension}. {refusal}", reason=_REASON)
        return self._cut_info(dimension)

    def cut(self, encoded: Encoded, dimension: int) -> Encoded:
        """Vectors of the backend's own dimension with their first numbers alone, of unit length if they had it."""
        if dimension == encoded.vectors.shape[1]:
            return encoded
        vectors = encoded.vectors[:, :dimension]
        if self._own.normalized:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return replace(encoded, vectors=np.ascontiguousarray(vectors))

    def _cut_info(self, dimension: int) -> EncoderInfo:
        if dimension == self.most:
            return self._own
        return replace(self._own, dimension=dimension, fingerprint=self._backend.fingerprint_of(dimension))

    def _refusal(self, dimension: int) -> str:
        """Why vectors cannot have a dimension; empty if they can."""
        if self.least <= dimension <= self.most:
            return ""
        if self.least < self.most:
            return f"{self._own.name} gives vectors of {self.least} to {self.most} numbers; ask for one of these."
        if dimension > self.most:
            return f"{self._own.name} gives vectors of {self.most} numbers, never more; ask for that, or for 0."
        return (
            f"{self._own.name} gives vectors of {self.most} numbers, and is not known to have been trained for shorter "
            "ones. Ask for 0, or run a model that was (docs/models.md). If this one was, set "
            "TRIVIUM_EMBED_LEAST_DIMENSION to the fewest numbers that it was trained for."
        )
