"""Converts between `trivium.rerank.v1` and the domain, and does nothing else."""

import math
import time
from typing import Any

import grpc
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceServicer
from trivium_encoders import CodesOfOtherLayout, CodesUnreadable, Scored, TokenCodes, decode_codes
from trivium_model_service.deadlines import deadline_of
from trivium_model_service.messages import encoder_model_info, timing, timing_facts
from trivium_serving import tracing
from trivium_serving.errors import InvalidField

from trivium_rerank.backends.base import ScoreKind
from trivium_rerank.passages import Passage
from trivium_rerank.reranker import Reranker

_SCORE_KINDS = {
    ScoreKind.RELEVANCE: pb.SCORE_KIND_RELEVANCE,
    ScoreKind.SIMILARITY: pb.SCORE_KIND_SIMILARITY,
    ScoreKind.ENTAILMENT: pb.SCORE_KIND_ENTAILMENT,
}

_Context = grpc.aio.ServicerContext[Any, Any]


class RerankServicer(RerankServiceServicer):
    """Serves a reranker.

    Args:
        reranker: Does the work.
    """

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    async def Rerank(self, request: pb.RerankRequest, context: _Context) -> pb.RerankResponse:
        """Scores and orders some passages."""
        start = time.perf_counter()
        with tracing.span("rerank") as span:
            passages = _passages(request)
            judgement = await self._reranker.rerank(
                request.query,
                passages,
                query_codes=_codes("query_token_codes", request.query_token_codes, request.query),
                top_n=request.top_n,
                places=request.places,
                deadline=deadline_of(context),
            )
            scored = judgement.scored
            if tracing.is_on():
                span.set(self._outcome(len(passages), scored))
        return pb.RerankResponse(
            rankings=[
                pb.Ranking(index=ranking.index, score=ranking.score, maxsim=ranking.maxsim)
                for ranking in judgement.rankings
            ],
            score_kind=_SCORE_KINDS[self._reranker.backend.score_kind],
            token_count=scored.token_count,
            model=encoder_model_info(self._reranker.backend.info, self._reranker.backend.name),
            timing=timing(scored, time.perf_counter() - start),
            texts_optional=not self._reranker.backend.needs_texts,
        )

    async def GetModel(self, request: pb.GetModelRequest, context: _Context) -> pb.GetModelResponse:
        """Describes the model."""
        return pb.GetModelResponse(
            model=encoder_model_info(self._reranker.backend.info, self._reranker.backend.name),
            score_kind=_SCORE_KINDS[self._reranker.backend.score_kind],
            max_texts=self._reranker.limits.max_texts,
        )

    def _outcome(self, texts: int, scored: Scored) -> tracing.Attributes:
        """What a trace says of a judgement; OpenTelemetry's conventions have no name for this operation."""
        return {
            "gen_ai.operation.name": "rerank",
            "gen_ai.provider.name": self._reranker.backend.name,
            "gen_ai.request.model": self._reranker.backend.info.name,
            "gen_ai.usage.input_tokens": scored.token_count,
            "trivium.texts": texts,
            **timing_facts(scored),
        }


def _passages(request: pb.RerankRequest) -> list[Passage]:
    if request.texts and request.passages:
        raise InvalidField("passages", "texts and passages are both set; send one of them.")
    if request.texts:
        return [Passage(text) for text in request.texts]
    return [
        Passage(
            passage.text,
            _codes(f"passages[{index}].token_codes", passage.token_codes, passage.text),
            _finite(passage.search_score),
        )
        for index, passage in enumerate(request.passages)
    ]


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0


def _codes(field: str, code: bytes, text: str) -> TokenCodes | None:
    """The codes of a text; None if there are none, or if another version made them and the text serves."""
    if not code:
        return None
    try:
        return decode_codes(code)
    except CodesUnreadable as error:
        if isinstance(error, CodesOfOtherLayout) and text:
            return None
        raise InvalidField(
            field,
            f"{field} cannot be read: {error}. Send what EmbedService gave for the text, or none.",
            reason="TOKEN_CODES_UNREADABLE",
        ) from error
