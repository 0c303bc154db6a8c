"""The stages of a retrieval, each within its share of the time, and what takes the place of one that fails."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
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

from trivium_gateway.answering.degraded_legs import NO_LEARNED, leg_degradation
from trivium_gateway.answering.fitting import candidates_in_time
from trivium_gateway.answering.plan import Origin
from trivium_gateway.answering.weighing import leg_weights
from trivium_gateway.domain.degradation import Stage
from trivium_gateway.library.demands import search_as_demanded
from trivium_gateway.models.rerank import JudgedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.answering.plan import Search
    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.library.candidates import Candidate, SearchResult
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


@dataclass(frozen=True, slots=True)
class StageTimeouts:
    """How long each stage may take in seconds; the caller's deadline shortens it further."""

    embed: float
    search: float
    rerank: float


class CollectionGone(Exception):
    """The collection was deleted since it was last looked up, and maybe created anew: look it up once more.

    Attributes:
        error: What to say if it is gone then, too.
    """

    def __init__(self, error: NotFound) -> None:
        super().__init__(error.message)
        self.error = error


class RetrievalStages:
    """Finds the collection, embeds the queries, searches, and has what was found judged.

    Args:
        collections: Where to find collections.
        embed: Embeds queries.
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

    async def look_up(self, search: Search, record: Record) -> tuple[ResolvedCollection | None, Filter | None]:
        """The collection, and the filter checked against it.

        Raises:
            NotFound: There is no such collection.
            InvalidField: The filter breaks a rule.
            Unavailable: Qdrant cannot be asked.
            DeadlineExceeded: The request's time was over.
        """
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

    async def embed(
        self, search: Search, collection: ResolvedCollection, record: Record
    ) -> Sequence[QueryVector | None]:
        """The vectors of each query; None if there are none, so that the search goes by words alone."""
        client = await self._embed_client.of(collection.embedded_by)
        learned = collection.made.learned if search.options.settings.weight_of_learned else ""
        try:
            with record.stage("embed", client.stage) as stage:
                stage.size = 1
                async with record.waiting(client.stage):
                    seconds = record.budget.allot("embed", self._timeouts.embed, _EMBED_SHARE, later=("search",))
                    embedded = await asyncio.gather(
                        *(
                            client.embed_query(
                                query.demanded.text,
                                reader=search.principal.reader,
                                expected_fingerprint=collection.embedded_by,
                                learned=learned,
                                with_codes=bool(self._rerank_client.token_fingerprint),
                                timeout_seconds=seconds,
                            )
                            for query in search.queries
                        )
                    )
                stage.size = int(not any(one.cached for one in embedded))
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
        if learned and any(one.learned is None for one in embedded):
            record.degrade(*NO_LEARNED)
        record.tokens["query"] += sum(one.token_count for one in embedded if not one.cached)
        return embedded

    async def find(
        self,
        search: Search,
        collection: ResolvedCollection,
        conditions: Filter | None,
        embedded: Sequence[QueryVector | None],
        read: int | None,
        record: Record,
    ) -> Sequence[SearchResult]:
        """What the search finds for each query, best first, and so many of it read; None for all.

        Raises:
            CollectionGone: The collection is not there any more.
            Unavailable: Nothing can be searched.
            DeadlineExceeded: The request's time was over.
        """
        with_codes = search.options.rerank and len(search.queries) == 1 and bool(self._rerank_client.token_fingerprint)
        with record.stage("search") as stage:
            stage.size = 1
            seconds = record.budget.allot("search", self._timeouts.search, _SEARCH_SHARE)
            try:
                async with record.waiting("search"):
                    results = await asyncio.gather(
                        *(
                            search_as_demanded(
                                self._chunk_search,
                                collection,
                                search.demanded(query),
                                vector=one.vector if one else None,
                                learned=one.learned if one else None,
                                focus=one.long.focus if one and one.long else "",
                                by_words=one is None or query.origin is not Origin.PASSAGE,
                                filter=conditions,
                                limit=search.options.depth,
                                read=read,
                                with_codes=with_codes,
                                timeout_seconds=seconds,
                                reader=search.principal.reader,
                                weights=leg_weights(one, search.options.settings),
                            )
                            for query, one in zip(search.queries, embedded, strict=True)
                        )
                    )
            except NotFound as error:
                self._collections.forget(collection)
                raise CollectionGone(error) from error
            except DeadlineExceeded as error:
                raise _search_too_slow(record) from error
            record.found = [one.ranked for one in results]
            failed = {leg.leg: leg for one in results for leg in one.degraded_legs}
            count = len({one.id for some in results for one in some.candidates}) + len(results[0].unread_scores)
            stage.note(
                {
                    "trivium.candidates": count,
                    "trivium.failed_legs": list(failed),
                    "trivium.settings_version": collection.settings.now.number,
                }
            )
            near = [one.best_dense for one in results if one.best_dense is not None]
            if near:
                stage.note({"trivium.best_dense": max(near)})
        for leg in failed.values():
            record.degrade(leg_degradation(leg), leg.cause)
        return results

    async def judge(
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
            count = candidates_in_time(len(candidates), search.options.top_n, record)
            left_out, candidates = len(candidates) - count, candidates[:count]
            with record.stage("rerank") as stage:
                stage.size = count
                stage.note({"trivium.texts": count, "trivium.unread": left_out})
                codes = await self._token_codes(search, collection, candidates, record)
                stage.note({"trivium.token_codes": sum(map(bool, codes))})
                texts = [
                    JudgedText(one.chunk.indexed_text, code, one.search_score)
                    for one, code in zip(candidates, codes, strict=True)
                ]
                async with record.waiting("rerank"):
                    later, longest = record.budget.later, self._timeouts.rerank
                    judged = await self._rerank_client.rerank_long(
                        search.queries[0].demanded.text,
                        embedded.long if embedded else None,
                        texts,
                        timeout_seconds=record.budget.allot("rerank", longest, _RERANK_SHARE, later=later, size=count),
                        query_codes=embedded.token_codes if embedded else b"",
                        places=search.options.top_n,
                    )
                record.tokens["reranked"] += judged.token_count
                stage.note({"gen_ai.response.model": judged.model, "trivium.score_kind": judged.kind.value})
        except TriviumError as error:
            _blame_query(error, search)
            record.replace(Stage.RERANK, error, "fused-order")
            return None
        if left_out > 0:
            record.fit(Stage.RERANK, "fewer-candidates", f"{left_out} candidates are not read for want of time")
        return judged.beside(left_out)

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
                    collection, candidates, timeout_seconds=seconds, reader=search.principal.reader
                )
        except TriviumError as error:
            _logger.warning("the token codes of candidates cannot be had, so they are read: %s", cause_of(error))
            return none


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
