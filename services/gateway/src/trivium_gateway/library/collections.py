"""Collections: a name that people use, in front of a physical collection that belongs to one embedding model."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import AlreadyExists, InvalidField, NotFound, TriviumError, cause_of

from trivium_gateway.domain.filters import Filter, parse_filter
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.metadata import JsonValue, MetadataKind
from trivium_gateway.domain.names import check_name, physical_name
from trivium_gateway.library.descriptions import CollectionDescription, CollectionState, state_told_by
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.making import CollectionMaker
from trivium_gateway.library.tenancy import BELIEF_SECONDS, SETTLING_SECONDS, Tenancy
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.collections import AS_QDRANT_CHOOSES, Distribution, QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["DEFAULT_COLLECTION", "Collections", "ResolvedCollection"]

_logger = logging.getLogger(__name__)

DEFAULT_COLLECTION = "default"
"""The collection of requests that name none. It is created by the first write."""

_COUNTS_AT_ONCE = 8  # each is two calls


@dataclass(frozen=True, slots=True)
class ResolvedCollection:
    """Where a collection's data is, and which model's vectors are in it.

    Attributes:
        name: The name that people use.
        physical: The name of the collection in Qdrant, `<name>__<12 characters>`; see `physical_name`.
        model: Name of the embedding model.
        model_fingerprint: Its fingerprint; pass it to `EmbedClient.embed_query`, which refuses any other model.
        dimension: Numbers per vector.
        analyzer: Version of the analyzer that its words are indexed by.
        sole_tenant: The only tenant that has written to it; empty if there may be several.
        sole_until: Until when to believe that, on the monotonic clock.
    """

    name: str
    physical: str
    model: str
    model_fingerprint: str
    dimension: int
    analyzer: int
    sole_tenant: str = ""
    sole_until: float = field(default=0.0, compare=False)

    def is_sole(self, tenant: str, until: float) -> bool:
        """Whether all chunks are certain to be a tenant's, up to a moment on the monotonic clock."""
        return tenant == self.sole_tenant and until <= self.sole_until

    def successor(self) -> "ResolvedCollection | None":
        """Give the collection that `Reindexer` makes of this one; None if it is made as this version makes them."""
        if self.analyzer == ANALYZER_VERSION:
            return None
        physical = physical_name(self.name, self.model_fingerprint, ANALYZER_VERSION)
        return replace(self, physical=physical, analyzer=ANALYZER_VERSION, sole_tenant="")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a collection, and until when to believe it."""

    collection: ResolvedCollection
    metadata_kinds: Mapping[str, MetadataKind]
    is_complete: bool
    expires_at: float


class Collections:
    """Creates, finds, describes and deletes collections.

    All that is known of a collection is in Qdrant: which physical collection is behind a name in its aliases, which
    model's vectors it holds in its metadata, and which metadata keys there are in its payload indexes. So any number
    of gateways may work at once, and none keeps anything over a restart.

    Args:
        connection: To Qdrant.
        embed: Says which model runs now.
        limits: What is allowed.
        distribution: How new collections are spread over a Qdrant cluster.
        remember_seconds: How long to believe what was found out about a collection, unless an error shows otherwise.
        settling_seconds: See `Tenancy`.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        embed: EmbedClient,
        limits: GatewayLimits | None = None,
        *,
        distribution: Distribution = AS_QDRANT_CHOOSES,
        remember_seconds: float = 2.0,
        settling_seconds: float = SETTLING_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.distribution = distribution
        self._qdrant = QdrantCollections(connection, distribution)
        self._lookup = CollectionLookup(self._qdrant)
        self._maker = CollectionMaker(self._qdrant, self._lookup, embed)
        self._tenancy = Tenancy(self._qdrant, settling_seconds)
        self._limits = limits or GatewayLimits()
        self.remember_seconds = remember_seconds
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._changes = KeyedLocks()

    async def create(self, name: str, *, tenant: str) -> CollectionDescription:
        """Create a collection for the vectors of the model that the embed service runs.

        Raises:
            InvalidField: The name is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or
                digit, or looks like that of a physical collection.
            AlreadyExists: There is one of this name (COLLECTION_EXISTS), or an alias or collection of another
                application (COLLECTION_NAME_TAKEN).
            Unavailable: The embed service or Qdrant cannot be reached, or Qdrant cannot tell yet.
        """
        check_name(name)
        async with self._changes.hold([(name,)]):
            place = await self._lookup.look(name)
            if place.own is not None and place.own.has_alias:
                raise AlreadyExists(f"There is a collection {name!r} already.", reason="COLLECTION_EXISTS")
            known = self._remember(name, await self._maker.complete(name, place, tenant))
        return await self._describe(known, tenant)

    async def get(self, name: str, *, tenant: str) -> CollectionDescription:
        """Describe a collection.

        Args:
            name: Its name; empty for `default`.
            tenant: Whose chunks to count.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            TriviumError: Qdrant cannot be reached; or there is one that it cannot read and that may not be Trivium's.
        """
        name = name or DEFAULT_COLLECTION
        # What cannot be read and may not be Trivium's is not shown, but not denied either.
        seen = await self._lookup.see(name) or (await self._lookup.look(name)).own
        if seen is None:
            self._known.pop(name, None)
            raise _not_found(name)
        return await self._describe_any(name, seen, tenant)

    async def delete(self, name: str) -> None:
        """Delete a collection and everything in it, whether or not it is damaged.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            Unavailable: Not everything was deleted; repeat it.
        """
        check_name(name)
        async with self._changes.hold([(name,)]):
            self._known.pop(name, None)
            if not await self._maker.delete(name):
                raise _not_found(name)

    async def resolve(self, name: str, *, tenant: str) -> ResolvedCollection:
        """Find a collection for a request that writes. Cheap: answers are remembered for a few seconds.

        Args:
            name: Its name; empty for `default`, which is created by the first write.
            tenant: Who writes.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            AlreadyExists: `default` is the name of something of another application's (COLLECTION_NAME_TAKEN).
            FailedPrecondition: It is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open the collection now; or, to create `default`, the
                embed service cannot be reached.
        """
        name = name or DEFAULT_COLLECTION
        known = await self._recall(name)
        if known is None or not known.is_complete:
            async with self._changes.hold([(name,)]):
                place = await self._lookup.look(name)
                if place.own is None and name != DEFAULT_COLLECTION:
                    raise _not_found(name)
                known = self._remember(name, await self._maker.complete(name, place, tenant))
        return known.collection

    async def find(self, name: str) -> ResolvedCollection | None:
        """Find a collection for a request that only reads. As cheap as `resolve`, and works without the embed service.

        Args:
            name: Its name; empty for `default`.

        Returns:
            The collection; None for `default` if that was not written to yet, which then is as good as empty.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            FailedPrecondition: It is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open the collection now.
        """
        name = name or DEFAULT_COLLECTION
        known = await self._recall(name)
        if known is None and name != DEFAULT_COLLECTION:
            raise _not_found(name)
        return known.collection if known else None

    async def some(self) -> ResolvedCollection | None:
        """Find any collection, to try a search in; None if Qdrant says that there is none. Always asks Qdrant.

        Raises:
            FailedPrecondition: All that there are are damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open any.
        """
        for name in (DEFAULT_COLLECTION, *self._known):
            if isinstance(seen := await self._lookup.see(name), OwnCollection):
                return self._remember(name, seen).collection
        all_seen = await self._lookup.all()
        for name, seen in all_seen.items():
            if isinstance(seen, OwnCollection):
                return self._remember(name, seen).collection
        failures = [seen for seen in all_seen.values() if isinstance(seen, TriviumError)]
        if failures:
            raise min(failures, key=lambda failure: state_told_by(failure) is CollectionState.DAMAGED)
        return None

    async def admit(self, collection: ResolvedCollection, tenant: str) -> None:
        """Wait until a tenant may write to a collection: at once, but for the first write after another tenant's.

        Raises:
            NotFound: It was deleted.
            Unavailable: Qdrant cannot be reached.
        """
        if tenant == collection.sole_tenant:
            return
        try:
            await self._tenancy.admit(collection.physical, tenant)
        except NotFound:
            moved = await self.moved(collection)
            if moved.physical == collection.physical:
                raise
            await self._tenancy.admit(moved.physical, tenant)

    def forget(self, collection: ResolvedCollection) -> None:
        """Look a collection up anew next time, because Qdrant says that it is gone."""
        self._known.pop(collection.name, None)

    async def moved(self, collection: ResolvedCollection) -> ResolvedCollection:
        """Find a collection where it is now, if it may have moved since: one that has a successor, to that.

        Asked after a write, this tells whether the write counts: what was written to where the alias points is copied
        before the alias moves, and what was written later is not seen.

        Raises:
            NotFound: It was deleted (COLLECTION_NOT_FOUND).
        """
        if collection.successor() is None:
            return collection
        return self._remember(collection.name, await self.own(collection.name)).collection

    async def own(self, name: str) -> OwnCollection:
        """Find what is behind a collection. Always asks Qdrant.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
        """
        check_name(name)
        own = (await self._lookup.look(name)).own
        if own is None:
            raise _not_found(name)
        self._remember(name, own)
        return own

    async def replaced(self, name: str, own: OwnCollection) -> list[str]:
        """List the physical collections of a name that hold the same model's vectors, and that nobody asks any more."""
        found = []
        for physical in await self._lookup.owned(name):
            if physical != own.physical:
                with contextlib.suppress(NotFound):
                    described = await self._qdrant.describe(physical)
                    if described.model_fingerprint == own.described.model_fingerprint:
                        found.append(physical)
        return found

    async def parse_filter(self, collection: ResolvedCollection, filter_json: Mapping[str, JsonValue]) -> Filter | None:
        """Check the filter of a request against the keys that the collection has now.

        Returns:
            The filter, or None if it has no condition.

        Raises:
            InvalidField: See `trivium_gateway.domain.filters.parse_filter`.
            TooLarge: See there.
        """
        try:
            return parse_filter(filter_json, await self.metadata_kinds(collection), self._limits)
        except InvalidField:
            # The key may be one that another gateway has added since.
            return parse_filter(filter_json, await self.metadata_kinds(collection, fresh=True), self._limits)

    async def metadata_kinds(
        self, collection: ResolvedCollection, *, fresh: bool = False
    ) -> Mapping[str, MetadataKind]:
        """Say which metadata keys a collection has, and of which kinds.

        Args:
            collection: The collection.
            fresh: Whether to ask Qdrant even if an answer is remembered.
        """
        known = await (self._look_up(collection.name) if fresh else self._recall(collection.name))
        return known.metadata_kinds if known else {}

    async def index_keys(
        self, collection: ResolvedCollection, wanted: Mapping[str, MetadataKind]
    ) -> Mapping[str, MetadataKind]:
        """Index metadata keys before the first data that has them.

        Keys that exist keep their kind, and keys over the collection's limit are left out: compare what comes back.

        Returns:
            All keys that the collection has now, and their kinds.
        """
        async with self._changes.hold([(collection.name,)]):
            kinds = dict(await self.metadata_kinds(collection, fresh=True))
            for key, kind in wanted.items():
                if key not in kinds and len(kinds) < self._limits.max_collection_metadata_keys:
                    await self._qdrant.index_metadata_key(collection.physical, key, kind)
                    kinds[key] = kind
            # Found out anew next time, and not believed if another gateway has changed it meanwhile.
            self.forget(collection)
        return kinds

    async def _recall(self, name: str) -> _Known | None:
        known = self._known.get(name)
        if known is not None and self._clock() < known.expires_at:
            return known
        return await self._look_up(name)

    async def _look_up(self, name: str) -> _Known | None:
        own = (await self._lookup.look(name)).own
        if own is None:
            self._known.pop(name, None)
            return None
        return self._remember(name, own)

    def _remember(self, name: str, own: OwnCollection) -> _Known:
        described = own.described
        known = _Known(
            resolved(name, own),
            described.metadata_kinds,
            own.has_alias and described.is_indexed,
            self._clock() + self.remember_seconds,
        )
        self._known[name] = known
        return known

    async def _describe(self, known: _Known, tenant: str) -> CollectionDescription:
        collection = known.collection
        # Before the first write of this version, there are no chunks of documents that are not committed yet.
        count = self._qdrant.count_committed if known.is_complete else self._qdrant.count
        return CollectionDescription(
            name=collection.name,
            state=CollectionState.READY,
            chunk_count=await count(collection.physical, tenant),
            model=collection.model,
            model_fingerprint=collection.model_fingerprint,
            dimension=collection.dimension,
            metadata_keys=known.metadata_kinds,
            needs_reindex=collection.successor() is not None,
        )

    async def _describe_any(self, name: str, seen: OwnCollection | TriviumError, tenant: str) -> CollectionDescription:
        """Describe a collection, by nothing but its state if it cannot be read."""
        if isinstance(seen, OwnCollection):
            try:
                return await self._describe(self._remember(name, seen), tenant)
            except TriviumError as error:
                seen = error
        self._known.pop(name, None)
        state = state_told_by(seen)
        if state is None:
            raise seen
        _logger.warning("the collection %s is %s: %s", name, state.value, cause_of(seen) or seen.message)
        return CollectionDescription(name, state)

    async def list(self, *, tenant: str) -> list[CollectionDescription]:
        """Describe all collections, in the order of their names.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        at_once = asyncio.Semaphore(_COUNTS_AT_ONCE)

        async def describe(name: str, seen: OwnCollection | TriviumError) -> CollectionDescription | None:
            async with at_once:
                try:
                    return await self._describe_any(name, seen, tenant)
                except NotFound:  # deleted since
                    return None

        found = await self._lookup.all()
        described = await asyncio.gather(*(describe(name, seen) for name, seen in found.items()))
        return [one for one in described if one is not None]

    async def with_remains(self, *, tenant: str) -> Sequence[ResolvedCollection]:
        """Find the collections that have more chunks than their documents, as after writes that broke off."""
        found = []
        for name, seen in (await self._lookup.all()).items():
            if isinstance(seen, OwnCollection) and (known := self._remember(name, seen)).is_complete:
                try:
                    there = await self._qdrant.count(seen.physical, tenant)
                    if there != await self._qdrant.count_committed(seen.physical, tenant):
                        found.append(known.collection)
                except TriviumError as error:
                    if not isinstance(error, NotFound) and state_told_by(error) is None:
                        raise
        return found


def resolved(name: str, own: OwnCollection) -> ResolvedCollection:
    """Say where a collection's data is."""
    described = own.described
    return ResolvedCollection(
        name,
        own.physical,
        described.model,
        described.model_fingerprint,
        described.dimension,
        described.analyzer,
        described.sole_tenant,
        described.asked_at + BELIEF_SECONDS,
    )


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"There is no collection {name!r}. Create it, or list those that there are.", reason="COLLECTION_NOT_FOUND"
    )
