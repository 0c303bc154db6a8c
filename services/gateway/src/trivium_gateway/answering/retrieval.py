"""Finds the passages that answer a query: embed it, search, rerank, order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import DeadlineExceeded, InvalidField, NotFound, TooLarge, TriviumError, Unavailable

from trivium_gateway.domain.degradation import Degradation, Reason, Stage
from trivium_gateway.domain.limits import check_candidates, check_query, check_top_n
from trivium_gateway.domain.passages import Passage, Scores, Span
from trivium_gateway.library.search import indexed_text
from trivium_gateway.models.ranking import descending_order, final_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.library.collections import Collections, ResolvedCollection
    from trivium_gateway.library.search import Candidate, DegradedLeg, Store
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.rerank import RerankClient, Reranking
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.progress import Progress

# What part of the remaining time a stage may use up before its fallback is tried.
_EMBED_SHARE = 0.4
_SEARCH_SHARE = 0.8
_RERANK_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for, and where.

    Attributes:
        query: The query; not blank.
        top_n: Most passages to return.
        candidates: How many candidates the search hands to the reranker; `top_n` if that is more.
        collection: Collection to search; empty for `default`.
        filter: Conditions, as they came; None for none.
        rerank: Whether to rerank.
        query_field: What the request calls the query, for errors: `query` or `question`.
    """

    query: str
    top_n: int = 5
    candidates: int = 50
    collection: str = ""
    filter: Mapping[str, JsonValue] | None = None
    rerank: bool = True
    query_field: str = "query"

    def check(self, limits: GatewayLimits) -> None:
        """Checks everything that can be checked without asking anyone.

        Args:
            limits: What is accepted.

        Raises:
            InvalidField: A field breaks a rule.
            TooLarge: The query is too long.
        """
        check_query(self.query_field, self.query, limits)
        check_top_n(self.top_n, limits)
        check_candidates(self.candidates, limits)


@dataclass(frozen=True, slots=True)
class StageTimeouts:
    """How long each stage may take in seconds; the caller's deadline shortens it further."""

    embed: float
    search: float
    rerank: float


