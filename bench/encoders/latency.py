"""What one caller feels: a short query on an idle service, and beside bulk work."""

from __future__ import annotations

import asyncio
import statistics
from typing import TYPE_CHECKING

from callers import embed_stub, query_seconds, query_seconds_under_bulk
from results import milliseconds, percentile
from workload import mixed_texts, short_queries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from processes import Peer, Service
    from results import Results

_BLOCKS = 5
_BLOCK = 100


def measure_queries(results: Results, service: Service, peers: Mapping[str, Peer]) -> None:
    """Idle and busy; the bare model and the peers take turns with the service."""
    one_core, all_cores, idle = [], [], []
    others: dict[str, list[float]] = {name: [] for name in peers if name in ("infinity", "vllm")}
    for block in range(_BLOCKS + 1):
        queries = short_queries(_BLOCK, seed=block)
        bare = peers["bare"].ask("queries", texts=queries)
        with service.running():
            served = asyncio.run(_idle(service.target, queries))
        for name, durations in others.items():
            answered = peers[name].ask("queries", texts=queries[: _BLOCK // 4])["seconds"]
            durations.extend(answered if block else [])
        if block:  # the first one warms
            one_core += bare["one_core"]
            all_cores += bare["all_cores"]
            idle += served
    over = (statistics.median(idle) - statistics.median(one_core)) * 1000
    results.add("one short query, bare forward pass on one core", milliseconds(one_core), bare_query=one_core)
    results.add("the same on all cores together", milliseconds(all_cores), bare_query_all_cores=all_cores)
    results.add(
        "one short query, served, idle", f"{milliseconds(idle)}; {over:+.2f} ms", "<= bare + 1.0 ms", query=idle
    )
    for name, durations in others.items():
        results.add(f"one short query, {name}", milliseconds(durations), **{f"query_{name}": durations})

    with service.running():
        busy, rate = asyncio.run(_busy(service.target))
    times = percentile(busy, 0.99) / percentile(idle, 0.99)
    results.add(
        "one short query beside a saturating bulk stream",
        f"{milliseconds(busy)}: {times:.1f} times the idle p99; bulk at {rate:.0f} texts/s",
        "<= 5 times",
        query_under_bulk=busy,
    )


async def _idle(target: str, queries: list[str]) -> list[float]:
    async with embed_stub(target) as stub:
        await query_seconds(stub, queries[:3])
        return await query_seconds(stub, queries)


async def _busy(target: str) -> tuple[list[float], float]:
    async with embed_stub(target) as stub:
        return await query_seconds_under_bulk(stub, short_queries(_BLOCKS * _BLOCK, seed=100), mixed_texts(500, seed=7))
