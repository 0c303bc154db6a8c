"""Computes vectors by the API of Cohere, version 2."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import Role
from trivium_model_apis.cohere import URL, CohereApi, cohere_failures

from trivium_embed.backends.api import ApiOptions

__all__ = ["URL", "CohereProvider"]

_DEFAULT_MODEL = "embed-v4.0"
_MAX_TOKENS = {"embed-v4.0": 128_000}
_BATCH_TEXTS = 96
_INPUT_TYPES = {Role.QUERY: "search_query", Role.DOCUMENT: "search_document"}


class CohereProvider:
    """Cohere's embedding models.

    Args:
        options: Which API and model.
    """

    name = "cohere"
    cuts_texts = True

    def __init__(self, options: ApiOptions) -> None:
        self.model = options.model or _DEFAULT_MODEL
        self.max_tokens = options.max_tokens or _MAX_TOKENS.get(self.model, 512)
        self.batch_texts = min(options.batch_texts or _BATCH_TEXTS, _BATCH_TEXTS)
        # Models of the third generation have one dimension, and refuse to be asked for it.
        asks_dimension = options.dimension and not self.model.endswith("-v3.0")
        self._parameters: dict[str, Any] = {"output_dimension": options.dimension} if asks_dimension else {}
        self._api = CohereApi(options.url, options.key)

    async def embed(self, texts: Sequence[str], role: Role, *, truncate: bool) -> NDArray[np.float32]:
        """One request, as `Provider.embed` says."""
        with cohere_failures("vectors"):
            answer = await self._api.client.embed(
                model=self.model,
                input_type=_INPUT_TYPES[role],
                texts=list(texts),
                embedding_types=["float"],
                truncate="END" if truncate else "NONE",
                **self._parameters,
            )
            return np.array(answer.embeddings.float_, dtype=np.float32).reshape(len(texts), -1)

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()
