"""Finds the passages that answer a query: embed it, search, rerank, order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_evidence.signs import COMPARED
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.judging import calibrated
from trivium_gateway.answering.ordering import best_passages
from trivium_gateway.answering.stages import CollectionGone
from trivium_gateway.answering.together import FoundIn, together
from trivium_gateway.answering.weighing import weights_of
from trivium_gateway.models.ranking import reciprocal_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trivium_gateway.answering.plan import Search, SearchOptions
    from trivium_gateway.answering.retrieval_cache import RetrievalCache
    from trivium_gateway.answering.sections import SectionReader
    from trivium_gateway.answering.stages import RetrievalStages
    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.domain.passages import Passage
    from trivium_gateway.domain.settings import CollectionSettings
    from trivium_gateway.library.candidates import Candidate
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.models.query_memory import QueryVector
    from trivium_gateway.request.record import Record

_READ_FOR_EACH = 4
"""How many chunks to read at first for each passage, of which some say the same or stand in the same section."""


class Retriever:
    """Leads queries through the stages, and puts in order what they found.

    Args:
        stages: Do the work.
        sections: Read more of the documents than what was found.
        section_characters: How much of its section a passage is read with where nobody says it; 0 for nothing.
        cache: Remembers what they found; None to remember nothing.
    """

    def __init__(
        self,
        stages: RetrievalStages,
        sections: SectionReader,
        section_characters: int,
        cache: RetrievalCache | None = None,
    ) -> None:
        self._stages = stages
        self._sections = sections
        self._section_characters = section_characters
        self._cache = cache

    async def retrieve(self, search: Search, record: Record) -> FoundIn:
        """Finds passages, in all collections that are to be searched, one after the other.

        Args:
            search: What to look for; checked.
            record: Takes note of what happens.

        Returns:
            The passages, and by which settings they were found.

        Raises:
            NotFound: There is no such collection.
            InvalidField: The filter breaks a rule, or none of the collections knows what it asks for.
            Unavailable: Nothing can be searched.
            DeadlineExceeded: The request's time was over.
        """
        names = search.options.names
        if len(names) == 1:
            return await self._retrieve(_within(search, names[0]), record)
        some: list[FoundIn] = []
        unknown: list[InvalidField] = []
        for name in names:
            try:
                found = await self._retrieve(_within(search, name), record)
            except InvalidField as error:  # a key of metadata that another of the collections may have
                if error.reason != "UNKNOWN_FILTER_FIELD":
                    raise
                unknown.append(error)
            else:
                some.append(replace(found, found=record.found, ordered=record.ordered))
            record.found, record.ordered = [], []
        if not some:
            raise unknown[0]
        joined = together(some, search.options)
        record.found, record.ordered = joined.found, joined.ordered
        return joined

    async def _retrieve(self, search: Search, record: Record) -> FoundIn:
        for last_attempt in (False, True):
            try:
                return await self._retrieve_from(search, record)
            except CollectionGone as gone:
                if last_attempt:
                    raise gone.error from gone
        raise AssertionError("the last attempt returns or raises")

    async def _retrieve_from(self, search: Search, record: Record) -> FoundIn:
        collection, conditions = await self._stages.look_up(search, record)
        if collection is None:  # `default`, before anything was written to it
            return FoundIn((), search.options.settings)
        search = replace(search, options=search.options.under(collection.settings.now.settings))
        settings = search.options.settings
        most_characters = (
            self._section_characters if settings.section_characters is None else settings.section_characters
        )
        options = search.options
        if most_characters:  # of several pieces that stand in one section one passage is made
            options = replace(options, top_n=min(_READ_FOR_EACH * options.top_n, options.depth))
        record.note({"trivium.model": collection.made.model, "trivium.model_fingerprint": collection.made.fingerprint})
        record.settings = {
            "version": collection.settings.now.number,
            **settings.given(),
            "candidates": search.options.depth,
            "rerank": search.options.rerank,
            "section_characters": most_characters,
        }
        cached = self._cache.looking(search, most_characters, collection, record) if self._cache else None
        if cached is not None and (known := await cached.look()) is not None:
            return _of(collection, known, settings)
        embedded = await self._stages.embed(search, collection, record)
        if cached is not None and (known := await cached.look_similar(embedded)) is not None:
            return _of(collection, known, settings)
        passages = await self._found(search, options, most_characters, collection, conditions, embedded, record)
        if cached is not None:
            await cached.keep(passages, embedded)
        return _of(collection, passages, settings)

    async def _found(
        self,
        search: Search,
        options: SearchOptions,
        most_characters: int,
        collection: ResolvedCollection,
        conditions: Filter | None,
        embedded: Sequence[QueryVector | None],
        record: Record,
    ) -> tuple[Passage, ...]:
        """The passages, searched for and judged."""
        settings = search.options.settings
        for read in _counts_to_read(search, options):
            results = await self._stages.find(search, collection, conditions, embedded, read, record)
            found = [one.candidates for one in results]
            candidates = _merged(found)
            judged = await self._stages.judge(search, collection, embedded[0], candidates, record)
            unread = results[0].unread_scores
            with record.stage("order"):
                weights = weights_of(embedded[0], judged, collection, settings)
                # Beside the event loop, as all that takes the longer the more is found.
                passages = await asyncio.to_thread(best_passages, candidates, judged, weights, options, record, unread)
            if len(passages) >= options.top_n or not unread:
                break
        query, fingerprint = search.queries[0].demanded.text, collection.made.fingerprint
        with record.stage("score"):
            passages = await asyncio.to_thread(
                calibrated, query, passages, fingerprint, by_model=weights.by_model, settings=settings
            )
        passages = passages[: options.top_n]
        if most_characters:
            passages = await self._sections.read(
                passages, search.options.top_n, most_characters, collection, search.principal.reader, record
            )
        return passages if len(found) == 1 else tuple(map(_told_by(found), passages))


def _within(search: Search, name: str) -> Search:
    """The same in one collection."""
    return replace(search, options=search.options.within(name))


def _of(collection: ResolvedCollection, passages: Sequence[Passage], settings: CollectionSettings) -> FoundIn:
    """What was found in a collection, each passage with its name."""
    return FoundIn(tuple(replace(one, collection=collection.name) for one in passages), settings)


def _counts_to_read(search: Search, options: SearchOptions) -> Sequence[int | None]:
    """How many of the chunks found to read, one after the other until that is enough; None for all.

    Only those that may be shown, or scored beside them, are wanted, if nobody else judges them, and what stands for
    duplicates is behind them.
    """
    if options.rerank or len(search.queries) > 1:
        return (None,)
    wanted = max(options.top_n, COMPARED)
    return (_READ_FOR_EACH * wanted if options.collapse else wanted, None)


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
