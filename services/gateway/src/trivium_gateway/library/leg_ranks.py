"""At which rank each leg of a search would have found a document, however far down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.qdrant.legs import dense_leg, find, learned_leg, sparse_leg
from trivium_gateway.qdrant.points import scoped_filter
from trivium_gateway.qdrant.words import asked_words

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from trivium_gateway.domain.filters import Filter
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.domain.sparse_weights import SparseWeights
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.qdrant.connection import QdrantConnection

DEPTH = 10_000
"""How far down a leg is followed."""


class LegRanks:
    """Follows the legs of a search far down.

    Args:
        connection: To Qdrant.
    """

    def __init__(self, connection: QdrantConnection) -> None:
        self._connection = connection

    async def of(
        self,
        chunk_ids: Collection[str],
        collection: ResolvedCollection,
        *,
        vector: Sequence[float],
        learned: SparseWeights | None,
        text: str,
        focus: str,
        filter: Filter | None,  # noqa: A002 - the word of the interface
        timeout_seconds: float,
        reader: Reader,
    ) -> dict[str, int | None]:
        """The rank, from 1, of the first of some chunks in each leg; None where it is beyond DEPTH.

        A leg that would not run, since the query has no words, is left out.

        Args:
            chunk_ids: The chunks.
            collection: Where to search.
            vector: The query's vector.
            learned: Its learned sparse vector; None if it has none.
            text: Its text.
            focus: What a long text asks above all; empty for all of it.
            filter: Conditions on the chunks.
            timeout_seconds: Time for each leg.
            reader: As whom.

        Raises:
            TriviumError: Qdrant does not answer, or the words are another analyzer's.
        """
        scope = scoped_filter(reader, [], filter)
        legs = {"dense": dense_leg(vector, scope, collection.settings.now.settings)}
        words = asked_words(text, collection.word_rules, focus)
        if words is not None:
            legs["sparse"] = sparse_leg(words, scope, collection.corpus(reader))
        if learned is not None and learned.indices:
            legs["learned"] = learned_leg(learned, scope)
        ranks: dict[str, int | None] = {}
        for name, leg in legs.items():
            hits = await find(self._connection, collection.physical, leg, DEPTH, timeout_seconds=timeout_seconds)
            ranks[name] = next((rank for rank, hit in enumerate(hits, start=1) if hit.id in chunk_ids), None)
        return ranks
