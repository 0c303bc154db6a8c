"""Collections: a name that people use, in front of a physical collection that belongs to one embedding model."""

import time
from collections.abc import Callable, Mapping, Sequence

from trivium_serving.errors import AlreadyExists, InvalidField, NotFound, TriviumError

from trivium_gateway.domain.filters import Filter, parse_filter
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.metadata import JsonValue, MetadataKind
from trivium_gateway.domain.names import alias_of, check_name, is_name
from trivium_gateway.domain.readers import Reader
from trivium_gateway.library.describing import CollectionDescriber
from trivium_gateway.library.descriptions import CollectionDescription, CollectionState, state_told_by
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.making import CollectionMaker
from trivium_gateway.library.memory import CollectionMemory
from trivium_gateway.library.resolved import DEFAULT_COLLECTION, ResolvedCollection, resolved
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.collections import AS_QDRANT_CHOOSES, Distribution, QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["Collections"]


class Collections:
    """Creates, finds, describes and deletes collections. Each is one tenant's, and so is its name.

    All that is known of a collection is in Qdrant: which physical collection is behind a name in its aliases, which
    model's vectors it holds in its metadata, and which metadata keys there are in its payload indexes. So any number
    of gateways may work at once, and none keeps anything over a restart.

    Args:
        connection: To Qdrant.
        embed: Says which model runs now.
        limits: What is allowed.
        distribution: How new collections are spread over a Qdrant cluster.
        remember_seconds: How long to believe what was found out about a collection, unless an error shows otherwise.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.distribution = distribution
        self._qdrant = QdrantCollections(connection, distribution)
        self._lookup = CollectionLookup(self._qdrant)
        self._maker = CollectionMaker(self._qdrant, self._lookup, embed)
        self._limits = limits or GatewayLimits()
        self._memory = CollectionMemory(self._lookup, remember_seconds, clock)
        self._describer = CollectionDescriber(self._qdrant, self._memory)
        self._changes = KeyedLocks()

    @property
    def remember_seconds(self) -> float:
        """How long a change that another gateway makes may go unnoticed."""
        return self._memory.remember_seconds

    async def create(self, name: str, *, reader: Reader) -> CollectionDescription:
        """Create a collection for the vectors of the model that the embed service runs.

        Raises:
            InvalidField: The name is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or
                digit, or looks like that of a physical collection.
            AlreadyExists: There is one of this name (COLLECTION_EXISTS), or an alias or collection of another
                application (COLLECTION_NAME_TAKEN).
            Unavailable: The embed service or Qdrant cannot be reached, or Qdrant cannot tell yet.
        """
        check_name(name)
        alias = _alias(reader.tenant, name)
        async with self._changes.hold([(alias,)]):
            place = await self._lookup.look(alias)
            if place.own is not None and place.own.has_alias:
                raise AlreadyExists(f"There is a collection {name!r} already.", reason="COLLECTION_EXISTS")
            known = self._memory.remember(alias, await self._maker.complete(alias, place))
        return await self._describer.describe(known, reader)

    async def get(self, name: str, *, reader: Reader) -> CollectionDescription:
        """Describe a collection.

        Args:
            name: Its name; empty for `default`.
            reader: Whose it is, and as whom it is described.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            TriviumError: Qdrant cannot be reached; or there is one that it cannot read and that may not be Trivium's.
        """
        name = name or DEFAULT_COLLECTION
        alias = _alias(reader.tenant, name)
        # What cannot be read and may not be Trivium's is not shown, but not denied either.
        seen = await self._lookup.see(alias) or (await self._lookup.look(alias)).own
        if seen is None:
            self._memory.forget(alias)
            raise _not_found(name)
        return await self._describer.describe_any(alias, seen, reader)

    async def delete(self, name: str, *, tenant: str) -> None:
        """Delete a collection and everything in it, whether or not it is damaged.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            Unavailable: Not everything was deleted; repeat it.
        """
        check_name(name)
        alias = _alias(tenant, name)
        async with self._changes.hold([(alias,)]):
            self._memory.forget(alias)
            if not await self._maker.delete(alias):
                raise _not_found(name)

    async def resolve(self, name: str, *, tenant: str) -> ResolvedCollection:
        """Find a collection for a request that writes. Cheap: answers are remembered for a few seconds.

        Args:
            name: Its name; empty for `default`, which is created by the first write.
            tenant: Whose it is.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            AlreadyExists: `default` is the name of something of another application's (COLLECTION_NAME_TAKEN).
            FailedPrecondition: It is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open the collection now; or, to create `default`, the
                embed service cannot be reached.
        """
        name = name or DEFAULT_COLLECTION
        alias = _alias(tenant, name)
        known = await self._memory.recall(alias)
        if known is None or not known.is_complete:
            async with self._changes.hold([(alias,)]):
                place = await self._lookup.look(alias)
                if place.own is None and name != DEFAULT_COLLECTION:
                    raise _not_found(name)
                known = self._memory.remember(alias, await self._maker.complete(alias, place))
        return known.collection

    async def find(self, name: str, *, tenant: str) -> ResolvedCollection | None:
        """Find a collection for a request that only reads. As cheap as `resolve`, and works without the embed service.

        Args:
            name: Its name; empty for `default`.
            tenant: Whose it is.

        Returns:
            The collection; None for `default` if that was not written to yet, which then is as good as empty.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            FailedPrecondition: It is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open the collection now.
        """
        name = name or DEFAULT_COLLECTION
        known = await self._memory.recall(_alias(tenant, name))
        if known is None and name != DEFAULT_COLLECTION:
            raise _not_found(name)
        return known.collection if known else None

    async def some(self) -> ResolvedCollection | None:
        """Find any collection, of any tenant, to try a search in; None if there is none. Always asks Qdrant.

        Raises:
            FailedPrecondition: All that there are are damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant cannot be reached, or cannot open any.
        """
        for alias in (DEFAULT_COLLECTION, *self._memory.aliases):
            if isinstance(seen := await self._lookup.see(alias), OwnCollection):
                return self._memory.remember(alias, seen).collection
        all_seen = await self._lookup.all()
        for alias, seen in all_seen.items():
            if isinstance(seen, OwnCollection):
                return self._memory.remember(alias, seen).collection
        failures = [seen for seen in all_seen.values() if isinstance(seen, TriviumError)]
        if failures:
            raise min(failures, key=lambda failure: state_told_by(failure) is CollectionState.DAMAGED)
        return None

    def forget(self, collection: ResolvedCollection) -> None:
        """Look a collection up anew next time, because Qdrant says that it is gone."""
        self._memory.forget(collection.alias)

    async def moved(self, collection: ResolvedCollection) -> ResolvedCollection:
        """Find a collection where it is now, if it may have moved since: one that has another index, to that.

        Asked after a write, this tells whether the write counts: what was written to where the alias points is copied
        before the alias moves; what was written later is not seen. Cheap where there is no other index.

        Raises:
            NotFound: It was deleted (COLLECTION_NOT_FOUND).
        """
        if collection.other() is None:
            known = await self._memory.recall(collection.alias)  # no index is filled before all gateways know of it
            if known is None or (known.collection.physical == collection.physical and known.collection.other() is None):
                return collection
        return resolved(await self.own(collection.name, tenant=collection.tenant))

    async def own(self, name: str, *, tenant: str) -> OwnCollection:
        """Find what is behind a tenant's collection. Always asks Qdrant.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
        """
        check_name(name)
        alias = _alias(tenant, name)
        own = (await self._lookup.look(alias)).own
        if own is None:
            raise _not_found(name)
        self._memory.remember(alias, own)
        return own

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
        known = await self._memory.recall(collection.alias, fresh=fresh)
        return known.metadata_kinds if known else {}

    async def index_keys(
        self, collection: ResolvedCollection, wanted: Mapping[str, MetadataKind]
    ) -> Mapping[str, MetadataKind]:
        """Index metadata keys before the first data that has them.

        Keys that exist keep their kind, and keys over the collection's limit are left out: compare what comes back.

        Returns:
            All keys that the collection has now, and their kinds.
        """
        async with self._changes.hold([(collection.alias,)]):
            kinds = dict(await self.metadata_kinds(collection, fresh=True))
            for key, kind in wanted.items():
                if key not in kinds and len(kinds) < self._limits.max_collection_metadata_keys:
                    await self._qdrant.index_metadata_key(collection.physical, key, kind)
                    kinds[key] = kind
            # Found out anew next time, and not believed if another gateway has changed it meanwhile.
            self.forget(collection)
        return kinds

    async def restrict(self, collection: ResolvedCollection) -> None:
        """Note that a collection is about to have documents that not everyone of the tenant may read."""
        if not collection.is_restricted:
            await self._qdrant.restrict(collection.physical)
            self.forget(collection)

    async def with_remains(self) -> Sequence[ResolvedCollection]:
        """Find the collections, of any tenant, that have more chunks than their documents, as after broken writes."""
        found = []
        for alias, seen in (await self._lookup.all()).items():
            if isinstance(seen, OwnCollection):
                known = self._memory.remember(alias, seen)
                try:
                    if await self._describer.has_remains(known):
                        found.append(known.collection)
                except TriviumError as error:
                    if not isinstance(error, NotFound) and state_told_by(error) is None:
                        raise
        return found

    async def list(self, *, reader: Reader) -> list[CollectionDescription]:
        """Describe all of a tenant's collections, in the order of their names, as somebody may know them; see `get`."""
        return await self._describer.describe_all(await self._lookup.all(reader.tenant), reader)


def _alias(tenant: str, name: str) -> str:
    if not is_name(name):  # it might be the alias of another tenant's
        raise _not_found(name)
    return alias_of(tenant, name)


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"There is no collection {name!r}. Create it, or list those that there are.", reason="COLLECTION_NOT_FOUND"
    )
