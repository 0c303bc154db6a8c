"""Remembers what was found for queries, and looks whether it still holds before it is shown again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivium_serving.errors import TriviumError

from trivium_gateway.caching.coding import Coding
from trivium_gateway.domain.chunks import Chunk, LineBox
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.standings import Ordered, Ranked
from trivium_gateway.library.contents import is_left, is_settled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.answering.plan import Search
    from trivium_gateway.caching.results import ResultCache
    from trivium_gateway.caching.similar import SimilarQueries
    from trivium_gateway.library.contents import Contents
    from trivium_gateway.library.heads import DocumentHeads
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.models.query_memory import QueryVector
    from trivium_gateway.models.rerank import RerankClient
    from trivium_gateway.request.record import Record

_LOOK_SECONDS = 1.0
_LOOK_SHARE = 0.2
"""What part of the time a look may take: what cannot be known to hold is found anew."""

# What they take of memory, about; measured, and rounded up.
_CHARACTER_BYTES = 2
_PASSAGE_BYTES = 3_000
_BOX_BYTES = 250
_ROW_BYTES = 300


@dataclass(frozen=True, slots=True)
class KeptRetrieval:
    """What was found.

    Attributes:
        contents: The mark of the collection before it was searched.
        passages: The passages.
        found: What the search found for each query, for traces.
        ordered: The candidates as they were ordered, likewise.
    """

    contents: str
    passages: tuple[Passage, ...]
    found: tuple[Sequence[Ranked], ...]
    ordered: Sequence[Ordered]

    @property
    def byte_count(self) -> int:
        """How much memory it takes, about."""
        chunks = [one for each in self.passages for one in (each.chunk, each.piece) if one is not None]
        texts = sum(len(one.text) + len(one.title) + len(str(one.metadata)) for one in chunks)
        boxes = sum(len(one.boxes) for one in chunks)
        rows = sum(map(len, self.found)) + len(self.ordered)
        return _CHARACTER_BYTES * texts + _PASSAGE_BYTES * len(chunks) + _BOX_BYTES * boxes + _ROW_BYTES * rows


RETRIEVAL_CODING = Coding(KeptRetrieval, Passage, Chunk, LineBox, Scores, Ranked, Ordered)


class RetrievalCache:
    """Gives what a search would find now, without searching.

    What is kept is somebody's, and is known by all that it depends on. Before it is shown, Qdrant is asked whether
    anything was written to the collection since it was searched, and whether each document in it is still there, in
    the same version, for who asks.

    Args:
        results: Where it is kept.
        contents: Says whether a collection has changed.
        heads: Say which versions count, and for whom.
        rerank: Says which model judges.
        similar: Finds queries that mean the same.
    """

    def __init__(
        self,
        results: ResultCache,
        contents: Contents,
        heads: DocumentHeads,
        rerank: RerankClient,
        similar: SimilarQueries,
    ) -> None:
        self.results = results
        self.contents = contents
        self.heads = heads
        self.rerank = rerank
        self.similar = similar

    def looking(
        self, search: Search, section_characters: int, collection: ResolvedCollection, record: Record
    ) -> CachedSearch:
        """One search, to look for and to keep.

        Args:
            search: What is searched for, its options by the collection's settings.
            section_characters: How much of its section a passage is read with.
            collection: Where.
            record: Takes note of what happens.
        """
        return CachedSearch(self, search, section_characters, collection, record)


class CachedSearch:
    """See RetrievalCache.looking."""

    def __init__(
        self,
        cache: RetrievalCache,
        search: Search,
        section_characters: int,
        collection: ResolvedCollection,
        record: Record,
    ) -> None:
        self._cache = cache
        self._reranker = cache.rerank.identity
        self._stale = False
        self._search = search
        self._collection = collection
        self._record = record
        self._reader = search.principal.reader
        self._mark = collection.contents
        self._degraded = record.degraded
        options = search.options
        self._depends_on = (
            (collection.physical, collection.embedded_by, collection.is_restricted, collection.settings.now.number),
            options.filter,
            (options.top_n, options.depth, options.rerank, options.collapse, section_characters),
            options.settings.given(),
            self._reranker if options.rerank else None,
        )

    async def look(self) -> tuple[Passage, ...] | None:
        """What was found for just this, if it still holds."""
        kept = await self._kept(self._texts())
        if kept is not None:
            self._cache.results.count("hit")
            return self._shown(kept, "")
        return None

    async def look_similar(self, embedded: Sequence[QueryVector | None]) -> tuple[Passage, ...] | None:
        """What was found for a query that means the same, if that is wanted and it still holds."""
        found = None
        if self._may_be_similar(embedded):
            found = self._cache.similar.find(self._key(()), self._search.queries[0].text, embedded[0].vector)  # type: ignore[union-attr]
        kept = await self._kept(((found, self._search.queries[0].origin.value),)) if found else None
        self._cache.results.count("similar" if kept else "stale" if self._stale else "miss")
        return self._shown(kept, found or "") if kept else None

    async def keep(self, passages: tuple[Passage, ...], embedded: Sequence[QueryVector | None]) -> None:
        """Keeps what was found, if all stages worked and nobody was writing before they began."""
        if self._record.degraded != self._degraded or None in embedded or not is_settled(self._mark):
            return
        if (
            self._search.options.rerank and not self._reranker == self._cache.rerank.identity != ""
        ):  # another model by now
            return
        kept = KeptRetrieval(self._mark, passages, tuple(self._record.found), tuple(self._record.ordered))
        await self._cache.results.put(self._reader, self._key(self._texts()), kept)
        if self._may_be_similar(embedded):
            self._cache.similar.add(self._key(()), self._search.queries[0].text, embedded[0].vector)  # type: ignore[union-attr]

    def _may_be_similar(self, embedded: Sequence[QueryVector | None]) -> bool:
        return self._cache.similar.is_on and len(self._search.queries) == 1 and embedded[0] is not None

    def _texts(self) -> tuple[tuple[str, str], ...]:
        return tuple((query.text, query.origin.value) for query in self._search.queries)

    def _key(self, texts: tuple[tuple[str, str], ...]) -> str:
        return self._cache.results.key(self._reader, *self._depends_on, texts)

    async def _kept(self, texts: tuple[tuple[str, str], ...]) -> KeptRetrieval | None:
        with self._record.stage("cache"):
            kept: KeptRetrieval | None = await self._cache.results.get(self._reader, self._key(texts))
            if kept is None:
                return None
            if await self._holds(kept):
                return kept
            self._stale = True
            return None

    async def _holds(self, kept: KeptRetrieval) -> bool:
        """Whether a search would find the same now; if that cannot be known, it does not hold."""
        seconds = self._record.seconds(_LOOK_SECONDS, _LOOK_SHARE)
        wanted = {one.chunk.document_id: one.chunk.version for one in kept.passages}
        versions = [(one.chunk.document_id, one.chunk.version) for one in kept.passages]
        versions += [(other, "") for one in kept.passages for other in one.duplicates]
        try:
            async with asyncio.timeout(seconds):
                mark, there = await asyncio.gather(
                    self._cache.contents.mark(self._collection.physical),
                    self._cache.heads.current(self._collection, versions, self._reader, seconds),
                )
                if is_left(mark):
                    await self._cache.contents.settle(self._collection.physical)
        except (TimeoutError, TriviumError):
            return False
        self._mark = mark
        is_there = all(one in there for one, _ in versions) and there.items() >= wanted.items()
        return is_there and is_settled(mark) and mark == kept.contents

    def _shown(self, kept: KeptRetrieval, similar_question: str) -> tuple[Passage, ...]:
        self._record.found, self._record.ordered = kept.found, kept.ordered
        self._record.cached = replace(self._record.cached, retrieval=True, similar_question=similar_question)
        self._record.note({"trivium.cached_retrieval": "similar" if similar_question else "hit"})
        return kept.passages
