"""Judges by the API of Cohere, version 2."""

import asyncio
import hashlib
from collections.abc import Sequence

import httpx
import numpy as np
from cohere import AsyncClientV2
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError
from numpy.typing import NDArray
from trivium_encoders import EncoderInfo, Scored
from trivium_serving.api_calls import ApiCalls, ApiFailure, retry_after_seconds

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.limits import estimate_tokens

URL = "https://api.cohere.com"
DEFAULT_MODEL = "rerank-v3.5"

_MAX_TOKENS = 4096
_INVALID_TOKEN, _UNAUTHORIZED, _PAYMENT_REQUIRED = 498, 401, 402


class CohereBackend:
    """Cohere's rerankers, through the official client with its own retries off: they know no deadline.

    Args:
        calls: Calls the API.
        model: The model's name there.
        url: Address of the API.
        key: Its key; may be empty for an address that needs none.
        max_tokens: Longest passage in tokens; 0 for what the API takes by default.
    """

    name = "cohere"
    score_kind = ScoreKind.RELEVANCE

    def __init__(self, calls: ApiCalls, *, model: str, url: str, key: str, max_tokens: int) -> None:
        self._calls = calls
        self._max_tokens = max_tokens or _MAX_TOKENS
        self._http = httpx.AsyncClient(timeout=None)
        self._client = AsyncClientV2(api_key=key or "none", base_url=url, max_retries=0, httpx_client=self._http)
        self.healthy = True
        self.info = EncoderInfo(
            name=model,
            fingerprint=hashlib.sha256(f"{self.name}\n{model}".encode()).hexdigest(),
            runtime="api",
            precision="fp32",
            dimension=1,
            normalized=False,
            max_tokens=self._max_tokens,
        )

    def unread(self, texts: Sequence[str]) -> Sequence[str]:
        """All: none is kept."""
        return texts

    async def score(self, query: str, texts: Sequence[str], *, deadline: float | None) -> Scored:
        """Judges passages, as `RerankBackend.score` says; each failure of the API is one of `ApiCalls.call`."""
        if not texts:
            return Scored(np.zeros(0, np.float32), 0, 0.0, 0.0, 0.0)
        start = asyncio.get_running_loop().time()
        token_count = estimate_tokens(query, texts, self._max_tokens)

        async def send() -> NDArray[np.float32]:
            return await self._relevance(query, texts)

        scores = await self._calls.call(send, tokens=token_count, bulk=False, deadline=deadline)
        return Scored(
            scores=scores,
            token_count=token_count,
            tokenize_seconds=0.0,
            queue_seconds=0.0,
            compute_seconds=asyncio.get_running_loop().time() - start,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def _relevance(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """One request."""
        try:
            answer = await self._client.rerank(
                model=self.info.name, query=query, documents=list(texts), max_tokens_per_doc=self._max_tokens
            )
            relevance = {int(result.index): float(result.relevance_score) for result in answer.results}
        except ApiError as error:
            raise _failure(error) from error
        except httpx.HTTPError as error:
            raise ApiFailure(f"it cannot be reached ({error})") from error
        except (ParsingError, AttributeError, TypeError, ValueError) as error:
            raise ApiFailure("an answer that has no scores") from error
        if sorted(relevance) != list(range(len(texts))) or not np.isfinite(list(relevance.values())).all():
            raise ApiFailure(f"scores of {len(relevance)} passages where {len(texts)} were expected")
        return np.clip(np.array([relevance[index] for index in range(len(texts))], dtype=np.float32), 0, 1)


def _failure(error: ApiError) -> ApiFailure:
    status = error.status_code or 0
    body = error.body
    return ApiFailure(
        str(body["message"]) if isinstance(body, dict) and "message" in body else "an answer that cannot be read",
        status=_UNAUTHORIZED if status == _INVALID_TOKEN else status if status >= 400 else 0,
        retry_after_seconds=retry_after_seconds(error.headers or {}),
        quota_exhausted=status == _PAYMENT_REQUIRED,
    )
