"""Judges by the API of Cohere, version 2."""

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import EncoderInfo, Scored, TokenCodes
from trivium_model_apis.calls import ApiCalls, ApiFailure
from trivium_model_apis.cohere import URL, CohereApi, cohere_failures
from trivium_model_service.texts import estimate_tokens

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.passages import Passage

__all__ = ["DEFAULT_MODEL", "URL", "CohereBackend"]

DEFAULT_MODEL = "rerank-v3.5"

_MAX_TOKENS = 4096


class CohereBackend:
    """Cohere's rerankers.

    Args:
        calls: Calls the API.
        model: The model's name there.
        url: Address of the API; empty for Cohere's own.
        key: Its key; may be empty for an address that needs none.
        max_tokens: Longest passage in tokens; 0 for what the API takes by default.
    """

    name = "cohere"
    score_kind = ScoreKind.RELEVANCE
    needs_texts = True

    def __init__(self, calls: ApiCalls, *, model: str, url: str, key: str, max_tokens: int) -> None:
        self._calls = calls
        self._max_tokens = max_tokens or _MAX_TOKENS
        self._api = CohereApi(url, key)
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

    def takes(self, codes: TokenCodes) -> bool:
        """Never: it reads texts."""
        return False

    def unread(self, query: str, passages: Sequence[Passage], places: int = 0) -> list[str]:
        """All: none is kept."""
        return [passage.text for passage in passages]

    async def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        places: int = 0,
        deadline: float | None,
    ) -> Scored:
        """Judges passages, as `RerankBackend.score` says; each failure of the API is one of `ApiCalls.call`."""
        texts = [passage.text for passage in passages]
        if not texts:
            return Scored(np.zeros(0, np.float32), [], 0.0, 0.0, 0.0)
        start = asyncio.get_running_loop().time()
        token_count = estimate_tokens(texts, self._max_tokens, query)

        async def send() -> NDArray[np.float32]:
            return await self._relevance(query, texts)

        scores = await self._calls.call(send, tokens=token_count, bulk=False, deadline=deadline)
        return Scored(
            scores=scores,
            token_counts=[token_count],
            tokenize_seconds=0.0,
            queue_seconds=0.0,
            compute_seconds=asyncio.get_running_loop().time() - start,
        )

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()

    async def _relevance(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """One request."""
        with cohere_failures("scores"):
            answer = await self._api.client.rerank(
                model=self.info.name, query=query, documents=list(texts), max_tokens_per_doc=self._max_tokens
            )
            relevance = {int(result.index): float(result.relevance_score) for result in answer.results}
        if sorted(relevance) != list(range(len(texts))) or not np.isfinite(list(relevance.values())).all():
            raise ApiFailure(f"scores of {len(relevance)} passages where {len(texts)} were expected")
        return np.clip(np.array([relevance[index] for index in range(len(texts))], dtype=np.float32), 0, 1)
