"""Calls about collections and what is in them: bounded, counted, and noted where somebody has to answer for them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from trivium_gateway.metering.kinds import Operation
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trivium_serving.pulse import Pulse

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.request.call_limit import CallLimit
    from trivium_gateway.request.principal import Principal

__all__ = ["CollectionCalls"]


class CollectionCalls:
    """Lets calls in.

    Args:
        collections: All collections.
        calls: Bounds them.
        quotas: Counts what is used, and limits it.
        audit: Notes who changed what.
        qdrant: Whether Qdrant answers at all.
    """

    def __init__(
        self, collections: Collections, calls: CallLimit, quotas: Quotas, audit: AuditLog, qdrant: Pulse
    ) -> None:
        self._collections = collections
        self._calls = calls
        self._quotas = quotas
        self._audit = audit
        self._qdrant = qdrant

    @asynccontextmanager
    async def call(self, principal: Principal, scope: Scope) -> AsyncIterator[Collections]:
        """The collections, for one call about them or what is in them.

        Raises:
            PermissionDenied: The principal lacks the scope.
            QuotaExceeded: It has used what it may.
            Overloaded: There are too many calls.
            DeadlineExceeded: The call's time is over.
        """
        principal.require(scope)
        await self._quotas.begin(principal, Operation.OTHER)
        async with self._calls.call(principal.tenant), self._qdrant.waiting():
            yield self._collections

    async def permit(self, principal: Principal, scope: Scope, action: str, name: str) -> None:
        """Refuses what a principal may not do, and notes that; see AuditLog.permit."""
        await self._audit.permit(principal, scope, action, collection=name)

    @asynccontextmanager
    async def noted(
        self, principal: Principal, action: str, name: str, scope: Scope = Scope.ADMIN
    ) -> AsyncIterator[Collections]:
        """The collections, for a call that changes one of them, or takes it out, and is noted; see `call`."""
        async with self._audit.action(principal, action, collection=name), self.call(principal, scope) as them:
            yield them
