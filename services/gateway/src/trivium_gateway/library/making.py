"""Creates, completes and deletes the collections behind aliases."""

import asyncio

from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import AlreadyExists, NotFound, Unavailable

from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.names import name_of, physical_name
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection, Place
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.collections import QdrantCollections

__all__ = ["CollectionMaker"]


class CollectionMaker:
    """Every step may be repeated, by any gateway.

    Args:
        qdrant: Where collections are.
        lookup: Finds them.
        embed: Says which model runs now.
    """

    def __init__(self, qdrant: QdrantCollections, lookup: CollectionLookup, embed: EmbedClient) -> None:
        self._qdrant = qdrant
        self._lookup = lookup
        self._embed = embed

    async def complete(self, alias: str, place: Place) -> OwnCollection:
        """Create a collection, or what its creation has left out.

        Args:
            alias: Its alias.
            place: What stands there now.

        Raises:
            AlreadyExists: Something of another application stands there (COLLECTION_NAME_TAKEN).
            Unavailable: Qdrant or the embed service cannot be reached, or somebody deletes it at the same time.
        """
        try:
            physical = await self._prepare(alias, place)
            if place.own is None or not place.own.has_alias:
                # Last: whoever finds the alias finds the collection complete.
                await self._qdrant.point_alias(alias, physical)
            own = (await self._lookup.look(alias)).own
        except NotFound as error:
            raise _deleted_meanwhile(alias) from error
        if own is None:
            raise _deleted_meanwhile(alias)
        return own

    async def delete(self, alias: str) -> bool:
        """Delete all that belongs to a collection.

        Args:
            alias: Its alias.

        Returns:
            Whether there was anything.

        Raises:
            Unavailable: Not everything was deleted; repeat it.
        """
        # What an earlier model left behind goes, too; and what the alias points to last, so that if this breaks off
        # the collection is still there to be deleted.
        owned = await self._lookup.owned(alias)
        for physical in owned:
            if not await self._qdrant.delete(physical):
                await self._check_is_gone(alias, physical)
        return bool(owned)

    async def _prepare(self, alias: str, place: Place) -> str:
        if place.own is not None:
            await self._qdrant.index_system_fields(place.own.physical)
            return place.own.physical
        model = await self._embed.model()
        made = IndexMaking(model.name, model.fingerprint, model.dimension, ANALYZER_VERSION)
        physical = physical_name(alias, made.fingerprint, made.analyzer, made.language, made.generation)
        taken = place.foreign & {alias, physical}
        if taken:
            raise _taken(alias, *taken)
        await self._qdrant.create(physical, made)
        return physical

    async def _check_is_gone(self, alias: str, physical: str) -> None:
        """See whether a collection that Qdrant did not find to delete is deleted, as by another gateway.

        Raises:
            Unavailable: It is not.
        """
        aliases, names = await asyncio.gather(self._qdrant.aliases(), self._qdrant.names())
        if physical in names or physical in aliases.values():
            raise Unavailable(
                f"Qdrant cannot delete the collection {name_of(alias)!r} now, and has not. Try again.",
                reason="COLLECTION_UNAVAILABLE",
            )


def _deleted_meanwhile(alias: str) -> Unavailable:
    return Unavailable(
        f"The collection {name_of(alias)!r} was deleted while it was created. Try again.",
        reason="COLLECTION_UNAVAILABLE",
    )


def _taken(alias: str, *taken: str) -> AlreadyExists:
    return AlreadyExists(
        f"Qdrant has {' and '.join(repr(one) for one in sorted(taken))}, which is another application's, and Trivium "
        f"leaves it alone. Give the collection another name than {name_of(alias)!r}, or remove that from Qdrant.",
        reason="COLLECTION_NAME_TAKEN",
    )
