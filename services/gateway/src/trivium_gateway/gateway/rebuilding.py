"""Makes the indexes of collections anew, for whoever may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from trivium_gateway.gateway.calls import CollectionCalls
    from trivium_gateway.gateway.metered import BulkMeter
    from trivium_gateway.ingestion.rebuilding.change import ModelChange
    from trivium_gateway.ingestion.rebuilding.models import RebuildingEstimate
    from trivium_gateway.library.descriptions import CollectionDescription
    from trivium_gateway.library.reindexing import Reindexer, ReindexProgress
    from trivium_gateway.request.principal import Principal

__all__ = ["Rebuilding"]

_REINDEX_SECONDS = 10.0
"""How long one call works on a collection that is made anew. Those who wait for it see that it goes on."""


class Rebuilding:
    """Indexes of collections.

    Args:
        calls: Lets calls in.
        reindexer: Makes collections anew.
        model_change: Gives them another model.
        meter: Counts what is embedded.
    """

    def __init__(
        self, calls: CollectionCalls, reindexer: Reindexer, model_change: ModelChange, meter: BulkMeter
    ) -> None:
        self._calls = calls
        self._reindexer = reindexer
        self._model_change = model_change
        self._meter = meter

    async def reindex(
        self, principal: Principal, name: str, *, model: str = "", force: bool = False
    ) -> ReindexProgress:
        """Makes a collection anew from its stored text, for about ten seconds a call.

        With another model if one is asked for, or was before: see ModelChange.work; else see Reindexer.reindex.
        """
        name = name or DEFAULT_COLLECTION
        async with self._calls.noted(principal, "collections.reindex", name):
            with self._meter.bulk(principal):
                changing = await self._model_change.work(
                    name, tenant=principal.tenant, model=model, force=force, seconds=_REINDEX_SECONDS
                )
                if changing is not None:
                    return changing
                return await self._reindexer.reindex(name, tenant=principal.tenant, seconds=_REINDEX_SECONDS)

    async def estimate(self, principal: Principal, name: str, model: str) -> RebuildingEstimate:
        """Says what a change of a collection's model would take; see ModelChange.estimate."""
        async with self._calls.call(principal, Scope.ADMIN):
            with self._meter.bulk(principal):
                return await self._model_change.estimate(
                    name or DEFAULT_COLLECTION, tenant=principal.tenant, model=model
                )

    async def roll_back(self, principal: Principal, name: str) -> CollectionDescription:
        """Has the index before the last change of the model answer again; see ModelChange.roll_back."""
        name = name or DEFAULT_COLLECTION
        async with self._calls.noted(principal, "collections.roll-back-index", name) as collections:
            await self._model_change.roll_back(name, tenant=principal.tenant)
            return await collections.get(name, reader=principal.reader)

    async def discard(self, principal: Principal, name: str) -> CollectionDescription:
        """Deletes the index beside the one that answers; see ModelChange.discard."""
        name = name or DEFAULT_COLLECTION
        async with self._calls.noted(principal, "collections.discard-index", name) as collections:
            await self._model_change.discard(name, tenant=principal.tenant)
            return await collections.get(name, reader=principal.reader)
