"""Finds the passages that answer a query: embed it, search, rerank, order."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import (
    DeadlineExceeded,
    InvalidField,
    NotFound,
    TooLarge,
    TriviumError,
    Unavailable,
    cause_of,
)

from trivium_gateway.answering.judging import calibrated
from trivium_gateway.answering.ordering import best_passages, weights_of
from trivium_gateway.answering.question import Origin
from trivium_gateway.domain.degradation import Degradation, Reason, Stage
from trivium_gateway.domain.fusion import reading_weight
from trivium_gateway.library.demands import search_as_demanded
from trivium_gateway.library.search import LegWeights
from trivium_gateway.models.ranking import reciprocal_ranks
from trivium_gateway.models.rerank import JudgedText

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trivium_gateway.answering.question import Search
    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.library.candidates import Candidate, DegradedLeg, Leg, SearchResult
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.library.search import ChunkSearch
    from trivium_gateway.models.embed import EmbedClient
    from trivium_gateway.models.query_memory import QueryVector
    from trivium_gateway.models.rerank import RerankClient, Reranking
    from trivium_gateway.request.record import Record

_logger = logging.getLogger(__name__)

# What part of the remaining time a stage may use up before its fallback is tried.
_EMBED_SHARE = 0.4
_SEARCH_SHARE = 0.8
_RERANK_SHARE = 0.5
_CODES_SHARE = 0.2

_READ_FOR_EACH = 4
"""How many chunks to read at first for each passage, of which some say the same."""


@dataclass(frozen=True, slots=True)
class StageTimeouts:
    """How long each stage may take in seconds; the caller's deadline shortens it further."""

    embed: float
    search: float
    rerank: float


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What was found.

    Attributes:
        passages: Best first.
        settings: By which settings they were searched and judged.
    """

    passages: tuple[Passage, ...]
    settings: CollectionSettings


class Retriever:
    """Leads queries through the stages, and replaces those that fail.

    Args:
        collections: Where to find collections.
        embed: Embeds the query.
        chunk_search: Searches.
        rerank: Judges what the search found.
        timeouts: Per stage.
    """

    def __init__(
        self,
        *,
        collections: Collections,
        embed: EmbedClient,
        chunk_search: ChunkSearch,
        rerank: RerankClient,
        timeouts: StageTimeouts,
    ) -> None:
        self._collections = collections
        self._embed_client = embed
        self._chunk_search = chunk_search
        self._rerank_client = rerank
        self._timeouts = timeouts

    async def retrieve(self, search: Search, record: Record) -> Retrieved:
        """Finds passages.

        Args:
            search: What to look for; checked.
            record: Takes note of what happens.

        Returns:
            The passages, and by which settings they were found.

        Raises:
            NotFound: There is no such collection.
            InvalidField: The filter breaks a rule.
            Unavailable: Nothing can be searched.
            DeadlineExceeded: The request's time was over.
        """
        for last_attempt in (False, True):
            try:
                return await self._retrieve_from(search, record)
            except _CollectionGone as gone:
                # Someone deleted the collection since it was last looked up, and maybe created it anew.
                self._collections.forget(gone.collection)
                if last_attempt:
                    raise gone.error from gone
        raise AssertionError("the last attempt returns or raises")

    async def _retrieve_from(self, search: Search, record: Record) -> Retrieved:
        collection, conditions = await self._look_up(search, record)
        if collection is None:  # `default`, before anything was written to it
            return Retrieved((), search.options.settings)
        search = replace(search, options=search.options.under(collection.settings.now.settings))
        settings = search.options.settings
        record.note({"trivium.model": collection.model, "trivium.model_fingerprint": collection.model_fingerprint})
        record.settings = {
            "version": collection.settings.now.number,
            **settings.given(),
            "candidates": search.options.depth,
            "rerank": search.options.rerank,
        }
        embedded = await self._embed(search, collection, record)
        for read in _counts_to_read(search):
            results = await self._find(search, collection, conditions, embedded, read, record)
            found = [one.candidates for one in results]
            candidates = _merged(found)
            judged = await self._judge(search, collection, embedded[0], candidates, record)
            weights = weights_of(embedded[0], judged, collection, settings)
            unread = results[0].unread_scores
            # Beside the event loop, as all that takes the longer the more is found.
            passages = await asyncio.to_thread(
                best_passages, candidates, judged, weights, search.options, record, unread
            )
            if len(passages) >= search.options.top_n or not unread:
                break
        query, fingerprint = search.queries[0].demanded.text, collection.model_fingerprint
        passages = await asyncio.to_thread(
            calibrated, query, passages, fingerprint, by_model=weights.by_model, settings=settings
        )
        return Retrieved(passages if len(found) == 1 else tuple(map(_told_by(found), passages)), settings)

    async def _look_up(self, search: Search, record: Record) -> tuple[ResolvedCollection | None, Filter | None]:
        """The collection, and the filter checked against it."""
        options = search.options
        try:
            limit = asyncio.timeout(record.seconds(self._timeouts.search, _SEARCH_SHARE))
            async with limit, record.waiting("search"):
                collection = await self._collections.find(options.collection, tenant=search.principal.tenant)
                if collection is None or not options.filter:
                    return collection, None
                return collection, await self._collections.parse_filter(collection, options.filter)
        except (TimeoutError, DeadlineExceeded) as error:
            raise _search_too_slow(record) from error

    async def _embed(
        self, search: Search, collection: ResolvedCollection, record: Record
    ) -> Sequence[QueryVector | None]:
        """The vector of each query; None if there is none to be had, so that the search goes by words alone."""
        try:
            with record.stage("embed") as stage:
                async with record.waiting("embed"):
                    seconds = record.seconds(self._timeouts.embed, _EMBED_SHARE)
                    embedded = await asyncio.gather(
                        *(
                            self._embed_client.embed_query(
                                query.demanded.text,
                                expected_fingerprint=collection.model_fingerprint,
                                with_codes=bool(self._rerank_client.token_fingerprint),
                                timeout_seconds=seconds,
                            )
                            for query in search.queries
                        )
                    )
                stage.note(
                    {
                        "trivium.cached": all(one.cached for one in embedded),
                        "gen_ai.usage.input_tokens": sum(one.token_count for one in embedded),
                    }
                )
        except TriviumError as error:
            _blame_query(error, search)
            record.replace(Stage.EMBED, error, "sparse")
            return [None] * len(search.queries)
        record.tokens["query"] += sum(one.token_count for one in embedded if not one.cached)
        return embedded

    async def _find(
        self,
        search: Search,
        collection: ResolvedCollection,
        conditions: Filter | None,
        embedded: Sequence[QueryVector | None],
        read: int | None,
        record: Record,
    ) -> Sequence[SearchResult]:
        """What the search finds for each query, best first, and so many of it read."""
        with_codes = search.options.rerank and len(search.queries) == 1 and bool(self._rerank_client.token_fingerprint)
        with record.stage("search") as stage:
            try:
                async with record.waiting("search"):
                    seconds = record.seconds(self._timeouts.search, _SEARCH_SHARE)
                    results = await asyncio.gather(
                        *(
                            search_as_demanded(
                                self._chunk_search,
                                collection,
                                search.demanded(query),
                                vector=one.vector if one else None,
                                focus=one.long.focus if one and one.long else "",
                                by_words=one is None or query.origin is not Origin.PASSAGE,
                                filter=conditions,
                                limit=search.options.depth,
                                read=read,
                                with_codes=with_codes,
                                timeout_seconds=seconds,
                                tenant=search.principal.tenant,
                                weights=_leg_weights(one, search.options.settings),
                            )
                            for query, one in zip(search.queries, embedded, strict=True)
                        )
                    )
            except NotFound as error:
                raise _CollectionGone(collection, error) from error
            except DeadlineExceeded as error:
                raise _search_too_slow(record) from error
            record.found = [one.ranked for one in results]
            failed = {leg.leg: leg for one in results for leg in one.degraded_legs}
            count = len({one.id for some in results for one in some.candidates}) + len(results[0].unread_scores)
            version = collection.settings.now.number
            stage.note(
                {
                    "trivium.candidates": count,
                    "trivium.failed_legs": list(failed),
                    "trivium.settings_version": version,
                }
            )
            near = [one.best_dense for one in results if one.best_dense is not None]
            if near:
                stage.note({"trivium.best_dense": max(near)})
        for leg in failed.values():
            record.degrade(_leg_degradation(leg), leg.cause)
        return results

    async def _judge(
        self,
        search: Search,
        collection: ResolvedCollection,
        embedded: QueryVector | None,
        candidates: Sequence[Candidate],
        record: Record,
    ) -> Reranking | None:
        """The reranker's scores; None if it was not asked or cannot answer."""
        if not search.options.rerank or not candidates:
            return None
        try:
            with record.stage("rerank") as stage:
                stage.note({"trivium.texts": len(candidates)})
                codes = await self._token_codes(search, collection, candidates, record)
                stage.note({"trivium.token_codes": sum(map(bool, codes))})
                texts = [
                    JudgedText(one.chunk.indexed_text, code, one.search_score)
                    for one, code in zip(candidates, codes, strict=True)
                ]
                async with record.waiting("rerank"):
                    judged = await self._rerank_client.rerank_long(
                        search.queries[0].demanded.text,
                        embedded.long if embedded else None,
                        texts,
                        timeout_seconds=record.seconds(self._timeouts.rerank, _RERANK_SHARE),
                        query_codes=embedded.token_codes if embedded else b"",
                        places=search.options.top_n,
                    )
                stage.note({"gen_ai.response.model": judged.model, "trivium.score_kind": judged.kind.value})
                return judged
        except TriviumError as error:
            _blame_query(error, search)
            record.replace(Stage.RERANK, error, "fused-order")
            return None

    async def _token_codes(
        self, search: Search, collection: ResolvedCollection, candidates: Sequence[Candidate], record: Record
    ) -> Sequence[bytes]:
        """For each candidate, what the reranker needs not read it for; empty for those that it has to read."""
        known = [one.token_codes for one in candidates if one.token_codes is not None]
        if len(known) == len(candidates):  # they came with the search
            return known
        none = [b""] * len(candidates)
        if not self._rerank_client.token_fingerprint:
            return none
        try:
            async with record.waiting("search"):
                seconds = record.seconds(self._timeouts.search, _CODES_SHARE)
                return await self._chunk_search.token_codes(
                    collection, candidates, timeout_seconds=seconds, tenant=search.principal.tenant
                )
        except TriviumError as error:
            _logger.warning("the token codes of candidates cannot be had, so they are read: %s", cause_of(error))
            return none


