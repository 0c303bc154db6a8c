"""Gives a collection another embedding model while it answers, and takes that back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, NotFound

from trivium_gateway.domain.indexes import IndexBeside, IndexRole
from trivium_gateway.domain.names import alias_of
from trivium_gateway.ingestion.rebuilding.passes import Passes, is_left, is_missing, lacks_all
from trivium_gateway.ingestion.rebuilding.run import ChangeRun, done
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.reindexing import ReindexProgress
from trivium_gateway.library.resolved import resolved
from trivium_gateway.qdrant.collections import QdrantCollections

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.ingestion.rebuilding.gate import Gate
    from trivium_gateway.ingestion.rebuilding.models import ModelFinder, RebuildingEstimate
    from trivium_gateway.ingestion.transferring import DocumentTransfer
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.lookup import OwnCollection
    from trivium_gateway.library.resolved import ResolvedCollection
    from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["ModelChange"]


class ModelChange:
    """Changes the model of collections.

    A second index is filled from the stored text, with the new model, the present analyzer and the present chunking,
    while the first one answers and is written. Passes over it bring what came meanwhile. Then both are asked the same
    questions, and if the new one does not find less by more than chance, the alias is pointed to it. The first one
    stays, to go back to, until it is discarded.

    Which indexes a collection has stands in the record of the one that answers (`IndexBeside`), and no other index is
    written before all gateways know of it. From then on who deletes, or says who may read, does so in both, and who
    writes looks after it whether the alias has moved, and then writes again (`Collections.moved`). So nothing is lost
    wherever this breaks off, with any number of gateways; the next call goes on.

    Args:
        connection: To Qdrant.
        collections: Finds collections.
        models: Finds the services of models.
        transfer: Brings documents from one index to another.
        gate: Compares indexes.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        collections: Collections,
        models: ModelFinder,
        transfer: DocumentTransfer,
        gate: Gate,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collections = collections
        self._qdrant = QdrantCollections(connection, collections.distribution)
        self._models = models
        self._transfer = transfer
        self._gate = gate
        self._clock = clock
        self._runs: dict[str, ChangeRun] = {}
        self._locks = KeyedLocks()

    async def work(self, name: str, *, tenant: str, model: str, force: bool, seconds: float) -> ReindexProgress | None:
        """Work on a collection for a while. Call it until it is done.

        Args:
            name: Its name.
            tenant: Whose it is.
            model: The model to change to, or the name of the service that runs it; empty to go on with what was begun,
                or to cut and embed the documents as the collection's settings say now.
            force: Whether to change even if the new index finds less.
            seconds: About how long to work at most.

        Returns:
            How far it is; None if there is nothing to do about its model.

        Raises:
            NotFound: There is no such collection (COLLECTION_NOT_FOUND).
            InvalidField: No service runs the model (MODEL_NOT_SERVED).
            FailedPrecondition: Another change goes on (REINDEX_RUNNING), or the index before is still kept
                (OTHER_INDEX_KEPT).
            TriviumError: Something cannot be reached, or there is no room. Nothing is lost.
        """
        until = self._clock() + seconds
        alias = alias_of(tenant, name)
        async with self._locks.hold([(alias,)]):
            try:
                return await self._work(alias, name, tenant, model, until, force=force)
            except NotFound:  # deleted since
                self._runs.pop(alias, None)
                raise

    async def estimate(self, name: str, *, tenant: str, model: str) -> RebuildingEstimate:
        """Say what a change would take; see ModelFinder.estimate."""
        return await self._models.estimate(model, await self._collections.own(name, tenant=tenant))

    async def roll_back(self, name: str, *, tenant: str) -> None:
        """Have the index before answer again, at once. What was written since the change is brought there by `work`.

        It may be repeated until `work` is done, as by who got no answer.

        Raises:
            NotFound: There is no such collection (COLLECTION_NOT_FOUND).
            FailedPrecondition: There is no index before (NO_EARLIER_INDEX).
        """
        alias = alias_of(tenant, name)
        async with self._locks.hold([(alias,)]):
            own = await self._collections.own(name, tenant=tenant)
            beside = own.described.beside
            if beside is not None and beside.role is IndexRole.LEFT:
                return
            if beside is None or beside.role is not IndexRole.PREVIOUS:
                raise _no_earlier(name)
            before = resolved(own).made_as(beside.made)
            try:
                await self._bring_facts(own, before)
                await self._qdrant.keep_beside(before.physical, IndexBeside(IndexRole.LEFT, own.described.made))
            except NotFound as error:
                raise _no_earlier(name) from error
            self._runs.pop(alias, None)
            await self._qdrant.point_alias(alias, before.physical)
            await self._collections.own(name, tenant=tenant)

    async def discard(self, name: str, *, tenant: str) -> None:
        """Delete the index beside the one that answers: the one before, or one that is being made.

        Raises:
            NotFound: There is no such collection (COLLECTION_NOT_FOUND).
            FailedPrecondition: The other one still has documents that this one lacks (REINDEX_RUNNING).
        """
        alias = alias_of(tenant, name)
        async with self._locks.hold([(alias,)]):
            own = await self._collections.own(name, tenant=tenant)
            beside = own.described.beside
            if beside is None:
                return
            if beside.role is IndexRole.LEFT or (beside.role is IndexRole.PREVIOUS and not beside.is_settled):
                raise FailedPrecondition(
                    f"The other index of {name!r} may have documents that are still to be brought over. Run `trivium "
                    f"reindex {name}`, which does that.",
                    reason="REINDEX_RUNNING",
                )
            self._runs.pop(alias, None)
            await self._qdrant.delete(resolved(own).made_as(beside.made).physical)
            await self._end(own, None)

    async def _work(
        self, alias: str, name: str, tenant: str, model: str, until: float, *, force: bool
    ) -> ReindexProgress | None:
        own = await self._collections.own(name, tenant=tenant)
        beside = own.described.beside
        if beside is None:
            made = None
            if model:
                made = await self._models.making_of(model, own)
            elif resolved(own).is_embedded_otherwise:
                made = await self._models.made_anew(own)
            if made is None:
                return None
            if isinstance(made, str):
                await self._qdrant.keep_embedder(own.physical, made)
                await self._collections.own(name, tenant=tenant)
                return ReindexProgress(True, own.described.point_count, own.described.point_count, is_same_model=True)
            beside = IndexBeside(IndexRole.NEXT, made)
            await self._end(own, beside)
        elif model:
            await self._models.check_is(model, beside, own)
        if beside.role is IndexRole.NEXT:
            return await self._fill(alias, own, beside, until, force=force)
        if beside.role is IndexRole.LEFT:
            return await self._bring_back(alias, own, beside, until)
        if not beside.is_settled:
            return await self._settle(alias, own, beside, until)
        if resolved(own).needs_reindex or (model and await self._models.made_anew(own) is not None):
            raise FailedPrecondition(
                f"The collection {name!r} still has its index of {beside.made.model}. Discard that, or go back to it, "
                "before it is made anew.",
                reason="OTHER_INDEX_KEPT",
            )
        return None

    async def _fill(
        self, alias: str, own: OwnCollection, beside: IndexBeside, until: float, *, force: bool
    ) -> ReindexProgress:
        now = resolved(own)
        run = self._run_with(alias, own, beside)
        if run is None:
            other = now.made_as(beside.made)
            await asyncio.sleep(self._collections.remember_seconds)  # until all gateways know of it
            await self._qdrant.create(other.physical, beside.made)
            await self._bring_facts(own, other)
            run = self._runs[alias] = ChangeRun(beside.role, other, Passes(self._transfer, now, other, lacks_all))
        if not await run.passes.go_on(until, self._clock):
            return run.progress(own)
        if run.comparison is None:
            run.comparing = run.comparing or await self._gate.begin(now, run.other)
            if not await run.comparing.go_on(until, self._clock):
                return run.progress(own)
            run.comparison = run.comparing.result()
        failures = sorted(run.passes.failures.items())
        comparison = replace(run.comparison, failed_count=len(failures), failed=tuple(failures[:_SHOWN_FAILURES]))
        if comparison != run.comparison or run.comparing is not None:
            await self._qdrant.keep_report(run.other.physical, comparison.to_text())
        run.comparison, run.comparing = comparison, None
        if comparison.is_worse and not force:
            return replace(run.progress(own), is_held=True)
        if not run.is_following:
            await self._bring_facts(own, run.other)
            run.passes, run.is_following = Passes(self._transfer, now, run.other, lacks_all), True
            return await self._fill(alias, own, beside, until, force=force)
        return await self._switch(alias, own, run, until)

    async def _switch(self, alias: str, own: OwnCollection, run: ChangeRun, until: float) -> ReindexProgress:
        name, tenant = run.other.name, run.other.tenant
        latest = await self._collections.own(name, tenant=tenant)
        if latest.physical != own.physical:  # another gateway was quicker
            return run.progress(own)
        await self._bring_facts(latest, run.other)
        previous = IndexBeside(IndexRole.PREVIOUS, own.described.made)
        await self._qdrant.keep_beside(run.other.physical, previous)
        await self._qdrant.point_alias(alias, run.other.physical)
        self._runs.pop(alias)
        now = await self._collections.own(name, tenant=tenant)
        return await self._settle(alias, now, previous, until)

    async def _settle(self, alias: str, own: OwnCollection, beside: IndexBeside, until: float) -> ReindexProgress:
        """Bring what was written last to the index before, while gateways believed that it answers."""
        run = await self._run_towards(alias, own, beside, is_missing)
        if not await run.passes.go_on(until, self._clock):
            return run.progress(own)
        await self._end(own, replace(beside, is_settled=True))
        self._runs.pop(alias)
        return replace(done(own), comparison=run.comparison)

    async def _bring_back(self, alias: str, own: OwnCollection, beside: IndexBeside, until: float) -> ReindexProgress:
        """Bring what was written to an index that was gone back from, and delete it."""
        run = await self._run_towards(alias, own, beside, is_left)
        if not await run.passes.go_on(until, self._clock):
            return run.progress(own)
        await self._qdrant.delete(run.other.physical)
        await self._end(own, None)
        self._runs.pop(alias)
        return done(own)

    async def _run_towards(
        self, alias: str, own: OwnCollection, beside: IndexBeside, lacks: Callable[[str, str | None], bool]
    ) -> ChangeRun:
        run = self._run_with(alias, own, beside)
        if run is None:
            now = resolved(own)
            other = now.made_as(beside.made)
            await asyncio.sleep(self._collections.remember_seconds)  # until then others believe that it answers
            run = self._runs[alias] = ChangeRun(beside.role, other, Passes(self._transfer, other, now, lacks, most=1))
            run.comparison = own.described.comparison
        return run

    def _run_with(self, alias: str, own: OwnCollection, beside: IndexBeside) -> ChangeRun | None:
        """What is known of a change that is where this one is; another gateway may have gone on with it meanwhile."""
        run = self._runs.get(alias)
        other = resolved(own).made_as(beside.made)
        return run if run and (run.role, run.other.physical) == (beside.role, other.physical) else None

    async def _bring_facts(self, own: OwnCollection, other: ResolvedCollection) -> None:
        """Bring what is noted of the collection itself to its other index."""
        for key, kind in own.described.metadata_kinds.items():
            await self._qdrant.index_metadata_key(other.physical, key, kind)
        await self._qdrant.keep_settings(other.physical, own.described.settings)
        if own.described.is_restricted:
            await self._qdrant.restrict(other.physical)

    async def _end(self, own: OwnCollection, beside: IndexBeside | None) -> None:
        await self._qdrant.keep_beside(own.physical, beside)
        known = resolved(own)
        await self._collections.own(known.name, tenant=known.tenant)


_SHOWN_FAILURES = 10


def _no_earlier(name: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The collection {name!r} has no index before the one that answers.", reason="NO_EARLIER_INDEX"
    )
