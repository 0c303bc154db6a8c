"""Usage and quotas for those who may see and change them: an `admin` its tenant's, an `operator` all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound, PermissionDenied, TriviumError

from trivium_gateway.domain.dates import LAST_MOMENT
from trivium_gateway.domain.names import check_tenant
from trivium_gateway.metering.kinds import LEAST_WEIGHT, MOST_WEIGHT, STORED_KINDS, Quota, parse_limits
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.access.guard import Guard
    from trivium_gateway.metering.kinds import Kind, Stored
    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.metering.store import MeterStore
    from trivium_gateway.request.principal import Principal

_HOUR_SECONDS = 3_600
_MOST_HOURS = 400 * 24
_COUNT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used within a time.

    Attributes:
        tenant: By which tenant.
        key_id: By which of its keys, or which user with a token.
        amounts: How much of what.
    """

    tenant: str
    key_id: str
    amounts: Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class Report:
    """Usage within a time, which is that of whole hours.

    Attributes:
        begin: Its beginning, in seconds since 1970.
        end: Its end.
        usage: By tenant and key, in the order of their names.
        stored: What each tenant has stored now; None if Qdrant cannot say.
    """

    begin: float
    end: float
    usage: tuple[Usage, ...]
    stored: Mapping[str, Stored] | None


@dataclass(frozen=True, slots=True)
class QuotaState:
    """A quota, and what is left of it.

    Attributes:
        quota: The quota.
        left: What is left of each limit in a time, as far as this gateway knows.
        is_own: Whether it was set; otherwise it is what the settings say.
    """

    quota: Quota
    left: Mapping[Kind, int]
    is_own: bool


