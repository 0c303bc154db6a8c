"""Holds a search to what a query demands word for word: "phrases" that occur, and -words that do not."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trivium_lexical import ParsedQuery

from trivium_gateway.domain.filters import Filter
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.library.asking import EVEN, LegWeights
from trivium_gateway.library.candidates import Candidate, SearchResult
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant.words import asked_words

__all__ = ["search_as_demanded"]

_MOST_CHUNKS = 1000
"""Most chunks of one search, and most that have the phrases and are ordered."""
_PAGES = 5
_WIDER = (1, 4, 16)
"""How many times as many chunks are searched as are wanted, while exclusions leave too few."""


async def search_as_demanded(
    chunk_search: ChunkSearch,
    collection: ResolvedCollection,
    query: ParsedQuery,
    *,
    vector: Sequence[float] | None,
    learned: SparseWeights | None = None,
    focus: str = "",
    by_words: bool = True,
    filter: Filter | None,  # noqa: A002 - the word of the interface
    limit: int,
    read: int | None = None,
    with_codes: bool = False,
    timeout_seconds: float,
    reader: Reader,
    weights: LegWeights = EVEN,
) -> SearchResult:
    """Find the chunks that are closest to a query, and that it allows.

    Qdrant knows terms and no phrases, so that the texts decide. What has a phrase has its words, too: those chunks that
    have most of them, 5,000 at most, are read, and of those with the phrases 1,000 at most are searched. Exclusions are
    taken out of what is found, and the search is made again, wider, without them.

    Args:
        chunk_search: Searches.
        collection: Where to search.
        query: What to look for.
        vector: Its vector; None to search by words alone.
        learned: Its learned sparse vector; None to search without.
        focus: What a long query asks above all; empty for all of it.
        by_words: Whether to search by words as well where there is a vector.
        filter: Conditions on the chunks.
        limit: Most candidates.
        read: How many of them to read at first, if the query demands nothing; see `ChunkSearch.search`.
        with_codes: Whether to read their token codes, likewise.
        timeout_seconds: Time for all of it.
        reader: As whom.
        weights: How much the legs count; see `ChunkSearch.search`.

    Raises:
        TriviumError: See `ChunkSearch.search`.
    """
    until = time.monotonic() + timeout_seconds

    async def search(**more: Any) -> SearchResult:
        text = query.text if by_words or vector is None else None
        arguments: dict[str, Any] = {
            "vector": vector,
            "learned": learned,
            "text": text,
            "focus": focus,
            "limit": limit,
        } | more
        seconds = max(0.001, until - time.monotonic())
        return await chunk_search.search(
            collection,
            filter=filter,
            timeout_seconds=seconds,
            reader=reader,
            weights=weights,
            **arguments,
        )

    def allowed_of(found: Sequence[Candidate]) -> list[Candidate]:
        return [one for one in found if query.allows(f"{one.chunk.title}\n{one.chunk.text}")]

    async def allowed(found: Sequence[Candidate]) -> list[Candidate]:
        return await asyncio.to_thread(allowed_of, found)  # each of a thousand passages is held to each demand

    if not query.phrases and not query.exclusions:
        return await search(read=read, with_codes=with_codes)
    within: list[str] | None = None
    words = " ".join(query.phrases)
    if words and await asyncio.to_thread(asked_words, words, collection.word_rules) is not None:
        within, seen = [], set[str]()
        for _ in range(_PAGES):
            page = (
                await search(vector=None, learned=None, text=words, focus="", limit=_MOST_CHUNKS, without=seen)
            ).candidates
            within += [one.id for one in await allowed(page)]
            seen |= {one.id for one in page}
            if len(page) < _MOST_CHUNKS or len(within) >= _MOST_CHUNKS:
                break
        if not within:
            return SearchResult([], [])
        within = within[:_MOST_CHUNKS]
    refused: set[str] = set()
    for times in _WIDER:
        wanted = min(_MOST_CHUNKS, limit * times)
        found = await search(limit=wanted, within=within, without=refused)
        kept = await allowed(found.candidates)
        refused |= {one.id for one in found.candidates} - {one.id for one in kept}
        if len(kept) >= limit or len(found.candidates) < wanted:
            break
    return replace(found, candidates=kept[:limit])
