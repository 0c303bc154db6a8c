"""A question to a collection whose vectors come from another model than the one that runs says so, on every surface."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from model_services.upstream_words import logged_lines
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOWN = {"stage": "embed", "reason": "unavailable", "fallback": "sparse", "detail": "MODEL_CHANGED"}


async def test_question_under_another_model_says_so_on_every_surface_and_in_the_log(stack: Stack) -> None:
    stack.embed.faults["Embed"] = FailedPrecondition("Another model is loaded.", reason="MODEL_MISMATCH")
    chat = {
        "model": f"trivium/{stack.collection}",
        "messages": [{"role": "user", "content": "Which fish do they eat?"}],
    }

    with logged_lines() as lines:
        found = await stack.retrieve("What frogs do herons eat?")
    streamed = await stack.ask("Do herons eat any frogs?", stream=True)
    answered = await stack.http.post("/v1/chat/completions", json=chat)
    over_grpc = await stack.stub.Retrieve(pb.RetrieveRequest(query="Which frogs?", collection=stack.collection))
    async with Client(f"{stack.http.base_url}".rstrip("/") + "/mcp") as client:
        over_mcp = await client.call_tool("search", {"query": "Whose frogs?", "collection": stack.collection})

    assert found.json()["degraded"] == [SHOWN]
    assert found.json()["passages"]
    assert any("MODEL_CHANGED" in line and found.headers["X-Request-Id"] in line for line in lines)
    for shown in (streamed.text, answered.text):
        assert json.dumps(SHOWN, separators=(",", ":")) in shown
    assert over_grpc.degraded[0].detail == "MODEL_CHANGED"
    assert over_mcp.structured_content["degraded"] == [SHOWN]
    assert "unavailable: MODEL_CHANGED" in str(over_mcp.content)


async def test_stage_that_will_be_back_has_no_detail(stack: Stack) -> None:
    await stack.rerank.stop()
    try:
        found = await stack.retrieve("What else do herons eat?")
    finally:
        await stack.rerank.start()

    assert found.json()["degraded"] == [{"stage": "rerank", "reason": "unavailable", "fallback": "fused-order"}]
