"""What Qdrant has under the alias of a collection, and what of it is Trivium's."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from trivium_serving.errors import NotFound, TriviumError, Unavailable

from trivium_gateway.domain.names import alias_behind, name_and_tenant, name_of, physical_name
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
    """What stands in Qdrant under one alias.

    Attributes:
        own: The collection of this alias; None if there is none.
        foreign: Aliases and collections of other applications that stand where this one's would.
    """

    own: OwnCollection | None
    foreign: frozenset[str]


class CollectionLookup:
    """Finds collections by their aliases, see `alias_of`.

    A collection is Trivium's if its name is made of its alias and of what its metadata say it was made with, and if no
    other alias points to it. All others are never shown, written to or deleted.

    Of one that Qdrant cannot read the fingerprint is not known. There the alias decides: Trivium alone makes an alias
    `<alias>` for a collection `<alias>__<12 characters>`. Without it, such a collection is left alone.

    Args:
        qdrant: Where they are.
    """

    def __init__(self, qdrant: QdrantCollections) -> None:
        self._qdrant = qdrant

    async def look(self, alias: str, aliases: Mapping[str, str] | None = None) -> Place:
        """See what stands under an alias.

        Args:
            alias: The alias.
            aliases: All aliases, if they were asked for a moment ago.

        Raises:
            FailedPrecondition: The collection is damaged (COLLECTION_DAMAGED).
            Unavailable: Qdrant knows the collection and cannot open it now (COLLECTION_UNAVAILABLE), or cannot be
                reached. None of these means that there is none.
        """
        for _ in range(_ATTEMPTS):
            target = (await self._qdrant.aliases() if aliases is None else aliases).get(alias)
            if target is not None and alias_behind(target) != alias:
                return Place(None, frozenset((alias,)))
            try:
                if target is not None:
                    described = await self._qdrant.describe(target)
                    if not _is_own(target, described):
                        return Place(None, frozenset((alias,)))
                    return Place(OwnCollection(target, described, has_alias=True), frozenset())
                return await self._look_without_alias(alias)
            except NotFound:  # deleted since
                aliases = None
        raise Unavailable(
            f"The collection {name_of(alias)!r} is being deleted and created all the time. Try again.",
            reason="COLLECTION_UNAVAILABLE",
        )

    async def see(self, alias: str, aliases: Mapping[str, str] | None = None) -> OwnCollection | TriviumError | None:
        """See the collection of an alias, whether or not Qdrant can read it.

        Args:
            alias: The alias.
            aliases: All aliases, if they were asked for a moment ago.

        Returns:
            The collection, or why it cannot be read; None if there is none, or one that cannot be read and may not be
            Trivium's.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        try:
            return (await self.look(alias, aliases)).own
        except TriviumError as error:
            if state_told_by(error) is None:
                raise
            target = (await self._qdrant.aliases() if aliases is None else aliases).get(alias, "")
            return error if alias_behind(target) == alias else None

    async def owned(self, alias: str) -> list[str]:
        """List the physical collections of Trivium's that belong to an alias; earlier models leave some behind.

        Returns:
            Their names, the one that the alias points to last. Those that are damaged are among them.

        Raises:
            Unavailable: One of them is not open yet.
            TriviumError: Qdrant cannot be reached; or something cannot be read that may not be Trivium's.
        """
        aliases, names = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        target = aliases.get(alias)
        if target is not None and alias_behind(target) != alias:
            return []
        named = {physical for physical in names if alias_behind(physical) == alias} | ({target} if target else set())
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

    async def replaced(self, own: OwnCollection) -> list[str]:
        """List the physical collections of its alias it was copied from as it is, which nobody asks any more."""
        found = []
        for physical in await self.owned(alias_behind(own.physical)):
            if physical != own.physical:
                with contextlib.suppress(NotFound):
                    described = await self._qdrant.describe(physical)
                    made, now = described.made, own.described.made
                    if (made.fingerprint, made.generation) == (now.fingerprint, now.generation):
                        found.append(physical)
        return found

    async def all(self, tenant: str | None = None) -> dict[str, OwnCollection | TriviumError]:
        """Find all collections, by their aliases, in the order of these.

        Args:
            tenant: Whose collections; None for every tenant's.

        Returns:
            Each collection, or why it cannot be read. What cannot be read and may not be Trivium's is left out.

        Raises:
            Unavailable: Qdrant cannot be reached.
        """
        targets, physical = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        aliased = {alias for alias, target in targets.items() if alias_behind(target) == alias}
        found = sorted((aliased | {alias_behind(one) for one in physical}) - {""})
        wanted = [alias for alias in found if tenant in (None, name_and_tenant(alias)[1])]
        at_once = asyncio.Semaphore(_LOOKS_AT_ONCE)

        async def see(alias: str) -> OwnCollection | TriviumError | None:
            async with at_once:
                return await self.see(alias, targets)

        seen = await asyncio.gather(*map(see, wanted))
        return {alias: one for alias, one in zip(wanted, seen, strict=True) if one is not None}

    async def _look_without_alias(self, alias: str) -> Place:
        owned: list[OwnCollection] = []
        foreign: set[str] = set()
        for physical in await self._qdrant.names():
            if physical == alias:
                foreign.add(physical)
            elif alias_behind(physical) == alias:
                described = await self._qdrant.describe(physical)
                if _is_own(physical, described):
                    owned.append(OwnCollection(physical, described, has_alias=False))
                else:
                    foreign.add(physical)
        # Of several, the one that has the data.
        own = max(owned, key=lambda one: (one.described.point_count, one.physical), default=None)
        return Place(own, frozenset(foreign))


def _is_own(physical: str, described: PhysicalCollection) -> bool:
    made = described.made
    name = physical_name(
        alias_behind(physical), made.fingerprint, made.analyzer, made.language, made.generation, made.learned
    )
    return physical == name
