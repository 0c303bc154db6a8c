"""Changes who may read documents, without touching their texts and vectors."""

from collections.abc import Mapping, Sequence

from trivium_serving.errors import NotFound

from trivium_gateway.domain.ids import canonical_id, checked_ids
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import EVERYONE, Reader, Readers, checked_readers
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.resolved import ResolvedCollection

__all__ = ["Permissions"]


class Permissions:
    """Says who may read documents.

    Args:
        collections: Take note that they have documents which not everyone may read.
        chunks: Where these are.
        locks: Shared with all who write.
        limits: What is allowed.
    """

    def __init__(self, collections: Collections, chunks: ChunkStore, locks: KeyedLocks, limits: GatewayLimits) -> None:
        self._collections = collections
        self._chunks = chunks
        self._locks = locks
        self._limits = limits

    async def change(
        self, collection: ResolvedCollection, document_ids: Sequence[str], readers: Sequence[str], *, reader: Reader
    ) -> list[str]:
        """Change who may read documents, and what is in them; those that do not exist are passed over.

        Args:
            collection: Where they are.
            document_ids: The documents.
            readers: Who shall read them, unchecked; see `checked_readers`.
            reader: As whom; documents that it may not read do not exist.

        Returns:
            The ids of those that were there, in the order given, each once, in canonical form.

        Raises:
            InvalidField: No id is given, one is not a possible id, or one of the readers is none.
            TooLarge: There are more ids or readers than are allowed.
        """
        wanted = checked_readers(readers, self._limits)
        unique = checked_ids(document_ids, self._limits)
        if wanted is not EVERYONE:
            await self._collections.restrict(collection)
        there = await self._change(collection, unique, wanted, reader)
        now = await self._collections.moved(collection)
        if now.indexes != collection.indexes:  # another index answers, or is filled, since
            there |= await self._change(now, unique, wanted, reader)
        return list(dict.fromkeys(canonical_id(one) for one in unique if one in there))

    async def _change(
        self, collection: ResolvedCollection, ids: Sequence[str], wanted: Readers, reader: Reader
    ) -> set[str]:
        tenant = reader.tenant
        async with self._locks.hold((collection.physical, tenant, one) for one in ids):
            versions = await self._chunks.versions(collection, ids, tenant)
            there = {one for one, stored in versions.items() if stored.heads and reader.may_read(stored.readers)}
            await self.permit(collection, dict.fromkeys(there, wanted), tenant)
        within = await self._chunks.within(collection, sorted(there), tenant)
        if within:
            await self._change(collection, within, wanted, Reader(tenant, None))
        return there

    async def permit(self, collection: ResolvedCollection, wanted: Mapping[str, Readers], tenant: str) -> None:
        """Change who may read documents, whose locks the caller holds.

        Args:
            collection: Where they are.
            wanted: Who shall read them, by document.
            tenant: Whose they are.
        """
        if not wanted:
            return
        # Another index may have copies of these documents, or be the one that answers by now.
        for place in collection.places():
            try:
                versions = await self._chunks.versions(place, sorted(wanted), tenant)
            except NotFound:
                if place is collection:
                    raise
                continue
            alike: dict[tuple[Readers, Readers], list[str]] = {}
            for document_id, stored in versions.items():
                for version, head in stored.heads.items():
                    alike.setdefault((head.readers, wanted[document_id]), []).append(version)
            for (before, after), those in alike.items():
                await self._chunks.permit(place, those, before, after, tenant)