class UsageBook:
    """Usage and quotas.

    Args:
        quotas: Counts usage and holds quotas.
        guard: Knows whose a key is.
        audit: Notes who changes quotas.
        count: Counts what a tenant has stored, or everybody.
    """

    def __init__(
        self,
        quotas: Quotas,
        guard: Guard,
        audit: AuditLog,
        count: Callable[[str | None], Awaitable[Mapping[str, Stored]]],
    ) -> None:
        self._quotas = quotas
        self._guard = guard
        self._audit = audit
        self._count = count

    async def usage(self, principal: Principal, *, begin: float, end: float, tenant: str = "") -> Report:
        """What was used within a time.

        Args:
            principal: Who asks.
            begin: Since when, in seconds since 1970; the hour in which that is counts.
            end: Until when; the hour in which that is counts, too.
            tenant: By whom; empty for all that the principal may see.

        Raises:
            PermissionDenied: It may see none, or not this tenant's.
            InvalidField: There is no such time, or it is longer than what is kept.
            FailedPrecondition: Nothing is counted (KEYS_ARE_OFF).
            Unavailable: It cannot be read.
        """
        self._check_counts()
        tenant = _visible(principal, tenant)
        first, last = int(begin) // _HOUR_SECONDS, -int(-end // _HOUR_SECONDS)
        if not 0 <= first < last <= int(LAST_MOMENT) // _HOUR_SECONDS:
            raise InvalidField("from", "It has to be before `to`, and both between 1970 and 9999.")
        if last - first > _MOST_HOURS:
            raise InvalidField("from", f"At most {_MOST_HOURS // 24} days can be asked for at once.")
        found: dict[tuple[str, str], dict[Kind, int]] = {}
        for (whose, key_id, kind), amount in (await self._quotas.used(first, last, tenant)).items():
            found.setdefault((whose, key_id), {})[kind] = amount
        usage = tuple(Usage(*place, amounts) for place, amounts in sorted(found.items()))
        stored: Mapping[str, Stored] | None = None
        with suppress(TriviumError, TimeoutError):  # what was used is known all the same
            async with asyncio.timeout(_COUNT_SECONDS):
                stored = await self._count(tenant or None)
        return Report(first * _HOUR_SECONDS, last * _HOUR_SECONDS, usage, stored)

    async def quotas(self, principal: Principal, tenant: str = "") -> list[QuotaState]:
        """The quotas that were set, and that of the principal's own tenant in any case.

        Args:
            principal: Who asks.
            tenant: Whose; empty for all that the principal may see.

        Raises:
            PermissionDenied: It may see none, or not this tenant's.
            FailedPrecondition: Nothing is counted (KEYS_ARE_OFF).
            Unavailable: They cannot be read.
        """
        self._check_counts()
        seen = _visible(principal, tenant)
        await self._quotas.load()
        places = {place for place in self._quotas.places() if seen in ("", place[0])} | {(seen or principal.tenant, "")}
        return [self._state(*place) for place in sorted(places)]

    async def set(
        self, principal: Principal, *, tenant: str, key_id: str = "", limits: Mapping[str, str], weight: float | None
    ) -> QuotaState:
        """Sets what a tenant or one of its keys may use, in place of what it was; takes that back if there is nothing.

        Args:
            principal: Who does: an operator; or an admin for a key of its tenant.
            tenant: Whose quota; empty for the principal's own tenant.
            key_id: Of which key; empty for the tenant as a whole.
            limits: By kind, such as 600/m.
            weight: The tenant's part of what tenants share; None to leave it.

        Raises:
            PermissionDenied: It may not.
            NotFound: The tenant has no such key (KEY_NOT_FOUND).
            InvalidField: A kind, a limit or a weight is none.
            FailedPrecondition: Nothing is counted (KEYS_ARE_OFF).
            Unavailable: It cannot be kept.
        """
        tenant = tenant or principal.tenant
        subject = f"{tenant}/{key_id}" if key_id else tenant
        async with self._audit.action(principal, "quotas.set", subject=subject):
            store = self._check_counts()
            _check_may_set(principal, tenant, key_id)
            check_tenant(tenant)
            if key_id and not set(STORED_KINDS).isdisjoint(limits):
                raise InvalidField("limits", "What is stored is a tenant's: it is limited for all of its keys at once.")
            if key_id and not self._guard.knows(key_id, tenant):
                raise NotFound(f"There is no key {key_id[:40]!r}. List those that there are.", reason="KEY_NOT_FOUND")
            try:
                parsed = parse_limits(limits)
            except ValueError as error:
                raise InvalidField("limits", f"{error}.") from None
            if weight is None:
                weight = self._quotas.quota(tenant, key_id).weight
            if not LEAST_WEIGHT <= weight <= MOST_WEIGHT or (key_id and weight != 1.0):
                raise InvalidField("weight", f"A tenant's is from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}; a key has none.")
            if parsed or weight != 1.0:
                await store.put(Quota(tenant, key_id, parsed, weight))
            else:
                await store.remove(tenant, key_id)
            await self._quotas.load()
            return self._state(tenant, key_id)

    def _state(self, tenant: str, key_id: str) -> QuotaState:
        quota = self._quotas.quota(tenant, key_id)
        return QuotaState(quota, self._quotas.left(tenant, key_id), (tenant, key_id) in self._quotas.places())

    def _check_counts(self) -> MeterStore:
        if self._quotas.store is None:
            raise FailedPrecondition(
                "This gateway asks nobody for a key, and counts nothing. Start it with TRIVIUM_GATEWAY_AUTH=keys.",
                reason="KEYS_ARE_OFF",
            )
        return self._quotas.store


def month_of(seconds: float) -> float:
    """The beginning of the month of a moment (UTC), in seconds since 1970."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return datetime(moment.year, moment.month, 1, tzinfo=UTC).timestamp()


def _visible(principal: Principal, tenant: str) -> str:
    """The tenant whose usage and quotas a principal sees; empty for all."""
    if Scope.OPERATOR in principal.scopes:
        return tenant
    principal.require(Scope.ADMIN)
    if tenant not in ("", principal.tenant):
        raise PermissionDenied("Another tenant's takes a key with the scope `operator`.")
    return principal.tenant


def _check_may_set(principal: Principal, tenant: str, key_id: str) -> None:
    if Scope.OPERATOR in principal.scopes:
        return
    principal.require(Scope.ADMIN)
    if tenant != principal.tenant or not key_id:
        raise PermissionDenied("What a tenant may use is set by a key with the scope `operator`.")
