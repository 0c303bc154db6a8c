"""Hybrid search: the nearest vectors, BM25 and learned sparse vectors over one collection, fused."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Sequence

from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, NotFound, Overloaded, Unavailable

from trivium_gateway.domain.filters import Filter
from trivium_gateway.domain.fusion import z_scores
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.domain.standings import Ranked
from trivium_gateway.library.asking import EVEN, LegWeights, Ranking, ask_legs
from trivium_gateway.library.candidates import Candidate, DegradedLeg, Leg, SearchResult, search_score
from trivium_gateway.library.committed import CommittedCandidates
from trivium_gateway.library.heads import DocumentHeads
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.qdrant.chunks import FoundChunk, QdrantChunks
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.legs import LegQuery, dense_leg, learned_leg, sparse_leg
from trivium_gateway.qdrant.points import Scope, id_condition, keyword_condition, scoped_filter
from trivium_gateway.qdrant.words import asked_words

__all__ = ["ChunkSearch"]

_SEARCHES = 3
"""How often a search is repeated without the versions that it found and that do not count."""


class ChunkSearch:
    """Searches the chunks of collections.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection
        self._heads = DocumentHeads(connection)

    async def search(
        self,
        collection: ResolvedCollection,
        *,
        vector: Sequence[float] | None,
        learned: SparseWeights | None = None,
        text: str | None,
        focus: str = "",
        filter: Filter | None = None,  # noqa: A002 - the word of the interface
        within: Collection[str] | None = None,
        without: Collection[str] = (),
        limit: int,
        read: int | None = None,
        with_codes: bool = False,
        timeout_seconds: float,
        reader: Reader,
        weights: LegWeights = EVEN,
    ) -> SearchResult:
        """Find the chunks that are closest to a query.

        All legs are one call. If it fails, each is tried alone. What they found is read by another.
        Only chunks of versions that are committed are returned: those of a write that is going on or broke off, and of
        a version that was just replaced, are left out. If that leaves a gap, the search is made again without them.

        Args:
            collection: Where to search.
            vector: The query's vector, of the collection's dimension; None to search by words alone.
            learned: Its learned sparse vector, of the collection's model of those; None to search without.
            text: The query's text; None to search by vector alone. At least one of both is given.
            focus: What a long text asks above all; empty for all of it.
            filter: Conditions on the chunks.
            within: Ids of the only chunks to find; None for all.
            without: Ids of chunks not to find.
            limit: Most chunks to find, from 1.
            read: How many of them, best first, become candidates; None for all.
            with_codes: Whether to read the vectors of their tokens, too, which are several times as large as the rest.
            timeout_seconds: Time for the whole search, a second attempt with each leg alone included.
            reader: As whom.
            weights: How much the legs count, and which is not asked.

        Raises:
            NotFound: The collection was deleted (COLLECTION_NOT_FOUND).
            FailedPrecondition: There is no vector, and the words are another analyzer's (ANALYZER_CHANGED).
            Unavailable: Qdrant cannot be reached, or all legs failed.
            Overloaded: Qdrant has no capacity for any leg.
            DeadlineExceeded: No leg answered in time.
        """
        until = time.monotonic() + timeout_seconds
        committed = CommittedCandidates(self._heads, collection, reader)
        best = SearchResult([], [])
        only = [] if within is None else [id_condition(within)]
        barred = [id_condition(without)] if without else []
        corpus = collection.corpus(reader)
        for _ in range(_SEARCHES):
            stale = [keyword_condition("content_hash", sorted(committed.stale))] if committed.stale else []
            scope = scoped_filter(reader, only, filter, without=[*barred, *stale])
            found = await self._search(
                collection, vector, learned, text, focus, scope, corpus, limit, _seconds_until(until), weights
            )
            wanted = found.ranked[:read]
            # A document's first chunk may be another version's meanwhile, which the filter may not fit.
            still = scope if filter is not None else None
            chunks = await self._read(collection, reader, wanted, still, with_codes, _seconds_until(until))
            candidates = [
                Candidate(one.id, chunk.chunk, one.dense, one.sparse, one.fused, chunk.token_codes, one.learned)
                for one in wanted
                if (chunk := chunks.get(one.id)) is not None
            ]
            kept, again = await committed.keep(candidates, _seconds_until(until))
            if len(kept) >= len(best.candidates):
                unread = [
                    search_score(one.fused, one.dense, one.sparse, one.learned) for one in found.ranked[len(wanted) :]
                ]
                near = max((one.dense for one in found.ranked if one.dense is not None), default=None)
                best = SearchResult(kept, found.degraded_legs, unread, near, [*found.ranked, *found.cut])
            if not again and len(candidates) == len(wanted):
                break
        return best

    async def token_codes(
        self, collection: ResolvedCollection, candidates: Sequence[Candidate], *, timeout_seconds: float, reader: Reader
    ) -> list[bytes]:
        """Give the packed token vectors of candidates, in their order; empty for each that was stored without.

        Raises:
            TriviumError: Qdrant cannot give them now.
        """
        chunks = QdrantChunks(self._connection, collection.physical, reader)
        return await chunks.token_codes([one.id for one in candidates], timeout_seconds)

    async def _read(
        self,
        collection: ResolvedCollection,
        reader: Reader,
        ranked: Sequence[Ranked],
        scope: Scope | None,
        with_codes: bool,
        timeout_seconds: float,
    ) -> dict[str, FoundChunk]:
        chunks = QdrantChunks(self._connection, collection.physical, reader)
        ids = [one.id for one in ranked]
        until = time.monotonic() + timeout_seconds
        try:
            if with_codes:
                with contextlib.suppress(DeadlineExceeded, Overloaded, Unavailable):  # it goes without them, too
                    return await chunks.found(ids, scope, with_codes=True, timeout_seconds=timeout_seconds / 2)
            return await chunks.found(ids, scope, with_codes=False, timeout_seconds=_seconds_until(until))
        except NotFound as error:
            raise _gone(collection) from error

    async def _search(
        self,
        collection: ResolvedCollection,
        vector: Sequence[float] | None,
        learned: SparseWeights | None,
        text: str | None,
        focus: str,
        scope: Scope,
        corpus: Scope | None,
        limit: int,
        timeout_seconds: float,
        weights: LegWeights,
    ) -> Ranking:
        # A leg that is off still stands in for the other.
        off = weights.off if vector is not None and text is not None else None
        legs: dict[Leg, LegQuery] = {}
        if vector is not None and off != "dense":
            legs["dense"] = dense_leg(vector, scope, collection.settings.now.settings)
        unreadable: list[DegradedLeg] = []
        try:
            # Beside the event loop: of a long query in Chinese it takes a third of a second.
            rules, words = collection.word_rules, None
            if text is not None and off != "sparse":
                words = await asyncio.to_thread(asked_words, text, rules, focus)
        except FailedPrecondition as error:
            if vector is None:
                raise
            words, unreadable = None, [DegradedLeg("sparse", "unavailable", error)]
            legs["dense"] = dense_leg(vector, scope, collection.settings.now.settings)
        if words is not None:
            legs["sparse"] = sparse_leg(words, scope, corpus)
        if learned is not None and learned.indices and weights.learned:
            legs["learned"] = learned_leg(learned, scope)
        if not legs:  # a query without words, and no model to read it
            return Ranking([], [])
        try:
            found = await ask_legs(self._connection, collection.physical, legs, limit, timeout_seconds, weights)
        except NotFound as error:
            raise _gone(collection) from error
        ranked = found.ranked
        if len(legs) == 1 and weights.off is not None and weights.off not in legs:  # nothing is missing
            fused = z_scores([search_score(None, one.dense, one.sparse) for one in ranked])
            ranked = [one._replace(fused=score) for one, score in zip(ranked, fused, strict=True)]
        return Ranking(ranked, [*found.degraded_legs, *unreadable], found.cut)


def _seconds_until(moment: float) -> float:
    return max(0.001, moment - time.monotonic())


def _gone(collection: ResolvedCollection) -> NotFound:
    return NotFound(f"The collection {collection.name!r} was deleted.", reason="COLLECTION_NOT_FOUND")
