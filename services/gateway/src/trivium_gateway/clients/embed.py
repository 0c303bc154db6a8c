"""The gateway's client of the embed service."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EmbedClient", "EmbedModel", "QueryVector", "Tokens"]


@dataclass(frozen=True, slots=True)
class EmbedModel:
    """The model that the embed service runs.

    Attributes:
        name: As its operator configured it.
        fingerprint: Identity of its vectors.
        dimension: Numbers per vector.
        max_texts: Most texts in one call.
        max_input_tokens: Longest input in tokens; 0 if there is no such limit.
    """

    name: str
    fingerprint: str
    dimension: int
    max_texts: int
    max_input_tokens: int


@dataclass(frozen=True, slots=True)
class QueryVector:
    """A query's vector.

    Attributes:
        vector: `dimension` numbers.
        token_count: Tokens of the query as the model read it.
        cached: Whether it was remembered from an earlier call.
    """

    vector: Sequence[float]
    token_count: int
    cached: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where the model's tokens lie in some texts.

    Attributes:
        starts: Per text, the offset in code points of each token; uint32, ascending.
        overhead_tokens: Tokens that the model adds to every document.
        max_input_tokens: Longest input in tokens, overhead included; 0 if there is no such limit.
    """

    starts: Sequence[NDArray[np.uint32]]
    overhead_tokens: int
    max_input_tokens: int


class EmbedClient:
    """Embeds queries and documents. Every call has a deadline and names the model that it expects.

    All methods raise the domain error that the service sent: Unavailable, Overloaded, DeadlineExceeded, and so on.
    """

    async def model(self, *, timeout_seconds: float = 5.0) -> EmbedModel:
        """Ask which model the service runs now."""
        raise NotImplementedError

    async def embed_query(self, text: str, *, expected_fingerprint: str, timeout_seconds: float) -> QueryVector:
        """Embed a query, or remember its vector. A query over the model's maximum is cut to it.

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED).
        """
        raise NotImplementedError

    async def embed_documents(
        self, texts: Sequence[str], *, expected_fingerprint: str, timeout_seconds: float
    ) -> NDArray[np.float32]:
        """Embed documents at bulk priority: queries overtake them.

        Returns:
            float32 [len(texts), dimension].

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED).
        """
        raise NotImplementedError

    async def tokenize(self, texts: Sequence[str], *, timeout_seconds: float) -> Tokens:
        """Say where the model's tokens lie in some texts."""
        raise NotImplementedError
