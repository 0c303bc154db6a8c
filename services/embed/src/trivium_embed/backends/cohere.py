"""Computes vectors by the API of Cohere, version 2."""

from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from cohere import AsyncClientV2
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError
from numpy.typing import NDArray
from trivium_encoders import Role
from trivium_serving.api_calls import ApiFailure, retry_after_seconds

from trivium_embed.backends.api import ApiOptions

URL = "https://api.cohere.com"

_DEFAULT_MODEL = "embed-v4.0"
_MAX_TOKENS = {"embed-v4.0": 128_000}
_BATCH_TEXTS = 96
_INPUT_TYPES = {Role.QUERY: "search_query", Role.DOCUMENT: "search_document"}
_INVALID_TOKEN, _UNAUTHORIZED, _PAYMENT_REQUIRED = 498, 401, 402


class CohereProvider:
    """The official client, whose own retries are off: they know no deadline.

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
        self._http = httpx.AsyncClient(timeout=None)
        self._client = AsyncClientV2(
            api_key=options.key or "none", base_url=options.url or URL, max_retries=0, httpx_client=self._http
        )

    async def embed(self, texts: Sequence[str], role: Role, *, truncate: bool) -> NDArray[np.float32]:
        """One request, as `Provider.embed` says."""
        try:
            answer = await self._client.embed(
                model=self.model,
                input_type=_INPUT_TYPES[role],
                texts=list(texts),
                embedding_types=["float"],
                truncate="END" if truncate else "NONE",
                **self._parameters,
            )
            return np.array(answer.embeddings.float_, dtype=np.float32).reshape(len(texts), -1)
        except ApiError as error:
            raise _failure(error) from error
        except httpx.HTTPError as error:
            raise ApiFailure(f"it cannot be reached ({error})") from error
        except (ParsingError, AttributeError, TypeError, ValueError) as error:
            raise ApiFailure("an answer that has no vectors") from error

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


def _failure(error: ApiError) -> ApiFailure:
    status = error.status_code or 0
    body = error.body
    return ApiFailure(
        str(body["message"]) if isinstance(body, dict) and "message" in body else "an answer that cannot be read",
        status=_UNAUTHORIZED if status == _INVALID_TOKEN else status if status >= 400 else 0,
        retry_after_seconds=retry_after_seconds(error.headers or {}),
        quota_exhausted=status == _PAYMENT_REQUIRED,
    )
