"""Counts what tenants and keys use, and refuses who has used what it may."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_serving.errors import StorageFull, TriviumError, Unavailable

from trivium_gateway.metering.buckets import Buckets, Wanted, first_refusal
from trivium_gateway.metering.kinds import STORED_KINDS, USED_BY, Entry, Kind, Quota
from trivium_gateway.metering.standing import note_standing
from trivium_gateway.metering.store import KEPT_HOURS
from trivium_gateway.metering.unkept import Unkept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from trivium_serving.errors import QuotaExceeded

    from trivium_gateway.metering.kinds import Limits, Operation, Rate
    from trivium_gateway.metering.metrics import MeterMetrics
    from trivium_gateway.metering.store import MeterStore, Used
    from trivium_gateway.request.principal import Principal

_logger = logging.getLogger(__name__)

ANSWER_SECONDS = 0.25
_FOLLOW_SECONDS = 1.0
_SHARED_SECONDS = 0.1
"""After that long the others know what was used."""
_HOUR_SECONDS = 3_600
_AWAY = (Unavailable, StorageFull)
_NO_LIMITS: Limits = {}


class Quotas:
    """What is used, by tenant and key, and what is left of it.

    It is counted in memory, and kept each second: a crash loses a second of it at most, and a store that is away
    nothing. Limits are held by a shared store for all gateways at once; without one, and while it is away, by each for
    itself.

    Args:
        store: Where it is kept; None where nobody has a key: then nothing is counted, and nothing limited.
        metrics: Where it is counted, too.
        tenant_limits: Those of a tenant without a quota of its own.
        key_limits: Those of a key without a quota of its own.
        clock: Seconds since 1970.
        answer_seconds: How long a call waits at most for a store that others share.
    """

    def __init__(
        self,
        store: MeterStore | None,
        metrics: MeterMetrics,
        tenant_limits: Limits = _NO_LIMITS,
        key_limits: Limits = _NO_LIMITS,
        clock: Callable[[], float] = time.time,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.store = store
        self.metrics = metrics
        self._defaults = (tenant_limits, key_limits)
        self._clock, self._answer_seconds = clock, answer_seconds
        self._quotas: dict[tuple[str, str], Quota] = {}
        self._buckets = Buckets(clock)
        self._unkept = Unkept()
        self._is_away = False
        self._flushing = asyncio.Lock()
        self._forgot_at = 0.0

    def quota(self, tenant: str, key_id: str) -> Quota:
        """What a tenant may use, or one of its keys."""
        own = self._quotas.get((tenant, key_id), Quota(tenant, key_id))
        return own if own.limits else replace(own, limits=self._defaults[bool(key_id)])

    def places(self) -> set[tuple[str, str]]:
        """Which tenants, and which of their keys, have a quota of their own."""
        return set(self._quotas)

    def weight_of(self, tenant: str) -> float:
        """A tenant's part of what tenants share."""
        quota = self._quotas.get((tenant, ""))
        return 1.0 if quota is None else quota.weight

    def left(self, tenant: str, key_id: str) -> dict[Kind, int]:
        """What is left of each limit in a time of a tenant or a key, as far as this gateway knows."""
        wanted = list(self._of(self.quota(tenant, key_id), self.quota(tenant, key_id).limits, 0))
        levels = self._buckets.levels(wanted)
        return {one.kind: one.standing(level).remaining for one, level in zip(wanted, levels, strict=True)}

    def refusal(self, principal: Principal, operation: Operation) -> QuotaExceeded | None:
        """What a call would be told if it began now, as far as this gateway knows, counted as told; None if let in."""
        wanted = self._wanted(principal, operation, 1) if self.store else []
        return self._refused(principal, wanted, self._buckets.levels(wanted)) if wanted else None

    async def begin(self, principal: Principal, operation: Operation, *, requests: int = 1) -> None:
        """Lets a call begin, and counts it as a request.

        Args:
            principal: Who calls.
            operation: What the call does.
            requests: As how many requests it counts: 0 if it goes on with what was counted before.

        Raises:
            QuotaExceeded: Its tenant or its key has used what it may.
        """
        if self.store is None:
            return
        wanted = self._wanted(principal, operation, requests)
        if wanted:
            levels = await self._take(wanted)
            if refusal := self._refused(principal, wanted, levels):
                raise refusal
            least = min(range(len(wanted)), key=lambda place: levels[place] / max(1, wanted[place].rate.amount))
            note_standing(wanted[least].standing(levels[least] - wanted[least].need))
        if requests:
            self._note(principal, Kind.REQUESTS, requests)

    def spend(self, principal: Principal, used: Mapping[Kind, int]) -> None:
        """Counts what a call has used."""
        if self.store is None:
            return
        for kind, amount in used.items():
            if amount > 0:
                self._note(principal, kind, amount)
                for quota, limits in self._limits_of(principal):
                    if kind in limits:
                        self._spend(_bucket(quota, kind), limits[kind], amount)

    async def load(self) -> None:
        """Reads the quotas anew.

        Raises:
            Unavailable: They cannot be read.
        """
        if self.store is not None:
            self._quotas = {(one.tenant, one.key_id): one for one in await self.store.quotas()}

    async def open(self) -> None:
        """Reads quotas and what is left of them; without both, if they cannot be read, as when the store is away."""
        if self.store is None:
            return
        try:
            await self.load()
            self._buckets.load(await self.store.buckets())
        except _AWAY as error:
            self._note_away(error)

    async def used(self, first_hour: int, end_hour: int, tenant: str) -> Used:
        """What was used; see MeterStore.used. What this gateway has counted by now is in it, kept or not.

        Raises:
            Unavailable: It cannot be read.
        """
        if self.store is None:
            return {}
        try:
            await self.flush()
        except StorageFull:
            pass  # nothing of it was kept
        except TriviumError:
            if self.store.is_shared:
                raise  # what was sent may have been kept, or not
        async with self._flushing:
            used = Counter(await self.store.used(first_hour, end_hour, tenant))
            used.update(self._unkept.within(first_hour, end_hour, tenant))
            return dict(used)

    async def flush(self) -> None:
        """Keeps what was used since the last time.

        Raises:
            TriviumError: It cannot be kept now (_AWAY). It will be the next time.
        """
        if self.store is None:
            return
        async with self._flushing:
            if not self._unkept.is_on_its_way:
                self._unkept.collect(self._buckets.changed())
            await self._unkept.keep(self.store)

    async def follow(self) -> None:
        """Keeps what is used, and reads the quotas anew, all the time, until cancelled."""
        pause = _SHARED_SECONDS if self.store is not None and self.store.is_shared else _FOLLOW_SECONDS
        loaded_at = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                await self.flush()
                if time.monotonic() - loaded_at >= _FOLLOW_SECONDS:
                    await self.load()
                    await self._forget()
                    loaded_at = time.monotonic()
                    self._note_back()
            except _AWAY as error:
                self._note_away(error)
                await asyncio.sleep(_FOLLOW_SECONDS)

    async def close(self) -> None:
        """Keeps what was used, and gives back what it is kept in."""
        if self.store is None:
            return
        try:
            await self.flush()
        except _AWAY as error:
            _logger.error("usage is lost, %d in all: %s", self._unkept.total(), error.cause or error.message)
        await self.store.close()

    async def _take(self, wanted: Sequence[Wanted]) -> list[float]:
        """Takes what is wanted, if all of it is there; says what was left before."""
        assert self.store is not None
        if self.store.is_shared and not self._is_away:
            try:
                async with asyncio.timeout(self._answer_seconds):
                    levels = await self.store.take(wanted)
            except (Unavailable, TimeoutError) as error:
                self._note_away(error)
            else:
                self._buckets.lower(wanted, levels)
                if first_refusal(wanted, levels) is None:
                    self._buckets.take(wanted)
                return levels
        levels = self._buckets.levels(wanted)
        if first_refusal(wanted, levels) is None:
            self._buckets.take(wanted)
            if self.store.is_shared:  # so that it counts once the store is back
                self._unkept.spent.update({(one.bucket, one.rate): one.need for one in wanted if one.need})
        return levels

    def _refused(self, principal: Principal, wanted: Sequence[Wanted], levels: Sequence[float]) -> QuotaExceeded | None:
        for one, level in zip(wanted, levels, strict=True):
            if not one.is_there(level):
                self.metrics.count_refused(principal.tenant, one.kind)
                return one.refusal(level)
        return None

    def _wanted(self, principal: Principal, operation: Operation, requests: int) -> list[Wanted]:
        return [
            one
            for quota, limits in self._limits_of(principal)
            for one in self._of(quota, limits, requests)
            if (one.kind is Kind.REQUESTS and requests) or one.kind in USED_BY[operation]
        ]

    def _limits_of(self, principal: Principal) -> Iterable[tuple[Quota, Limits]]:
        """The limits of a caller's key, and of its tenant."""
        for key_id in (principal.key_id, "") if principal.key_id else ("",):
            quota = self.quota(principal.tenant, key_id)
            if quota.limits:
                yield quota, quota.limits

    def _of(self, quota: Quota, limits: Limits, requests: int) -> Iterable[Wanted]:
        whose = f"The key {quota.key_id}" if quota.key_id else f"The tenant {quota.tenant}"
        for kind, rate in limits.items():
            if kind not in STORED_KINDS:
                yield Wanted(_bucket(quota, kind), whose, kind, rate, requests if kind is Kind.REQUESTS else 0)

    def _note(self, principal: Principal, kind: Kind, amount: int) -> None:
        hour = int(self._clock()) // _HOUR_SECONDS
        self._unkept.used[Entry(hour, principal.tenant, principal.key_id, kind)] += amount
        self.metrics.count_used(kind, amount)

    def _spend(self, bucket: str, rate: Rate, amount: int) -> None:
        self._buckets.spend(bucket, rate, amount)
        self._unkept.spent[bucket, rate] += amount

    async def _forget(self) -> None:
        now = self._clock()
        if self.store is not None and now - self._forgot_at > _HOUR_SECONDS:
            self._forgot_at = now
            await self.store.forget(int(now) // _HOUR_SECONDS - KEPT_HOURS)

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            cause = error.cause or error.message if isinstance(error, TriviumError) else "no answer"
            _logger.warning("usage cannot be kept, and each gateway holds the limits by itself: %s", cause)
        self._is_away = True
        self.metrics.set_up(is_up=False)

    def _note_back(self) -> None:
        if self._is_away:
            _logger.warning("usage is kept again")
        self._is_away = False
        self.metrics.set_up(is_up=True)


def _bucket(quota: Quota, kind: Kind) -> str:
    return f"{quota.tenant}/{quota.key_id}/{kind.value}"
