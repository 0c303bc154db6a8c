"""Judges with a cross-encoder, which reads query and passage together."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderInfo, EncoderOptions, PairScorer, Scored

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.backends.encoder_errors import loading_errors, scoring_errors

DEFAULT_MODEL = "cross-encoder/ms-marco-MiniLM-L12-v2"


class CrossEncoderBackend:
    """Any CrossEncoder of sentence-transformers; its scores are estimates of relevance."""

    name = "cross-encoder"
    score_kind = ScoreKind.RELEVANCE

    def __init__(self, scorer: PairScorer) -> None:
        self._scorer = scorer

    @classmethod
    async def load(cls, options: EncoderOptions, registry: CollectorRegistry) -> "CrossEncoderBackend":
        """Loads and warms the model.

        Raises:
            FailedPrecondition: It cannot be served (MODEL_NOT_LOADED).
        """
        with loading_errors():
            return cls(await PairScorer.load(options, registry=registry, service="rerank"))

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""
        return self._scorer.info

    @property
    def healthy(self) -> bool:
        """Whether all workers are alive."""
        return self._scorer.healthy

    def unread(self, texts: Sequence[str]) -> Sequence[str]:
        """All: each is read together with the query."""
        return texts

    async def score(self, query: str, texts: Sequence[str], *, deadline: float | None) -> Scored:
        """Judges passages, as `RerankBackend.score` says."""
        with scoring_errors():
            return await self._scorer.score(query, texts, deadline=deadline)

    async def close(self) -> None:
        """Fails what waits, and frees the workers."""
        await self._scorer.close()
