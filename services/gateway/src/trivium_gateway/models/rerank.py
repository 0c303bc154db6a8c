"""Calls the rerank service."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import grpc
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_evidence.letters import plain_letters
from trivium_serving.channels import outgoing_metadata

from trivium_gateway.models.long_queries import long_query_about
from trivium_gateway.models.ranking import ScoreKind
from trivium_gateway.models.upstream import blame, broken_answer, upstream_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.models.long_queries import LongQuery

_logger = logging.getLogger(__name__)

FULL_NAME = pb.DESCRIPTOR.services_by_name["RerankService"].full_name

_KINDS = {
    pb.SCORE_KIND_RELEVANCE: ScoreKind.RELEVANCE,
    pb.SCORE_KIND_SIMILARITY: ScoreKind.SIMILARITY,
    pb.SCORE_KIND_ENTAILMENT: ScoreKind.ENTAILMENT,
}


_MAX_CODES_BYTES = 40 << 20
"""Most bytes of token codes in a call: with the texts they stay under what a message may have."""


@dataclass(frozen=True, slots=True)
class JudgedText:
    """A text to judge.

    Attributes:
        text: The text.
        token_codes: The vectors of its tokens, packed; empty to have the text read.
        search_score: The score of the search that found it.
    """

    text: str
    token_codes: bytes = b""
    search_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Reranking:
    """The reranker's judgement of some texts.

    Attributes:
        scores: One per text, in their order, from 0 to 1; None for one that was left out, since it hardly reaches the
            places that matter.
        kind: What the scores mean.
        model: Name of the model that judged.
        token_count: Tokens that it read, query included.
        max_input_tokens: Most tokens that it reads at a time; 0 if it does not say.
        maxsim: For each text how near each token of the query comes to some token of it, the mean of the cosines; None
            where tokens are not compared; of a long query, for what it asks.
    """

    scores: tuple[float | None, ...]
    kind: ScoreKind
    model: str
    token_count: int
    max_input_tokens: int
    maxsim: tuple[float | None, ...] = ()

    def beside(self, count: int) -> Reranking:
        """The same, with so many more texts behind those that were judged, which were left out."""
        more = (None,) * count
        return replace(self, scores=self.scores + more, maxsim=self.maxsim + more if self.maxsim else ())


class RerankClient:
    """The rerank service, as the gateway uses it.

    Args:
        channel: To the service.
        name: What it is called where it fails; that of the setting with its address.
    """

    def __init__(self, channel: grpc.aio.Channel, name: str = "rerank") -> None:
        self._stub = RerankServiceStub(channel)
        self._name = name
        self._token_fingerprint = ""
        self._texts_optional = False
        self._query_tokens = 0
        self._kind = ScoreKind.SIMILARITY
        self._identity = ""

    @property
    def identity(self) -> str:
        """Which model judges, as far as the service has said so; empty if it has not."""
        return self._identity

    @property
    def token_fingerprint(self) -> str:
        """Whose token codes the service judges by, as far as it has said so; empty for none."""
        return self._token_fingerprint

    @property
    def kind(self) -> ScoreKind:
        """What the service's scores mean, as `model` found it."""
        return self._kind

    async def rerank(
        self,
        query: str,
        texts: Sequence[JudgedText],
        *,
        timeout_seconds: float,
        query_codes: bytes = b"",
        places: int = 0,
        callers_fields: Sequence[str] = ("query",),
    ) -> Reranking:
        """Scores texts by how well they answer a query.

        Args:
            query: The query; not blank.
            texts: At least one.
            timeout_seconds: How long it may take.
            query_codes: The vectors of the query's tokens, packed; empty to have it read.
            places: How many of the best matter; 0 for all.
            callers_fields: Which of `query` and `texts` our own caller sent; see blame.

        Raises:
            TriviumError: The call failed, or its answer does not score each text once.
        """
        without_texts = self._texts_optional
        request = _request(query, query_codes, texts, places, without_texts=without_texts)
        try:
            response = await self._stub.Rerank(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            domain_error = upstream_error(self._name, error)
            if domain_error.reason == "TOKEN_CODES_UNREADABLE":
                _logger.warning("stored token codes are damaged, so the texts are read: %s", domain_error.message)
                texts = [JudgedText(text.text) for text in texts]
                return await self.rerank(
                    query, texts, timeout_seconds=timeout_seconds, places=places, callers_fields=callers_fields
                )
            raise blame(self._name, domain_error, callers_fields) from error
        self._texts_optional = response.texts_optional
        self._note(response)
        if without_texts and not response.texts_optional:
            # A process of an earlier version answered, for which passages without a text score 0.
            return await self.rerank(
                query,
                texts,
                timeout_seconds=timeout_seconds,
                query_codes=query_codes,
                places=places,
                callers_fields=callers_fields,
            )
        scores: list[float | None] = [None] * len(texts)
        maxsim: list[float | None] = [None] * len(texts)
        for ranking in response.rankings:
            if ranking.index < len(scores) and math.isfinite(ranking.score):
                scores[ranking.index] = ranking.score
                maxsim[ranking.index] = ranking.maxsim if ranking.HasField("maxsim") else None
        if sum(score is not None for score in scores) < (min(places, len(texts)) or len(texts)):
            raise broken_answer(self._name, "does not score every passage")
        return Reranking(
            tuple(scores),
            _KINDS.get(response.score_kind, ScoreKind.SIMILARITY),
            response.model.name,
            response.token_count,
            response.model.max_input_tokens,
            tuple(maxsim),
        )

    async def rerank_long(
        self,
        query: str,
        long: LongQuery | None,
        texts: Sequence[JudgedText],
        *,
        timeout_seconds: float,
        query_codes: bytes = b"",
        places: int = 0,
        beside_search: bool = True,
        callers_fields: Sequence[str] = ("query",),
    ) -> Reranking:
        """Scores texts by how well they answer a query that may be longer than the model reads.

        A score is put together from all parts of such a query. But beside a search, which has read the whole, a
        relevance is that for what it asks, and no more than a voice.

        Args:
            query: The query.
            long: Its parts, if it is longer than the embedding model reads; one that is longer than the reranker reads
                is cut into parts here.
            texts: At least one.
            timeout_seconds: How long all of it may take.
            query_codes: See `rerank`; of a query that is read whole.
            places: How many of the best matter; 0 for all.
            beside_search: Whether the texts are what a search has found.
            callers_fields: See `rerank`.

        Raises:
            TriviumError: See `rerank`.
        """
        if long is None and not query_codes and self._query_tokens:
            long = long_query_about(query, self._query_tokens)
        if long is None:
            return await self.rerank(
                query,
                texts,
                timeout_seconds=timeout_seconds,
                query_codes=query_codes,
                places=places,
                callers_fields=callers_fields,
            )
        until = time.monotonic() + timeout_seconds

        async def part_of(part: str, places: int = 0) -> Reranking:
            seconds = max(0.001, until - time.monotonic())
            return await self.rerank(part, texts, timeout_seconds=seconds, places=places, callers_fields=callers_fields)

        judged = await part_of(long.focus, places)
        if judged.kind is ScoreKind.RELEVANCE and beside_search:
            return replace(judged, kind=ScoreKind.SIMILARITY)
        rows, token_count = [judged.scores], judged.token_count
        for window in long.windows:  # one after the other: the first call had the texts read, and the others remember
            part = await part_of(window)
            rows.append(part.scores)
            token_count += part.token_count
        scores = [
            None if None in of_text else float(long.combined([[score or 0.0] for score in of_text])[0])
            for of_text in zip(*rows, strict=True)
        ]
        return replace(judged, scores=tuple(scores), token_count=token_count)

    async def model(self, *, timeout_seconds: float) -> str:
        """Name of the model that judges.

        Raises:
            TriviumError: The call failed.
        """
        try:
            response = await self._stub.GetModel(pb.GetModelRequest(), timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise upstream_error(self._name, error) from error
        self._note(response)
        self._kind = _KINDS.get(response.score_kind, ScoreKind.SIMILARITY)
        return response.model.name

    def _note(self, response: pb.RerankResponse | pb.GetModelResponse) -> None:
        """Notes which model judges, and how long a query it reads whole: a cross-encoder reads a passage beside it."""
        model = response.model
        is_pair = response.score_kind in (pb.SCORE_KIND_RELEVANCE, pb.SCORE_KIND_ENTAILMENT)
        self._identity = f"{model.name} {model.fingerprint} {model.token_fingerprint}"
        self._token_fingerprint = model.token_fingerprint
        self._query_tokens = model.max_input_tokens // (2 if is_pair else 1)


def _request(
    query: str, query_codes: bytes, texts: Sequence[JudgedText], places: int, *, without_texts: bool
) -> pb.RerankRequest:
    """The request; without the texts of passages that have token codes, where the service can do without them."""
    query = plain_letters(query)
    if not any(text.token_codes for text in texts):
        # What services of earlier versions take, too, while they are replaced one by one.
        return pb.RerankRequest(query=query, texts=[plain_letters(text.text) for text in texts], places=places)
    room = _MAX_CODES_BYTES
    passages = []
    for text in texts:
        room -= len(text.token_codes)
        codes = text.token_codes if room >= 0 else b""
        read = "" if codes and without_texts else plain_letters(text.text)
        passages.append(pb.Passage(text=read, token_codes=codes, search_score=text.search_score))
    return pb.RerankRequest(query=query, passages=passages, places=places, query_token_codes=query_codes)