class Retriever:
    """Leads queries through the stages, and replaces those that fail.

    Args:
        collections: Where to find collections.
        embed: Embeds the query.
        store: Searches.
        rerank: Judges what the search found.
        metrics: Where candidates are counted.
        timeouts: Per stage.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        embed: EmbedClient,
        store: Store,
        rerank: RerankClient,
        metrics: QuestionMetrics,
        timeouts: StageTimeouts,
    ) -> None:
        self._collections = collections
        self._embed = embed
        self._store = store
        self._rerank = rerank
        self._metrics = metrics
        self._timeouts = timeouts

    async def retrieve(self, search: Search, progress: Progress) -> tuple[Passage, ...]:
        """Finds passages.

        Args:
            search: What to look for; checked.
            progress: Takes note of times and of stages that were replaced.

        Returns:
            The passages, best first.

        Raises:
            NotFound: There is no such collection.
            InvalidField: The filter breaks a rule.
            Unavailable: Nothing can be searched.
            DeadlineExceeded: The request's time was over.
        """
        for last_attempt in (False, True):
            try:
                return await self._retrieve_from(search, progress)
            except _CollectionGone as gone:
                # Someone deleted the collection since it was last looked up, and maybe created it anew.
                self._collections.forget(gone.collection)
                if last_attempt:
                    raise gone.error from gone
        raise AssertionError("the last attempt returns or raises")

    async def _retrieve_from(self, search: Search, progress: Progress) -> tuple[Passage, ...]:
        collection, conditions = await self._look_up(search, progress)
        if collection is None:  # `default`, before anything was written to it
            return ()
        vector = await self._embed_query(search, collection, progress)
        with progress.time("search") as stage:
            try:
                async with progress.waiting("search"):
                    found = await self._store.search(
                        collection,
                        vector=vector,
                        text=search.query,
                        filter=conditions,
                        limit=max(search.candidates, search.top_n),
                        timeout_seconds=progress.seconds(self._timeouts.search, _SEARCH_SHARE),
                    )
            except NotFound as error:
                raise _CollectionGone(collection, error) from error
            except DeadlineExceeded as error:
                raise _search_too_slow(progress) from error
            stage.set(
                {
                    "trivium.candidates": len(found.candidates),
                    "trivium.failed_legs": [one.leg for one in found.degraded_legs],
                }
            )
        for leg in found.degraded_legs:
            progress.note(_leg_degradation(leg), leg.cause)
        progress.candidates = len(found.candidates) if search.rerank else 0
        self._metrics.observe_candidates(len(found.candidates), [one.dense for one in found.candidates])
        judged = await self._judge(search, found.candidates, progress)
        return self._best(found.candidates, judged, search.top_n)

    async def _look_up(self, search: Search, progress: Progress) -> tuple[ResolvedCollection | None, Filter | None]:
        """The collection, and the filter checked against it."""
        try:
            limit = asyncio.timeout(progress.seconds(self._timeouts.search, _SEARCH_SHARE))
            async with limit, progress.waiting("search"):
                collection = await self._collections.find(search.collection)
                if collection is None or not search.filter:
                    return collection, None
                return collection, await self._collections.parse_filter(collection, search.filter)
        except (TimeoutError, DeadlineExceeded) as error:
            raise _search_too_slow(progress) from error

    async def _embed_query(
        self, search: Search, collection: ResolvedCollection, progress: Progress
    ) -> Sequence[float] | None:
        """The query's vector; None if there is none to be had, so that the search goes by words alone."""
        try:
            with progress.time("embed") as stage:
                async with progress.waiting("embed"):
                    embedded = await self._embed.embed_query(
                        search.query,
                        expected_fingerprint=collection.model_fingerprint,
                        timeout_seconds=progress.seconds(self._timeouts.embed, _EMBED_SHARE),
                    )
                stage.set({"trivium.cached": embedded.cached, "gen_ai.usage.input_tokens": embedded.token_count})
        except TriviumError as error:
            _blame_query(error, search)
            progress.replace(Stage.EMBED, error, "sparse")
            return None
        if not embedded.cached:
            self._metrics.count_tokens("query", embedded.token_count)
        return embedded.vector

    async def _judge(self, search: Search, candidates: Sequence[Candidate], progress: Progress) -> Reranking | None:
        """The reranker's scores; None if it was not asked or cannot answer."""
        if not search.rerank or not candidates:
            return None
        try:
            with progress.time("rerank") as stage:
                stage.set({"trivium.texts": len(candidates)})
                async with progress.waiting("rerank"):
                    return await self._rerank.rerank(
                        search.query,
                        [indexed_text(one.title, one.text) for one in candidates],
                        timeout_seconds=progress.seconds(self._timeouts.rerank, _RERANK_SHARE),
                    )
        except TriviumError as error:
            _blame_query(error, search)
            progress.replace(Stage.RERANK, error, "fused-order")
            return None

    def _best(self, candidates: Sequence[Candidate], judged: Reranking | None, top_n: int) -> tuple[Passage, ...]:
        """The best candidates as passages, best first."""
        searched = [one.search_score for one in candidates]
        scores = final_scores(searched, judged.scores, judged.kind) if judged else final_scores(searched)
        order = descending_order(scores)
        if judged is not None:
            self._metrics.observe_best_position(order[0] + 1)
        passages = []
        for position in order[:top_n]:
            passage = _passage(candidates[position], scores[position])
            if judged is not None:
                passage = replace(passage, scores=replace(passage.scores, rerank=judged.scores[position]))
            passages.append(passage)
        return tuple(passages)


class _CollectionGone(Exception):
    """The collection was deleted while it was searched."""

    def __init__(self, collection: ResolvedCollection, error: NotFound) -> None:
        super().__init__(error.message)
        self.collection = collection
        self.error = error


def _search_too_slow(progress: Progress) -> Unavailable:
    """The error for a search that did not end: nothing can take its place.

    Raises:
        DeadlineExceeded: It is the caller's time that is over.
    """
    progress.seconds(1.0, 1.0)
    return Unavailable("Qdrant does not answer. Look whether it is overloaded.", reason="UPSTREAM_UNAVAILABLE")


def _blame_query(error: TriviumError, search: Search) -> None:
    """Names the caller's field where a service refused its input: all that the caller sent it is the query."""
    if isinstance(error, InvalidField | TooLarge):
        error.field = search.query_field


def _leg_degradation(leg: DegradedLeg) -> Degradation:
    if leg.leg == "dense":
        return Degradation(Stage.SEARCH_DENSE, Reason(leg.reason), "sparse")
    return Degradation(Stage.SEARCH_SPARSE, Reason(leg.reason), "dense")


def _passage(candidate: Candidate, score: float) -> Passage:
    return Passage(
        id=candidate.id,
        document_id=candidate.document_id,
        title=candidate.title,
        uri=candidate.uri,
        text=candidate.text,
        score=score,
        scores=Scores(candidate.dense, candidate.sparse, candidate.fused),
        span=Span(candidate.start, candidate.end),
        metadata=candidate.metadata,
    )
