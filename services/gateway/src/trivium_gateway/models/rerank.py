"""Calls the rerank service."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_serving.channels import outgoing_metadata

from trivium_gateway.models.ranking import ScoreKind
from trivium_gateway.models.upstream import blame, broken_answer, upstream_error

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL_NAME = pb.DESCRIPTOR.services_by_name["RerankService"].full_name

_KINDS = {pb.SCORE_KIND_RELEVANCE: ScoreKind.RELEVANCE, pb.SCORE_KIND_SIMILARITY: ScoreKind.SIMILARITY}


@dataclass(frozen=True, slots=True)
class Reranking:
    """The reranker's judgement of some texts.

    Attributes:
        scores: One per text, in their order, from 0 to 1.
        kind: What the scores mean.
        model: Name of the model that judged.
        token_count: Tokens that it read, query included.
        max_input_tokens: Most tokens that it reads at a time; 0 if it does not say.
    """

    scores: tuple[float, ...]
    kind: ScoreKind
    model: str
    token_count: int
    max_input_tokens: int


class RerankClient:
    """The rerank service, as the gateway uses it.

    Args:
        channel: To the service.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = RerankServiceStub(channel)

    async def rerank(
        self, query: str, texts: Sequence[str], *, timeout_seconds: float, callers_fields: Sequence[str] = ("query",)
    ) -> Reranking:
        """Scores texts by how well they answer a query.

        Args:
            query: The query; not blank.
            texts: At least one.
            timeout_seconds: How long it may take.
            callers_fields: Which of `query` and `texts` our own caller sent; see blame.

        Raises:
            TriviumError: The call failed, or its answer does not score each text once.
        """
        request = pb.RerankRequest(query=query, texts=texts)
        try:
            response = await self._stub.Rerank(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            raise blame("rerank", upstream_error("rerank", error), callers_fields) from error
        scores = [math.nan] * len(texts)
        for ranking in response.rankings:
            if ranking.index < len(scores):
                scores[ranking.index] = ranking.score
        if not all(math.isfinite(score) for score in scores):
            raise broken_answer("rerank", "does not score every passage")
        return Reranking(
            tuple(scores),
            _KINDS.get(response.score_kind, ScoreKind.SIMILARITY),
            response.model.name,
            response.token_count,
            response.model.max_input_tokens,
        )

    async def model(self, *, timeout_seconds: float) -> str:
        """Name of the model that judges.

        Raises:
            TriviumError: The call failed.
        """
        try:
            response = await self._stub.GetModel(pb.GetModelRequest(), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise upstream_error("rerank", error) from error
        return response.model.name
