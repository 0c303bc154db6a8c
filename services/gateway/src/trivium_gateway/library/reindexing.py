"""Makes collections anew from their stored text, with the analyzer that this version of Trivium has."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from trivium_serving.errors import NotFound

from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.comparison import IndexComparison
from trivium_gateway.domain.names import alias_of
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.lookup import CollectionLookup, OwnCollection
from trivium_gateway.library.resolved import ResolvedCollection, resolved
from trivium_gateway.library.versions import ABANDONED_SECONDS, age_seconds
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.qdrant.coding import ChunkCoder
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.copying import PointCopier, SeenPoint
from trivium_gateway.qdrant.words import StoredWords, stored_words

__all__ = ["ReindexProgress", "Reindexer"]

_PAGE = 256
_EMBEDDED_AT_A_TIME = 64
_EMBED_TIMEOUT_SECONDS = 120.0
_MOST_PASSES = 5


@dataclass(frozen=True, slots=True)
class ReindexProgress:
    """How far a collection has come.

    Attributes:
        done: Whether it is searched by the new index.
        done_count: How many of its pieces are there, roughly.
        total_count: How many it has, roughly.
        is_held: Whether its new index is there and does not answer, because it finds less than the one before.
        is_same_model: Whether the model that was asked for makes the vectors that it has, so that there was nothing to
            do.
        comparison: How its index and the one before answer the same questions; None if they were not compared.
    """

    done: bool
    done_count: int
    total_count: int
    is_held: bool = False
    is_same_model: bool = False
    comparison: IndexComparison | None = None


@dataclass(slots=True)
class _Run:
    """A collection on its way.

    Attributes:
        copier: From the index that answers to the one that will.
        total_count: How many points there are, roughly.
        offset: Where this pass goes on; empty at its beginning.
        passes: How many were made.
        seen_count: How many points this pass has seen.
        copied_count: How many of them it had to copy.
        heads: The chunks 0 that the new index has from the old one.
    """

    copier: PointCopier
    total_count: int
    offset: str = ""
    passes: int = 0
    seen_count: int = 0
    copied_count: int = 0
    heads: set[SeenPoint] = field(default_factory=set)


class Reindexer:
    """Copies a collection into a new physical collection, with its vectors as they are and its words made anew.

    Chunks that were stored without the vectors of their tokens get them, if the embed service gives any and runs the
    collection's model: their texts are embedded for it. Where that is all that is lacking, they get them in place.

    The collection answers from the old one, and is written there, while passes over it copy until one finds nothing
    new. Then the alias is pointed to the new one, what was written since follows, and the old one is deleted. Nothing
    is lost wherever that breaks off: until the alias moves the old one has everything; after it the new one has all but
    what was written in the last moments, and the old one is still there. The next call goes on.

    Who writes to a collection that has a successor looks after each write whether it has moved, and then writes again
    (`Collections.moved`); who deletes does so in both. So that this holds with several gateways, too.

    Args:
        connection: To Qdrant.
        collections: Finds collections.
        embed: Gives the vectors of tokens.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        collections: Collections,
        embed: EmbedClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._collections = collections
        self._embed = embed
        self._qdrant = QdrantCollections(connection, collections.distribution)
        self._lookup = CollectionLookup(self._qdrant)
        self._clock = clock
        self._runs: dict[str, _Run] = {}
        self._coded_up_to: dict[str, str] = {}
        self._locks = KeyedLocks()

    async def reindex(self, name: str, *, tenant: str, seconds: float) -> ReindexProgress:
        """Work on a collection for a while. Call it until it is done.

        Args:
            name: Its name.
            tenant: Whose it is.
            seconds: About how long to work at most.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            TriviumError: Qdrant or the embed service cannot be reached, or there is no room for a second index.
                Nothing is lost.
        """
        until = self._clock() + seconds
        alias = alias_of(tenant, name)
        async with self._locks.hold([(alias,)]):
            try:
                return await self._work(name, tenant, until)
            except NotFound:  # deleted since
                self._runs.pop(alias, None)
                raise

    async def _work(self, name: str, tenant: str, until: float) -> ReindexProgress:
        alias = alias_of(tenant, name)
        own = await self._collections.own(name, tenant=tenant)
        if resolved(own).successor() is not None:
            run = self._runs.get(alias)
            if run is None or run.copier.source != own.physical:
                run = self._runs[alias] = await self._begin(own)
            while not await self._copy_page(run):
                if self._clock() >= until:
                    return ReindexProgress(False, min(run.seen_count, run.total_count), run.total_count)
            latest = await self._collections.own(name, tenant=tenant)
            await self._index_keys(latest, run)
            await self._qdrant.keep_settings(run.copier.target, latest.described.settings)
            await self._qdrant.keep_embedder(run.copier.target, latest.described.embedded_by)
            if latest.described.is_restricted:
                await self._qdrant.restrict(run.copier.target)
            await self._qdrant.point_alias(alias, run.copier.target)
            own = await self._collections.own(name, tenant=tenant)
        await self._finish(alias, own)
        return await self._add_codes(alias, tenant, own, until)

    async def _add_codes(self, alias: str, tenant: str, own: OwnCollection, until: float) -> ReindexProgress:
        """Give chunks where they are the token codes that they lack, page by page."""
        count = own.described.point_count
        codes_of = await self._coder(own.described.embedded_by or own.described.made.fingerprint)
        if codes_of is None:
            return ReindexProgress(True, count, count)
        await self._qdrant.index_system_fields(own.physical)
        coder = ChunkCoder(self._connection, own.physical, tenant)
        offset = self._coded_up_to.pop(alias, "")
        while True:
            chunks, offset = await coder.page(offset, _EMBEDDED_AT_A_TIME)
            lacking = [one for one in chunks if not one.token_codes]
            codes = dict(zip([one.id for one in lacking], await codes_of([one.chunk for one in lacking]), strict=True))
            await coder.add(chunks, [one.token_codes or codes[one.id] for one in chunks])
            if not offset:
                return ReindexProgress(True, count, count)
            if self._clock() >= until:
                self._coded_up_to[alias] = offset
                return ReindexProgress(False, await self._qdrant.count_coded(own.physical, whole(tenant)), count)

    async def _begin(self, own: OwnCollection) -> _Run:
        described = own.described
        successor = resolved(own).successor()
        assert successor is not None  # its analyzer is another one, or its language
        copier = await self._copier(own.physical, successor, described.made.fingerprint)
        run = _Run(copier, described.point_count)
        await self._qdrant.create(successor.physical, successor.made)
        await self._index_keys(own, run)
        return run

    async def _copier(self, source: str, target: ResolvedCollection, fingerprint: str) -> PointCopier:
        def words_of(chunk: Chunk) -> StoredWords | None:
            return stored_words(chunk.indexed_text, target.word_rules)

        return PointCopier(self._connection, source, target.physical, words_of, await self._coder(fingerprint))

    async def _coder(self, fingerprint: str) -> Callable[[Sequence[Chunk]], Awaitable[list[bytes]]] | None:
        """What makes token codes of a model's chunks; None if nobody does."""
        embed = await self._embed.of(fingerprint)
        model = await embed.model()
        if not model.gives_codes or model.fingerprint != fingerprint:
            return None

        async def codes_of(chunks: Sequence[Chunk]) -> list[bytes]:
            codes: list[bytes] = []
            for start in range(0, len(chunks), _EMBEDDED_AT_A_TIME):
                some = chunks[start : start + _EMBEDDED_AT_A_TIME]
                embedded = await embed.embed_documents(
                    [chunk.indexed_text for chunk in some],
                    expected_fingerprint=fingerprint,
                    timeout_seconds=_EMBED_TIMEOUT_SECONDS,
                )
                codes += embedded.token_codes
            return codes

        return codes_of

    async def _index_keys(self, own: OwnCollection, run: _Run) -> None:
        for key, kind in own.described.metadata_kinds.items():
            await self._qdrant.index_metadata_key(run.copier.target, key, kind)

    async def _copy_page(self, run: _Run) -> bool:
        """Copy what the new index lacks of one page; whether it lacks nothing of any."""
        points, run.offset = await run.copier.page(run.offset, _PAGE)
        there = await run.copier.seen(run.copier.target, [point.id for point in points])
        missing = [point.id for point in points if there.get(point.id) != point]
        if missing:
            await run.copier.copy(missing)
        run.heads |= {point for point in points if point.is_head}
        run.seen_count += len(points)
        run.copied_count += len(missing)
        if run.offset:
            return False
        run.passes += 1
        is_last = not run.copied_count or run.passes == _MOST_PASSES
        run.seen_count = run.copied_count = 0
        return is_last

    async def _finish(self, alias: str, own: OwnCollection) -> None:
        """Copy what was written last to an index that does not answer any more, and delete it."""
        run = self._runs.get(alias)
        for physical in await self._lookup.replaced(own):
            copier = await self._copier(physical, resolved(own), own.described.made.fingerprint)
            # Until then other gateways believe that it answers.
            await asyncio.sleep(self._collections.remember_seconds)
            newest_age = 0.0 if run else await _newest_age_seconds(copier)
            async for points in copier.pages(_PAGE):
                there = await copier.seen(own.physical, [point.id for point in points])
                late = [point.id for point in points if _is_late(point, there.get(point.id), run, newest_age)]
                if late:
                    await copier.copy(late)
            await self._qdrant.delete(physical)
        self._runs.pop(alias, None)


async def _newest_age_seconds(copier: PointCopier) -> float:
    """The age of what was written last to the index that does not answer any more."""
    ages = [age_seconds(point.version) async for points in copier.pages(_PAGE) for point in points if point.is_head]
    return min(ages, default=0.0)


def _is_late(point: SeenPoint, there: SeenPoint | None, run: _Run | None, newest_age_seconds: float) -> bool:
    """Whether a point of the old index is to replace what the new one has in its place.

    Args:
        point: The old index's.
        there: The one that the new one has; None if it has none.
        run: What was copied before; None if that was in another process, which broke off.
        newest_age_seconds: The age of the old one's newest version.
    """
    if not point.is_head:
        return there is None
    if run is not None:
        return point not in run.heads and (there is None or there in run.heads)
    # Only what was written shortly before can be missing; what is older and not there was deleted since. What is not
    # older may be either, and is rather kept.
    age = age_seconds(point.version)
    return age < newest_age_seconds + ABANDONED_SECONDS and (there is None or age < age_seconds(there.version))
