"""One tenant floods with ten times what can be answered, another asks one question after the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from chaos.calls import Outcome, percentile, post

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_FIRST_KEY = "tv_first_" + "0" * 32
_CALLERS = 8
_TIMES = 10
_MOST_PER_SECOND = 200
_FEWEST_ASKED = 4
_MOST_TURNS = 12
"""Answers of the flood for each of the neighbour's: as many as there are places at most, which is 8 at a start."""


def _key(stack: Stack, tenant: str) -> str:
    """A key of a tenant that has documents."""
    headers = {"authorization": f"Bearer {_FIRST_KEY}"}
    made = stack.http.post(
        "/v1/keys", json={"name": tenant, "tenant": tenant, "scopes": ["read", "ingest"]}, headers=headers
    )
    made.raise_for_status()
    key: str = made.json()["key"]
    documents = [{"id": str(n), "text": f"The ferry {n} of {tenant} weighs {n} tons."} for n in range(50)]
    headers = {"authorization": f"Bearer {key}"}
    stack.http.post("/v1/documents", json={"documents": documents}, headers=headers).raise_for_status()
    return key


async def _ask(stack: Stack, key: str) -> Outcome:
    question = f"How heavy is the ferry {random.randrange(50)} with the number {random.random()}?"
    return await post(stack.http_port, "/v1/answer", {"question": question}, key)


async def _ask_in_turn(stack: Stack, key: str, seconds: float) -> list[Outcome]:
    """What a caller gets who asks one after the other."""
    outcomes: list[Outcome] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(outcomes) < _FEWEST_ASKED:
        outcomes.append(await _ask(stack, key))
    return outcomes


async def _flood(stack: Stack, key: str, per_second: float, asking: asyncio.Task[list[Outcome]]) -> list[Outcome]:
    """What callers get who do not wait for each other, while another asks."""
    started, tasks = time.monotonic(), []
    while not asking.done():
        tasks.append(asyncio.create_task(_ask(stack, key)))
        await asyncio.sleep(max(0.0, started + len(tasks) / per_second - time.monotonic()))
    return list(await asyncio.gather(*tasks))


def _mean_wait_seconds(stack: Stack, tenant: str) -> float:
    """How long a tenant's questions have waited for a place, as the metrics have it."""
    text = stack.http.get("/metrics", headers={"authorization": f"Bearer {_FIRST_KEY}"}).text
    count, total = (
        float(text.partition(f'trivium_gateway_tenant_wait_seconds_{what}{{tenant="{tenant}"}} ')[2].split()[0])
        for what in ("count", "sum")
    )
    return total / count


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_tenant_that_asks_in_turn_is_answered_beside_anothers_flood(
    make_stack: Callable[..., Stack], scale: Scale, seen: Callable[[str], None]
) -> None:
    stack = make_stack(TRIVIUM_GATEWAY_AUTH="keys", TRIVIUM_GATEWAY_ADMIN_KEY=_FIRST_KEY)
    stack.start()
    stack.wait_ready()
    flooder, neighbour = _key(stack, "flooder"), _key(stack, "neighbour")
    seconds = scale.pick(3.0, 20.0)

    async def experiment() -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
        await _ask_in_turn(stack, neighbour, 1.0)
        alone = await _ask_in_turn(stack, neighbour, seconds)
        together = await asyncio.gather(*(_ask_in_turn(stack, flooder, 2.0) for _ in range(_CALLERS)))
        per_second = sum(one.status == 200 for some in together for one in some) / 2.0
        asking = asyncio.create_task(_ask_in_turn(stack, neighbour, seconds))
        flood = await _flood(stack, flooder, min(_TIMES * per_second, _MOST_PER_SECOND), asking)
        return alone, await asking, flood

    alone, beside, flood = asyncio.run(experiment())
    before, meanwhile = ([one.seconds for one in some] for some in (alone, beside))
    waits = [_mean_wait_seconds(stack, tenant) for tenant in ("neighbour", "flooder")]
    seen(
        f"{len(flood)} questions of the flood: {dict(Counter(one.status for one in flood))}; the neighbour's "
        f"{len(beside)}: {dict(Counter(one.status for one in beside))}, median {percentile(before, 0.5):.3f} s alone "
        f"and {percentile(meanwhile, 0.5):.3f} s beside the flood, p99 {percentile(before, 0.99):.3f} s and "
        f"{percentile(meanwhile, 0.99):.3f} s; mean wait for a place {waits[0]:.3f} s, the flood's {waits[1]:.3f} s"
    )
    assert {one.status for one in beside} == {200}
    assert {one.status for one in flood} == {200, 429}
    assert all(one.retry_after for one in flood if one.status == 429)
    # By turns, and not by time, which a busy machine has none of: the flood has its places, and no line before them.
    assert sum(one.status == 200 for one in flood) <= _MOST_TURNS * (len(beside) + 1)
