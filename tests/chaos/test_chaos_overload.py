"""Ten times the questions that can be answered, and documents beside them: as many answers as ever, no waiting."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from chaos.calls import Outcome, percentile, post
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_CALLERS = 8
_TIMES = 10
_MOST_PER_SECOND = 300
_TOPICS = ("ferry", "harbour", "turbine", "glacier", "orchard")


async def _ask(port: int) -> Outcome:
    question = f"How heavy is the {random.choice(_TOPICS)} with the number {random.random()}?"
    return await post(port, "/v1/answer", {"question": question})


async def _answer_while(port: int, seconds: float) -> list[Outcome]:
    """What a few callers get who wait for each answer."""
    outcomes: list[Outcome] = []
    end = time.monotonic() + seconds

    async def call() -> None:
        while time.monotonic() < end:
            outcomes.append(await _ask(port))

    await asyncio.gather(*(call() for _ in range(_CALLERS)))
    return outcomes


async def _flood(port: int, per_second: float, seconds: float) -> list[Outcome]:
    """What callers get who do not wait for each other."""
    started = time.monotonic()
    tasks = []
    for number in range(int(per_second * seconds)):
        tasks.append(asyncio.create_task(_ask(port)))
        await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
    return list(await asyncio.gather(*tasks))


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_flood_of_questions_and_documents_refuses_at_once_and_recovers(
    make_stack: Callable[[], Stack], scale: Scale, seen: Callable[[str], None]
) -> None:
    stack = make_stack()
    stack.start()
    stack.wait_ready()
    documents = (
        {"id": f"{topic}{n}", "text": f"The {topic} {n} weighs {n} tons."} for topic in _TOPICS for n in range(20)
    )
    stack.ingest(*documents)

    async def experiment() -> tuple[float, list[Outcome], float, list[Outcome]]:
        await _answer_while(stack.http_port, 2.0)
        seconds = scale.pick(3.0, 10.0)
        alone = await _answer_while(stack.http_port, seconds)
        per_second = sum(one.status == 200 for one in alone) / seconds
        bulk = [asyncio.create_task(_ingest(stack.http_port, number)) for number in range(scale.pick(4, 12))]
        flood_seconds = scale.pick(3.0, 10.0)
        outcomes = await _flood(stack.http_port, min(_TIMES * per_second, _MOST_PER_SECOND), flood_seconds)
        return per_second, outcomes, flood_seconds, list(await asyncio.gather(*bulk))

    alone_per_second, outcomes, flood_seconds, bulk = asyncio.run(experiment())
    answered = [one.seconds for one in outcomes if one.status == 200]
    refused = [one for one in outcomes if one.status != 200]
    goodput = len(answered) / flood_seconds / alone_per_second
    seen(
        f"alone {alone_per_second:.1f}/s; {len(outcomes)} asked in {flood_seconds:.0f} s: goodput {goodput:.2f}, "
        f"answers p99 {percentile(answered, 0.99):.2f} s, refusals {dict(Counter(one.status for one in refused))} "
        f"p99 {percentile([one.seconds for one in refused], 0.99) * 1000:.0f} ms; "
        f"bulk {dict(Counter(one.status for one in bulk))}"
    )
    assert answered
    assert {one.status for one in refused} <= {429}
    assert all(one.retry_after for one in refused)
    assert {one.status for one in bulk} <= {200, 429}
    assert all(one.retry_after for one in bulk if one.status == 429)
    if scale.long:
        assert goodput >= 0.9
    wait_until(lambda: not stack.answer("How heavy is the ferry 3?")["degraded"], "whole answer", 60)


async def _ingest(port: int, call: int) -> Outcome:
    words = " ".join(f"{random.choice(_TOPICS)} {random.randrange(10**6)}" for _ in range(100))
    documents = [{"id": f"bulk-{call}-{number}", "text": f"{number} {words}"} for number in range(100)]
    return await post(port, "/v1/documents", {"documents": documents})
