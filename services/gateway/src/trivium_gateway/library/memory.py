"""What was found out about collections a moment ago, so that not every request asks Qdrant for it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trivium_gateway.domain.comparison import IndexComparison
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.resolved import ResolvedCollection, resolved

__all__ = ["CollectionMemory", "KnownCollection"]


@dataclass(frozen=True, slots=True)
class KnownCollection:
    """What was found out about a collection, and until when to believe it.

    Attributes:
        collection: Where it is.
        metadata_kinds: Its metadata keys.
        is_complete: Whether its creation left nothing out.
        expires_at: When to ask anew, on the memory's clock.
        comparison: How its index and the one before answered the same questions; None if they were not compared.
    """

    collection: ResolvedCollection
    metadata_kinds: Mapping[str, MetadataKind]
    is_complete: bool
    expires_at: float
    comparison: IndexComparison | None = None


class CollectionMemory:
    """Remembers collections, by their aliases, for a few seconds.

    Args:
        lookup: Finds what is not remembered.
        remember_seconds: How long to believe what was found out, unless an error shows otherwise.
        clock: Seconds that never go back.
    """

    def __init__(
        self, lookup: CollectionLookup, remember_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.remember_seconds = remember_seconds
        self._lookup = lookup
        self._clock = clock
        self._known: dict[str, KnownCollection] = {}

    @property
    def aliases(self) -> Iterable[str]:
        """Of all that is remembered, whether or not it is still believed."""
        return tuple(self._known)

    async def recall(self, alias: str, *, fresh: bool = False) -> KnownCollection | None:
        """Say what is behind an alias, if it may be known from before.

        Args:
            alias: The alias.
            fresh: Whether to ask Qdrant even if an answer is remembered.

        Returns:
            The collection; None if there is none.

        Raises:
            TriviumError: See `CollectionLookup.look`.
        """
        known = self._known.get(alias)
        if known is not None and not fresh and self._clock() < known.expires_at:
            return known
        own = (await self._lookup.look(alias)).own
        if own is None:
            self.forget(alias)
            return None
        return self.remember(alias, own)

    def remember(self, alias: str, own: OwnCollection) -> KnownCollection:
        """Take note of what was found."""
        described = own.described
        known = KnownCollection(
            resolved(own),
            described.metadata_kinds,
            own.has_alias and described.is_indexed,
            self._clock() + self.remember_seconds,
            described.comparison,
        )
        self._known[alias] = known
        return known

    def forget(self, alias: str) -> None:
        """Look it up anew next time."""
        self._known.pop(alias, None)
