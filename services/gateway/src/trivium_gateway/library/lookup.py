"""What Qdrant has under the name of a collection, and what of it is Trivium's."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from trivium_serving.errors import NotFound, TriviumError, Unavailable

from trivium_gateway.domain.names import name_behind, physical_name
from trivium_gateway.library.descriptions import CollectionState, state_told_by
from trivium_gateway.qdrant.collections import PhysicalCollection, QdrantCollections

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

    A collection is Trivium's if its name is made of the name that people use and of what its metadata say it was made
    with, and if no alias but that name points to it. All others are never shown, written to or deleted.

    Of one that Qdrant cannot read the fingerprint is not known. There the alias decides: Trivium alone makes an alias
    `<name>` for a collection `<name>__<12 characters>`. Without the alias, such a collection is left alone.

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
            FailedPrecondition: The collection is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant knows the collection and cannot open it now (COLLECTION_UNAVAILABLE), or cannot be
                reached. None of these means that there is none.
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

    async def see(self, name: str, aliases: Mapping[str, str] | None = None) -> OwnCollection | TriviumError | None:
        """See the collection of a name, whether or not Qdrant can read it.

        Args:
            name: The name.
            aliases: All aliases, if they were asked for a moment ago.

        Returns:
            The collection, or why it cannot be read; None if there is none, or one that cannot be read and may not be
            Trivium's.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        try:
            return (await self.look(name, aliases)).own
        except TriviumError as error:
            if state_told_by(error) is None:
                raise
            target = (await self._qdrant.aliases() if aliases is None else aliases).get(name, "")
            return error if name_behind(target) == name else None

    async def owned(self, name: str) -> list[str]:
        """List the physical collections of Trivium's that belong to a name; earlier models leave some behind.

        Returns:
            Their names, the one that the alias points to last. Those that are damaged are among them.

        Raises:
            Unavailable: One of them is not open yet.
            TriviumError: Qdrant cannot be reached; or something cannot be read that may not be Trivium's.
        """
        aliases, names = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        target = aliases.get(name)
        if target is not None and name_behind(target) != name:
            return []
        named = {physical for physical in names if name_behind(physical) == name} | ({target} if target else set())
        owned = []
        for physical in sorted(named, key=lambda one: (one == target, one)):
            try:
                if _is_own(physical, await self._qdrant.describe(physical)):
                    owned.append(physical)
                elif physical == target:
                    return []
            except NotFound:  # deleted since
                continue
            except TriviumError as error:
                if target is None or state_told_by(error) in (None, CollectionState.OPENING):
                    raise
                owned.append(physical)
        return owned

    async def all(self) -> dict[str, OwnCollection | TriviumError]:
        """Find all collections, by the names that people use, in the order of these.

        Returns:
            Each collection, or why it cannot be read. What cannot be read and may not be Trivium's is left out.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        aliases, physical = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        aliased = {name for name, target in aliases.items() if name_behind(target) == name}
        names = sorted((aliased | {name_behind(one) for one in physical}) - {""})
        at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def see(name: str) -> OwnCollection | TriviumError | None:
            async with at_once:
                return await self.see(name, aliases)

        seen = await asyncio.gather(*(see(name) for name in names))
        return {name: one for name, one in zip(names, seen, strict=True) if one is not None}

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
    return physical == physical_name(name_behind(physical), described.model_fingerprint, described.analyzer)