def _leg_weights(embedded: QueryVector | None, settings: CollectionSettings) -> LegWeights:
    """How much the legs count: as the collection's settings say, and the vectors as far as their model can read."""
    reads = reading_weight(embedded.read_share) if embedded else 1.0
    off: Leg | None = None
    if not settings.weight_of_dense:
        off = "dense"
    elif not settings.weight_of_sparse:
        off = "sparse"
    return LegWeights(reads * settings.weight_of_dense, settings.weight_of_sparse, off)


def _counts_to_read(search: Search) -> Sequence[int | None]:
    """How many of the chunks found to read, one after the other until that is enough; None for all.

    Only those that may be shown are wanted, if nobody else judges them, and what stands for duplicates is behind them.
    """
    options = search.options
    if options.rerank or len(search.queries) > 1:
        return (None,)
    return (_READ_FOR_EACH * options.top_n if options.collapse else options.top_n, None)


class _CollectionGone(Exception):
    """The collection was deleted while it was searched."""

    def __init__(self, collection: ResolvedCollection, error: NotFound) -> None:
        super().__init__(error.message)
        self.collection = collection
        self.error = error


def _search_too_slow(record: Record) -> Unavailable:
    """The error for a search that did not end: nothing can take its place.

    Raises:
        DeadlineExceeded: It is the caller's time that is over.
    """
    record.seconds(1.0, 1.0)
    return Unavailable("Qdrant does not answer. Look whether it is overloaded.", reason="UPSTREAM_UNAVAILABLE")


