"""Deletes documents of a collection that were written last before some moment."""

from collections.abc import Sequence

from trivium_serving.errors import NotFound

from trivium_gateway.domain.readers import whole
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.versions import begun_at

__all__ = ["Expiry"]

_EXPIRED_AT_ONCE = 256


class Expiry:
    """Deletes what is old.

    Args:
        chunks: Where documents are.
        locks: One writer at a time for each document.
        originals: Where the files are kept that they came in.
    """

    def __init__(self, chunks: ChunkStore, locks: KeyedLocks, originals: Originals) -> None:
        self._chunks = chunks
        self._locks = locks
        self._originals = originals

    async def expire(self, collection: ResolvedCollection, before: float) -> int:
        """Delete documents that were written last before some moment, whoever may read them.

        One that is written again meanwhile stays. One of which nobody knows when it was written stays, too.

        Args:
            collection: Whose documents.
            before: The moment, Unix time.

        Returns:
            How many were deleted.
        """
        tenant, offset, count = collection.tenant, "", 0
        while True:
            heads, offset = await self._chunks.page_of_heads(
                collection, offset=offset, limit=_EXPIRED_AT_ONCE, reader=whole(tenant)
            )
            old = list(dict.fromkeys(head.document_id for head in heads if _is_older(head.version, before)))
            if old:
                count += await self._expire_some(collection, old, before)
            if not offset:
                return count

    async def _expire_some(self, collection: ResolvedCollection, ids: Sequence[str], before: float) -> int:
        count = 0
        # Another index has copies, which may be younger than what they are copies of.
        for place in filter(None, (collection.other(), collection)):
            try:
                async with self._locks.hold((place.physical, place.tenant, one) for one in ids):
                    stored = await self._chunks.versions(collection, ids, collection.tenant)
                    gone = [one for one in ids if one in stored and _is_older(stored[one].current() or "", before)]
                    found = await self._chunks.versions(place, gone, place.tenant)
                    await self._originals.forget(place, gone)
                    dead = [version for versions in found.values() for version in versions.dead()]
                    await self._chunks.delete_versions(place, dead, place.tenant)
                    count = len(gone)
            except NotFound:  # the other index is not there yet, or not any more
                continue
        return count


def _is_older(version: str, moment: float) -> bool:
    begun = begun_at(version)
    return begun is not None and begun < moment
