"""Callers with little time, before services that take some: less is done, and what cannot be in time is not begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEASURED = 10
"""Questions after which the gateway knows how long the stages take."""
TEXTS = 16


@pytest_asyncio.fixture(loop_scope="module")
async def stack(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway that has measured nothing, with TEXTS documents."""
    async with running_stack(qdrant) as running:
        await running.create_collection()
        await running.add(*({"id": f"d{n}", "text": f"The ferry {n} weighs {n} tons."} for n in range(TEXTS)))
        yield running


async def ask(stack: Stack, seconds: float | None = None, **fields: Any) -> httpx.Response:
    """Asks, with so much time."""
    body = {"question": "How heavy is the ferry 7?", "collection": stack.collection, "collapse": False, **fields}
    headers = {} if seconds is None else {"x-request-timeout": str(seconds)}
    return await stack.http.post("/v1/answer", json=body, headers=headers)


async def measure(stack: Stack, **fields: Any) -> None:
    """Asks as often as it takes to know the stages' times."""
    for _ in range(MEASURED):
        response = await ask(stack, **fields)
        assert response.status_code == 200
        assert response.json()["degraded"] == []


async def ask_in_vain(stack: Stack, seconds: float, expected: str, **fields: Any) -> httpx.Response:
    """Asks with too little time for one stage, until no other was late, as all may be on a machine that is busy."""
    async with asyncio.timeout(200):
        while True:
            response = await ask(stack, seconds, **fields)
            if response.status_code == 200 and fallbacks(response) == [expected]:
                return response
            assert response.status_code in {200, 504}, response.text


def fallbacks(response: httpx.Response) -> list[str]:
    """What was done otherwise, and why."""
    assert response.status_code == 200, response.text
    return [f"{one['stage']}:{one['reason']}:{one['fallback']}" for one in response.json()["degraded"]]


async def test_reranker_reads_as_many_candidates_as_there_is_time_for(stack: Stack) -> None:
    stack.rerank.slow["Rerank"] = 0.03
    await measure(stack, top_n=1)
    assert len(stack.rerank.called("Rerank")[-1].request.texts) == TEXTS

    await ask_in_vain(stack, 0.45, "rerank:timeout:fewer-candidates", top_n=1)

    read = list(stack.rerank.called("Rerank")[-1].request.texts)
    assert 0 < len(read) < TEXTS
    assert stack.metric("trivium_gateway_deadline_decisions_total", stage="rerank", decision="fewer") >= 1
    assert stack.metric("trivium_gateway_stage_usual_seconds", stage="rerank") >= 0.03 * TEXTS


async def test_trace_says_how_many_candidates_were_not_read(stack: Stack) -> None:
    stack.rerank.slow["Rerank"] = 0.03
    await measure(stack, top_n=1)

    response = await ask_in_vain(stack, 0.45, "rerank:timeout:fewer-candidates", top_n=1)

    trace = (await stack.http.get(f"/v1/traces/{response.json()['request_id']}")).json()
    (rerank,) = (one for one in trace["stages"] if one["name"] == "rerank")
    assert rerank["facts"]["trivium.texts"] + rerank["facts"]["trivium.unread"] == TEXTS
    assert rerank["facts"]["trivium.unread"] > 0


async def test_answer_is_written_from_as_many_passages_as_there_is_time_for(stack: Stack) -> None:
    stack.generate.slow["Generate"] = 0.05
    await measure(stack, top_n=10)

    response = await ask_in_vain(stack, 0.4, "generate:timeout:fewer-passages", top_n=10)

    read = len(stack.generate.called("Generate")[-1].request.passages)
    assert 0 < read < 10
    assert set(range(read + 1, 11)) <= set(response.json()["dropped_passages"])
    assert len(response.json()["passages"]) == 10


async def test_stage_that_is_too_slow_is_left_out_and_not_waited_for(stack: Stack) -> None:
    stack.generate.slow["Generate"] = 1.0
    await measure(stack, top_n=1)
    asked = len(stack.generate.called("Generate"))

    await ask_in_vain(stack, 0.8, "generate:timeout:passages", top_n=1)

    assert len(stack.generate.called("Generate")) == asked
    assert stack.metric("trivium_gateway_deadline_decisions_total", stage="extract", decision="left_out") >= 1


async def test_question_that_cannot_be_searched_for_in_time_is_refused_before_any_work(stack: Stack) -> None:
    await measure(stack)
    before = len(stack.embed.calls)

    response = await ask(stack, 0.001)

    assert response.status_code == 504
    assert response.json()["error"]["reason"] == "DEADLINE_TOO_SHORT"
    assert len(stack.embed.called("Embed")) <= before
    assert stack.metric("trivium_gateway_deadline_decisions_total", stage="search", decision="refused") == 1
    assert fallbacks(await ask(stack)) == []
