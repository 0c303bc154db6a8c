"""Judges with a cross-encoder, which reads query and passage together."""

from collections.abc import Sequence

import numpy as np
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderInfo, EncoderOptions, PairScorer, Scored, TokenCodes
from trivium_model_service.encoder_errors import computing_errors, loading_errors
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_model_service.sharing import SharedResults, Times

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.passages import Passage

DEFAULT_MODEL = "cross-encoder/ms-marco-MiniLM-L12-v2"

# Roughly what Python needs for a score, a number and the entry that keeps them.
_ENTRY_BYTES = 350


class CrossEncoderBackend:
    """Any CrossEncoder of sentence-transformers; its scores are estimates of relevance, or of entailment.

    Args:
        scorer: Computes scores.
        cache: Keeps the score of each pair, and its number of tokens.
    """

    name = "cross-encoder"
    needs_texts = True

    def __init__(self, scorer: PairScorer, cache: ResultCache[tuple[float, int]]) -> None:
        self._scorer = scorer
        self.score_kind = ScoreKind.ENTAILMENT if scorer.infers else ScoreKind.RELEVANCE
        self._pairs = SharedResults(self._judged, cache)

    @classmethod
    async def load(
        cls, options: EncoderOptions, registry: CollectorRegistry, cache_bytes: int
    ) -> "CrossEncoderBackend":
        """Loads and warms the model.

        Args:
            options: Which model, and how to run it.
            registry: Where metrics are registered.
            cache_bytes: Most memory for the scores of pairs.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED).
        """
        with loading_errors():
            scorer = await PairScorer.load(options, registry=registry, service="rerank")
        cache = ResultCache[tuple[float, int]](
            max_bytes=cache_bytes,
            fingerprint=scorer.info.fingerprint,
            size_of=lambda _: _ENTRY_BYTES,
            metrics=CacheMetrics("rerank", registry),
        )
        return cls(scorer, cache)

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._scorer.info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._scorer.healthy

    def takes(self, codes: TokenCodes) -> bool:
        """Never: it reads query and passage together."""
        return False

    def unread(self, query: str, passages: Sequence[Passage], places: int = 0) -> list[str]:
        """The passages whose score for the query is neither kept nor being computed."""
        return self._pairs.new(query, [passage.text for passage in passages])

    async def score(
        self,
        query: str,
        passages: Sequence[Passage],
        *,
        query_codes: TokenCodes | None = None,
        places: int = 0,
        deadline: float | None,
    ) -> Scored:
        """Judges passages, as `RerankBackend.score` says."""
        pairs, times = await self._pairs.get(query, [passage.text for passage in passages], deadline)
        scores = np.array([score for score, _ in pairs], dtype=np.float32)
        return Scored(scores, [token_count for _, token_count in pairs], *times)

    async def _judged(
        self, query: str, texts: Sequence[str], deadline: float | None
    ) -> tuple[list[tuple[float, int]], Times]:
        with computing_errors("A passage"):
            scored = await self._scorer.score(query, texts, deadline=deadline)
        return list(zip(scored.scores.tolist(), scored.token_counts, strict=True)), Times.of(scored)

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._scorer.close()