def _blame_query(error: TriviumError, search: Search) -> None:
    """Names the caller's field where a service refused its input: all that the caller sent it is the query."""
    if isinstance(error, InvalidField | TooLarge):
        error.field = search.queries[0].field


def _leg_degradation(leg: DegradedLeg) -> Degradation:
    if leg.leg == "dense":
        return Degradation(Stage.SEARCH_DENSE, Reason(leg.reason), "sparse")
    return Degradation(Stage.SEARCH_SPARSE, Reason(leg.reason), "dense")


def _merged(rankings: Sequence[Sequence[Candidate]]) -> Sequence[Candidate]:
    """What several queries found, best first, by reciprocal rank; what one has found as it is."""
    if len(rankings) == 1:
        return rankings[0]
    shares = reciprocal_ranks([[one.id for one in ranking] for ranking in rankings])
    found = {one.id: one for ranking in reversed(rankings) for one in ranking}
    return [replace(found[chunk_id], fused=share) for chunk_id, share in shares.items()]


def _told_by(rankings: Sequence[Sequence[Candidate]]) -> Callable[[Passage], Passage]:
    """What says of passages which of several queries found them."""
    ids = [{one.id for one in ranking} for ranking in rankings]
    return lambda passage: replace(
        passage, found_by=tuple(position for position, found in enumerate(ids) if passage.id in found)
    )
