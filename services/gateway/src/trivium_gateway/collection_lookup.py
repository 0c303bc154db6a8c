"""What Qdrant has under the name of a collection, and what of it is Trivium's."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trivium_serving.errors import NotFound, Unavailable

from trivium_gateway.collection_names import name_behind, physical_name
from trivium_gateway.qdrant_collections import PhysicalCollection, QdrantCollections

__all__ = ["CollectionLookup", "OwnCollection", "Place"]

_ATTEMPTS = 3
_LOOKS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class OwnCollection:
    """A physical collection of Trivium's.

    Attributes:
        physical: Its name in Qdrant.
        described: What Qdrant says of it.
        has_alias: Whether the alias points to it. It is set last: without it, a creation or a deletion broke off, or
            a snapshot was restored without it.
    """

    physical: str
    described: PhysicalCollection
    has_alias: bool


@dataclass(frozen=True, slots=True)
class Place:
    """What stands in Qdrant under one name.

    Attributes:
        own: The collection of this name; None if there is none.
        foreign: Aliases and collections of other applications that stand where this name's would.
    """

    own: OwnCollection | None
    foreign: frozenset[str]


class CollectionLookup:
    """Finds collections by the names that people use.

    A collection is Trivium's if its name is made of the name that people use and of the fingerprint in its metadata,
    and if no alias but that name points to it. All others are never shown, written to or deleted.

    Args:
        qdrant: Where they are.
    """

    def __init__(self, qdrant: QdrantCollections) -> None:
        self._qdrant = qdrant

    async def look(self, name: str, aliases: Mapping[str, str] | None = None) -> Place:
        """See what stands under a name.

        Args:
            name: The name.
            aliases: All aliases, if they were asked for a moment ago.

        Raises:
            Unavailable: Qdrant knows the collection and cannot open it now (COLLECTION_UNAVAILABLE), or cannot be
                reached. Neither means that there is none.
        """
        for _ in range(_ATTEMPTS):
            target = (await self._qdrant.aliases() if aliases is None else aliases).get(name)
            if target is not None and name_behind(target) != name:
                return Place(None, frozenset((name,)))
            try:
                if target is not None:
                    described = await self._qdrant.describe(target)
                    if not _is_own(target, described):
                        return Place(None, frozenset((name,)))
                    return Place(OwnCollection(target, described, has_alias=True), frozenset())
                return await self._look_without_alias(name)
            except NotFound:  # deleted since
                aliases = None
        raise Unavailable(
            f"The collection {name!r} is being deleted and created all the time. Try again.",
            reason="COLLECTION_UNAVAILABLE",
        )

    async def own(self, name: str) -> list[str]:
        """List the physical collections of Trivium's that belong to a name; earlier models leave some behind.

        Raises:
            Unavailable: One of them cannot be opened now.
        """
        named = [physical for physical in sorted(await self._qdrant.names()) if name_behind(physical) == name]
        return [physical for physical in named if _is_own(physical, await self._qdrant.describe(physical))]

    async def all(self) -> dict[str, OwnCollection]:
        """Find all collections, by the names that people use, in the order of these.

        Raises:
            Unavailable: One of them cannot be opened now.
        """
        aliases, physical = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        aliased = {name for name, target in aliases.items() if name_behind(target) == name}
        names = sorted((aliased | {name_behind(one) for one in physical}) - {""})
        at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def look(name: str) -> Place:
            async with at_once:
                return await self.look(name, aliases)

        places = await asyncio.gather(*(look(name) for name in names))
        return {name: place.own for name, place in zip(names, places, strict=True) if place.own}

    async def _look_without_alias(self, name: str) -> Place:
        owned: list[OwnCollection] = []
        foreign: set[str] = set()
        for physical in await self._qdrant.names():
            if physical == name:
                foreign.add(physical)
            elif name_behind(physical) == name:
                described = await self._qdrant.describe(physical)
                if _is_own(physical, described):
                    owned.append(OwnCollection(physical, described, has_alias=False))
                else:
                    foreign.add(physical)
        # Of several, the one that has the data.
        own = max(owned, key=lambda one: (one.described.point_count, one.physical), default=None)
        return Place(own, frozenset(foreign))


def _is_own(physical: str, described: PhysicalCollection) -> bool:
    return physical == physical_name(name_behind(physical), described.model_fingerprint)
