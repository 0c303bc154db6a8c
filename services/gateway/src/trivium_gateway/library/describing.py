"""Describes collections as people see them: their numbers, or why they cannot be used."""

import asyncio
import logging
from collections.abc import Mapping

from trivium_serving.errors import NotFound, TriviumError, cause_of

from trivium_gateway.domain.names import name_of
from trivium_gateway.domain.readers import Reader, whole
from trivium_gateway.library.descriptions import CollectionDescription, CollectionState, state_told_by
from trivium_gateway.library.lookup import OwnCollection
from trivium_gateway.library.memory import CollectionMemory, KnownCollection
from trivium_gateway.qdrant.collections import QdrantCollections

__all__ = ["CollectionDescriber"]

_logger = logging.getLogger(__name__)

_COUNTS_AT_ONCE = 5  # each is three calls


class CollectionDescriber:
    """Describes what was found under an alias.

    Args:
        qdrant: Counts what is in them.
        memory: Takes note of what is seen.
    """

    def __init__(self, qdrant: QdrantCollections, memory: CollectionMemory) -> None:
        self._qdrant = qdrant
        self._memory = memory

    async def describe(self, known: KnownCollection, reader: Reader) -> CollectionDescription:
        """Describe a collection that can be read, as if there were only the documents that somebody may read."""
        collection = known.collection
        place = collection.physical, reader
        coded_count = None
        if known.is_complete:
            chunk_count, coded_count = await asyncio.gather(
                self._qdrant.count_committed(*place), self._qdrant.count_coded(*place)
            )
        else:  # before the first write of this version, there are no chunks of documents that are not committed yet
            chunk_count = await self._qdrant.count(*place)
        return CollectionDescription(
            name=collection.name,
            state=CollectionState.READY,
            chunk_count=chunk_count,
            coded_chunk_count=None if coded_count is None else min(coded_count, chunk_count),
            model=collection.made.model,
            model_fingerprint=collection.made.fingerprint,
            dimension=collection.made.dimension,
            metadata_keys=known.metadata_kinds,
            needs_reindex=collection.needs_reindex,
            settings=collection.settings,
            beside=collection.beside,
            comparison=known.comparison,
            sparse_fingerprint=collection.made.learned,
        )

    async def describe_any(
        self, alias: str, seen: OwnCollection | TriviumError, reader: Reader
    ) -> CollectionDescription:
        """Describe a collection, by nothing but its state if it cannot be read.

        Raises:
            TriviumError: What was seen says nothing of this collection, but of the request or of Qdrant as a whole.
        """
        if isinstance(seen, OwnCollection):
            try:
                return await self.describe(self._memory.remember(alias, seen), reader)
            except TriviumError as error:
                seen = error
        self._memory.forget(alias)
        state = state_told_by(seen)
        if state is None:
            raise seen
        _logger.warning("the collection %s is %s: %s", alias, state.value, cause_of(seen) or seen.message)
        return CollectionDescription(name_of(alias), state)

    async def describe_all(
        self, found: Mapping[str, OwnCollection | TriviumError], reader: Reader
    ) -> list[CollectionDescription]:
        """Describe what was found under some aliases, in their order, without what was deleted since."""
        at_once = asyncio.Semaphore(_COUNTS_AT_ONCE)

        async def describe(alias: str, seen: OwnCollection | TriviumError) -> CollectionDescription | None:
            async with at_once:
                try:
                    return await self.describe_any(alias, seen, reader)
                except NotFound:  # deleted since
                    return None

        described = await asyncio.gather(*(describe(alias, seen) for alias, seen in found.items()))
        return [one for one in described if one is not None]

    async def has_remains(self, known: KnownCollection) -> bool:
        """Whether it has more chunks than its documents, as after broken writes."""
        place = known.collection.physical, whole(known.collection.tenant)
        return known.is_complete and await self._qdrant.count(*place) != await self._qdrant.count_committed(*place)
