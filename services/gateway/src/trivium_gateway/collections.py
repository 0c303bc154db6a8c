"""Collections: a name that people use, in front of a physical collection that belongs to one embedding model."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trivium_serving.errors import AlreadyExists, InvalidField, NotFound

from trivium_gateway.clients.embed import EmbedClient
from trivium_gateway.collection_names import check_name, name_behind, physical_name
from trivium_gateway.filters import Filter, parse_filter
from trivium_gateway.limits import GatewayLimits
from trivium_gateway.metadata import JsonValue, MetadataKind
from trivium_gateway.qdrant_collections import (
    AS_QDRANT_CHOOSES,
    Distribution,
    PhysicalCollection,
    QdrantCollections,
)
from trivium_gateway.qdrant_connection import QdrantConnection

__all__ = ["DEFAULT_COLLECTION", "CollectionDescription", "Collections", "ResolvedCollection"]

DEFAULT_COLLECTION = "default"
"""The collection of requests that name none. It is created on first use."""


@dataclass(frozen=True, slots=True)
class ResolvedCollection:
    """Where a collection's data is, and which model's vectors are in it.

    Attributes:
        name: The name that people use.
        physical: The name of the collection in Qdrant, `<name>__<first 12 characters of the fingerprint>`.
        model: Name of the embedding model.
        model_fingerprint: Its fingerprint; pass it to `EmbedClient.embed_query`, which refuses any other model.
        dimension: Numbers per vector.
    """

    name: str
    physical: str
    model: str
    model_fingerprint: str
    dimension: int


@dataclass(frozen=True, slots=True)
class CollectionDescription:
    """A collection as people see it.

    Attributes:
        name: Its name.
        chunk_count: Number of pieces of documents in it.
        model: Name of the embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
        dimension: Numbers per vector.
        metadata_keys: Keys that can be filtered by, and what their values are; in the order of their names.
    """

    name: str
    chunk_count: int
    model: str
    model_fingerprint: str
    dimension: int
    metadata_keys: Mapping[str, MetadataKind]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a collection, and until when to believe it."""

    collection: ResolvedCollection
    metadata_kinds: Mapping[str, MetadataKind]
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
        self._qdrant = QdrantCollections(connection, distribution)
        self._embed = embed
        self._limits = limits or GatewayLimits()
        self._remember_seconds = remember_seconds
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._changes = asyncio.Lock()

    async def create(self, name: str, *, tenant: str = "default") -> CollectionDescription:
        """Create a collection for the vectors of the model that the embed service runs.

        Raises:
            InvalidField: The name is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or
                digit, or looks like that of a physical collection.
            AlreadyExists: There is one of this name (COLLECTION_EXISTS).
            Unavailable: The embed service or Qdrant cannot be reached.
        """
        check_name(name)
        async with self._changes:
            if await self._look_up(name) is not None:
                raise AlreadyExists(f"There is a collection {name!r} already.", reason="COLLECTION_EXISTS")
            known = await self._create(name)
        return await self._describe(known, tenant)

    async def get(self, name: str, *, tenant: str = "default") -> CollectionDescription:
        """Describe a collection.

        Args:
            name: Its name; empty for `default`, which is created on first use.
            tenant: Whose chunks to count.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
        """
        collection = await self.resolve(name)
        known = await self._look_up(collection.name)
        if known is None:
            raise _not_found(name)
        return await self._describe(known, tenant)

    async def delete(self, name: str) -> None:
        """Delete a collection and everything in it.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
        """
        check_name(name)
        async with self._changes:
            self._known.pop(name, None)
            physical = (await self._qdrant.aliases()).get(name)
            if physical is None:
                raise _not_found(name)
            # What an earlier model left behind goes, too.
            names = [other for other in await self._qdrant.names() if name_behind(other) == name]
            for other in sorted({physical, *names}):
                await self._qdrant.delete(other)

    async def resolve(self, name: str) -> ResolvedCollection:
        """Find a collection for a request that writes. Cheap: answers are remembered for a few seconds.

        Args:
            name: Its name; empty for `default`, which is created on first use.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            Unavailable: Qdrant cannot be reached; or, to create `default`, the embed service.
        """
        found = await self.find(name)
        if found is not None:
            return found
        async with self._changes:
            known = await self._look_up(DEFAULT_COLLECTION) or await self._create(DEFAULT_COLLECTION)
        return known.collection

    async def find(self, name: str) -> ResolvedCollection | None:
        """Find a collection for a request that only reads. As cheap as `resolve`, and works without the embed service.

        Args:
            name: Its name; empty for `default`.

        Returns:
            The collection; None for `default` if that was not written to yet, which then is as good as empty.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            Unavailable: Qdrant cannot be reached.
        """
        name = name or DEFAULT_COLLECTION
        known = await self._recall(name)
        if known is None and name != DEFAULT_COLLECTION:
            raise _not_found(name)
        return known.collection if known else None

    def forget(self, collection: ResolvedCollection) -> None:
        """Look a collection up anew next time, because Qdrant says that it is gone."""
        self._known.pop(collection.name, None)

    async def parse_filter(self, collection: ResolvedCollection, filter_json: Mapping[str, JsonValue]) -> Filter | None:
        """Check the filter of a request against the keys that the collection has now.

        Returns:
            The filter, or None if it has no condition.

        Raises:
            InvalidField: See `trivium_gateway.filters.parse_filter`.
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
        async with self._changes:
            kinds = dict(await self.metadata_kinds(collection, fresh=True))
            for key, kind in wanted.items():
                if key not in kinds and len(kinds) < self._limits.max_collection_metadata_keys:
                    await self._qdrant.index_metadata_key(collection.physical, key, kind)
                    kinds[key] = kind
            self._remember(collection, kinds)
        return kinds

    async def _recall(self, name: str) -> _Known | None:
        known = self._known.get(name)
        if known is not None and self._clock() < known.expires_at:
            return known
        return await self._look_up(name)

    async def _look_up(self, name: str) -> _Known | None:
        physical = (await self._qdrant.aliases()).get(name)
        if physical is None:
            self._known.pop(name, None)
            return None
        try:
            described = await self._qdrant.describe(physical)
        except NotFound:  # deleted a moment ago
            self._known.pop(name, None)
            return None
        return self._remember(_resolved(name, physical, described), described.metadata_kinds)

    def _remember(self, collection: ResolvedCollection, kinds: Mapping[str, MetadataKind]) -> _Known:
        known = _Known(collection, kinds, self._clock() + self._remember_seconds)
        self._known[collection.name] = known
        return known

    async def _create(self, name: str) -> _Known:
        model = await self._embed.model()
        physical = physical_name(name, model.fingerprint)
        await self._qdrant.create(physical, model=model.name, fingerprint=model.fingerprint, dimension=model.dimension)
        # Last: whoever finds the alias finds the collection complete.
        await self._qdrant.point_alias(name, physical)
        known = await self._look_up(name)
        if known is None:
            raise _not_found(name)
        return known

    async def _describe(self, known: _Known, tenant: str) -> CollectionDescription:
        collection = known.collection
        return CollectionDescription(
            name=collection.name,
            chunk_count=await self._qdrant.count(collection.physical, tenant),
            model=collection.model,
            model_fingerprint=collection.model_fingerprint,
            dimension=collection.dimension,
            metadata_keys=known.metadata_kinds,
        )

    async def list(self, *, tenant: str = "default") -> list[CollectionDescription]:
        """Describe all collections, in the order of their names."""
        descriptions = []
        for name, physical in sorted((await self._qdrant.aliases()).items()):
            try:
                described = await self._qdrant.describe(physical)
                known = self._remember(_resolved(name, physical, described), described.metadata_kinds)
                descriptions.append(await self._describe(known, tenant))
            except NotFound:  # deleted since
                continue
        return descriptions


def _resolved(name: str, physical: str, described: PhysicalCollection) -> ResolvedCollection:
    return ResolvedCollection(name, physical, described.model, described.model_fingerprint, described.dimension)


def _not_found(name: str) -> NotFound:
    return NotFound(
        f"There is no collection {name!r}. Create it, or list those that there are.", reason="COLLECTION_NOT_FOUND"
    )
