"""Deadlines and bounds of calls that are no questions."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.settings import GatewaySettings

from .conftest import HANG, running_stack

if TYPE_CHECKING:
    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _failure(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["reason"]


@pytest.mark.parametrize("value", ["soon", "0", "-1", "inf", "nan", ""])
async def test_timeout_that_is_none_is_a_400_that_names_its_header(stack: Stack, value: str) -> None:
    response = await stack.http.get("/v1/documents", headers={"X-Request-Timeout": value})
    assert _failure(response) == (400, "INVALID_FIELD")
    assert response.json()["error"]["field"] == "X-Request-Timeout"


async def test_question_has_the_time_that_its_header_says(stack: Stack) -> None:
    await stack.add({"text": "Herons eat fish."})
    await stack.http.post(
        "/v1/answer",
        json={"question": "What do herons eat?", "collection": stack.collection},
        headers={"X-Request-Timeout": "7"},
    )
    (call,) = stack.generate.called("Generate")
    assert call.seconds_left is not None
    assert 0 < call.seconds_left <= 7


async def test_ingestion_ends_at_its_deadline_and_is_bounded(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, GatewaySettings(max_ingestions=1)) as stack:
        await stack.create_collection()
        stack.embed.faults["Tokenize"] = HANG
        calls = len(stack.embed.called("Tokenize"))
        body = {"documents": [{"text": "Herons eat fish."}], "collection": stack.collection}

        def add(**headers: str) -> Any:
            return stack.http.post("/v1/documents", json=body, headers=headers)

        first = asyncio.create_task(add(**{"X-Request-Timeout": "3"}))
        await stack.until(lambda: len(stack.embed.called("Tokenize")) > calls)
        second = await add()
        assert _failure(second) == (429, "OVERLOADED")
        assert int(second.headers["retry-after"]) >= 1
        assert _failure(await first) == (504, "DEADLINE_EXCEEDED")
        stack.embed.faults.clear()
        assert (await add()).json()["documents"][0]["status"] == "indexed"


async def test_calls_about_documents_end_at_their_deadline(own_qdrant: Qdrant) -> None:
    async with running_stack(own_qdrant) as stack:
        await stack.create_collection()
        assert own_qdrant.process is not None
        own_qdrant.process.send_signal(signal.SIGSTOP)
        try:
            where, headers = f"?collection={stack.collection}", {"X-Request-Timeout": "0.2"}
            for method, path in (
                ("GET", f"/v1/documents{where}"),
                ("GET", f"/v1/documents/a{where}"),
                ("DELETE", f"/v1/documents/a{where}"),
                ("GET", f"/v1/collections/{stack.collection}"),
            ):
                response = await asyncio.wait_for(stack.http.request(method, path, headers=headers), 20)
                assert _failure(response) in ((504, "DEADLINE_EXCEEDED"), (503, "UPSTREAM_UNAVAILABLE")), path
        finally:
            own_qdrant.process.send_signal(signal.SIGCONT)
