"""Computes vectors by the API of OpenAI, or by any server that speaks it."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from trivium_encoders import Role
from trivium_model_apis.calls import ApiFailure, retry_after_seconds

from trivium_embed.backends.api import ApiOptions

URL = "https://api.openai.com/v1"

_DEFAULT_MODEL = "text-embedding-3-small"
_MAX_TOKENS = 8191
_BATCH_TEXTS = 2048
# It has one dimension, and refuses to be asked for it.
_FIXED_DIMENSION = ("text-embedding-ada-002",)


class OpenAIProvider:
    """The official client, whose own retries are off: they know no deadline.

    Args:
        options: Which API and model.
    """

    name = "openai"
    cuts_texts = False

    def __init__(self, options: ApiOptions) -> None:
        self.model = options.model or _DEFAULT_MODEL
        self.max_tokens = options.max_tokens or _MAX_TOKENS
        self.batch_texts = options.batch_texts or _BATCH_TEXTS
        self._parameters: dict[str, Any] = {"model": self.model, "encoding_format": "base64"}
        if options.dimension and self.model not in _FIXED_DIMENSION:
            self._parameters["dimensions"] = options.dimension
        # Key and address are given whatever they are, or the client takes them from variables of its own.
        self._client = AsyncOpenAI(
            api_key=options.key or "none",
            base_url=options.url or URL,
            max_retries=0,
            timeout=None,
        )

    async def embed(self, texts: Sequence[str], role: Role, *, truncate: bool) -> NDArray[np.float32]:
        """One request, as `Provider.embed` says; the API knows no roles."""
        try:
            answer = await self._client.embeddings.with_raw_response.create(input=list(texts), **self._parameters)
        except APIStatusError as error:
            raise ApiFailure(
                _message(error),
                status=error.status_code,
                retry_after_seconds=retry_after_seconds(error.response.headers),
                quota_exhausted=error.code == "insufficient_quota",
            ) from error
        except APIConnectionError as error:
            raise ApiFailure(f"it cannot be reached ({error.__cause__ or error})") from error
        try:
            items = sorted(json.loads(answer.content)["data"], key=lambda item: int(item["index"]))
            return np.stack([_vector(item["embedding"]) for item in items])
        except (ValueError, KeyError, TypeError) as error:
            raise ApiFailure("an answer that has no vectors") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.close()


def _vector(embedding: str | list[float]) -> NDArray[np.float32]:
    """A vector in base64, or, from servers that know no other form, as numbers."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
    return np.array(embedding, dtype=np.float32)


def _message(error: APIStatusError) -> str:
    body = error.body
    return str(body["message"]) if isinstance(body, dict) and "message" in body else error.message
