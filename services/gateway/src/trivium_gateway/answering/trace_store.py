"""Keeps traces for a while, so that one can ask why a question was answered so."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import prometheus_client as prometheus
from trivium_serving.errors import NotFound, TriviumError
from trivium_serving.request_context import request_id

from trivium_gateway.answering.traces import Trace
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from trivium_gateway.answering.plan import Search
    from trivium_gateway.answering.question import Question
    from trivium_gateway.domain.readers import Reader
    from trivium_gateway.request.principal import Principal
    from trivium_gateway.request.record import Record

    _Key = tuple[str, str, Reader]  # the request's id, and who asked

_SWEEP_SECONDS = 30.0


class TraceMetrics:
    """How many traces are kept, and what becomes of them.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._kept = prometheus.Gauge("trivium_gateway_traces", "Traces of questions that are kept.", registry=registry)
        self._bytes = prometheus.Gauge(
            "trivium_gateway_trace_bytes", "About how much memory they take.", registry=registry
        )
        self._dropped = prometheus.Counter(
            "trivium_gateway_traces_dropped_total", "Traces that are kept no more.", ("reason",), registry=registry
        )
        for reason in ("age", "room"):
            self._dropped.labels(reason)

    def count_dropped(self, reason: str) -> None:
        """Counts a trace that is kept no more, for its `age` or for want of `room`."""
        self._dropped.labels(reason).inc()

    def set_kept(self, count: int, byte_count: int) -> None:
        """Notes how many are kept."""
        self._kept.set(count)
        self._bytes.set(byte_count)


class Traces:
    """Keeps the traces of the last questions in memory. Whoever needs the most room loses its oldest first.

    Args:
        most_bytes: How much memory they may take, about; 0 to keep none.
        longest_seconds: How long each is kept at most.
        settings: Settings of the gateway that decide how questions are answered, to be shown with each.
        metrics: Where they are counted.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        most_bytes: int,
        longest_seconds: float,
        settings: Mapping[str, Any],
        metrics: TraceMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        self._longest_seconds = longest_seconds
        self.settings = settings
        self._metrics = metrics
        self._clock = clock
        self._kept: dict[str, OrderedDict[_Key, Trace]] = {}
        self._by_id: dict[tuple[str, str], dict[_Key, Trace]] = {}  # of a tenant's request id, the first one first
        self._tenant_bytes: Counter[str] = Counter()
        self._byte_count = 0

    @contextmanager
    def tracing(self, asked: Question | Search, record: Record) -> Iterator[Trace]:
        """Keeps the trace of what the block does, whichever way it ends.

        The block fills it, and may keep it before it ends.

        Args:
            asked: What is asked.
            record: What the request goes through.
        """
        trace = Trace(request_id(), asked, time.time())
        try:
            yield trace
        except BaseException as error:
            record.fail(error)
            trace.error = error.reason if isinstance(error, TriviumError) else ""
            raise
        finally:
            self.keep(trace, record)

    def keep(self, trace: Trace, record: Record) -> None:
        """Keeps a trace as it is now, once.

        What has reached no stage, a refusal for want of capacity for example, is not kept.
        """
        if not self._most_bytes or not record.stages or not trace.request_id or trace.byte_count:
            return
        trace.read_off(record)
        tenant, key = trace.asked.principal.tenant, _key(trace.request_id, trace.asked.principal)
        if key in self._kept.get(tenant, {}):  # a caller may give all its requests one id
            self._drop(tenant, key, "room")
        trace.kept_at = self._clock()
        self._kept.setdefault(tenant, OrderedDict())[key] = trace
        self._by_id.setdefault((tenant, trace.request_id), {})[key] = trace
        self._tenant_bytes[tenant] += trace.byte_count
        self._byte_count += trace.byte_count
        while self._byte_count > self._most_bytes:
            largest = max(self._tenant_bytes, key=self._tenant_bytes.__getitem__)
            self._drop(largest, next(iter(self._kept[largest])), "room")
        self._count()

    def get(self, principal: Principal, wanted_id: str) -> Trace:
        """The trace of a request: of the principal's own, or of any of the tenant's to who sees all of it.

        One's own is that of the same user, who was allowed to read no more then than now. Callers choose ids, so
        several may have sent one: a principal gets what it asked itself, or else the first that it may see.

        Args:
            principal: Who asks.
            wanted_id: The request's id.

        Raises:
            PermissionDenied: The principal may not read.
            NotFound: There is none that it may see (TRACE_NOT_FOUND).
        """
        principal.require(Scope.READ)
        self.drop_old()
        named = self._by_id.get((principal.tenant, wanted_id), {})
        seen = (one for one in named.values() if _is_own(one.asked.principal, principal))
        trace = named.get(_key(wanted_id, principal)) or next(seen, None)
        if trace is None:
            raise NotFound(
                f"There is no trace of the request {wanted_id!r}. Traces are kept in the memory of the gateway that "
                f"answered, for {self._longest_seconds:g} s at most, and fewer where there are many."
                if self._most_bytes
                else "This gateway keeps no traces. TRIVIUM_GATEWAY_TRACE_BYTES turns them on.",
                reason="TRACE_NOT_FOUND",
            )
        return trace

    async def follow(self) -> None:
        """Drops what is too old all the time, until cancelled."""
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self._longest_seconds))
            self.drop_old()

    def drop_old(self) -> None:
        """Drops what is too old."""
        oldest = self._clock() - self._longest_seconds
        for tenant in list(self._kept):
            kept = self._kept[tenant]
            while kept and next(iter(kept.values())).kept_at < oldest:
                self._drop(tenant, next(iter(kept)), "age")
        self._count()

    def _drop(self, tenant: str, dropped: _Key, reason: str) -> None:
        kept = self._kept[tenant]
        trace = kept.pop(dropped)
        byte_count = trace.byte_count
        named = self._by_id[tenant, trace.request_id]
        del named[dropped]
        if not named:
            del self._by_id[tenant, trace.request_id]
        self._tenant_bytes[tenant] -= byte_count
        self._byte_count -= byte_count
        if not kept:
            del self._kept[tenant], self._tenant_bytes[tenant]
        self._metrics.count_dropped(reason)

    def _count(self) -> None:
        self._metrics.set_kept(sum(map(len, self._kept.values())), self._byte_count)


def _key(wanted_id: str, principal: Principal) -> _Key:
    return wanted_id, principal.user, principal.reader


def _is_own(asker: Principal, principal: Principal) -> bool:
    return principal.sees_all or (asker.user == principal.user and principal.reader.covers(asker.reader))
