"""Questions rewritten by a model, for a search."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc import StatusCode
from model_services.running import failure_of
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.type.v1 import message_pb2
from trivium_generate.supervision import ModelState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HISTORY = [
    message_pb2.Message(role=message_pb2.ROLE_USER, content="Who designed the Golden Gate Bridge?"),
    message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, content="Joseph Strauss and Charles Ellis did [1]."),
]


@pytest.fixture
def rewriting(service: Any, api: Any, reply: Any, until_state: Any) -> Any:
    """Starts services whose model writes a text: `async with rewriting("text") as running`."""

    @asynccontextmanager
    async def start(*texts: str, **settings: object) -> AsyncIterator[Any]:
        for text in texts:
            chunk = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 90, "completion_tokens": 9, "total_tokens": 99}
            parts = [{"id": "1", "choices": [chunk]}, {"id": "1", "choices": [], "usage": usage}]
            sent = [f"data: {json.dumps(part)}\n\n".encode() for part in parts]
            api.replies.append(reply(parts=(*sent, b"data: [DONE]\n\n")))
        chosen = {"api_url": f"{api.url}/v1", "api_key": "sk-secret", "model": "gpt-test", **settings}
        async with service(backend="openai", **chosen) as running:
            await until_state(running, ModelState.READY)
            yield running

    return start


@pytest.mark.parametrize(
    "written",
    [
        "When was the Golden Gate Bridge opened?",
        'Standalone question: "When was the Golden Gate Bridge opened?"\n\nIt names the bridge.',
        "<think>\nIt is the bridge.\n</think>\n\n**When was the Golden Gate Bridge opened?**",
    ],
)
async def test_rewrite_of_a_question_that_leans_gives_the_models_question_alone(
    rewriting: Any, api: Any, written: str
) -> None:
    async with rewriting(written) as running:
        request = pb.RewriteRequest(question="And when was it opened?", history=HISTORY)
        response = await running.stub.Rewrite(request, timeout=10)
    assert list(response.texts) == ["When was the Golden Gate Bridge opened?"]
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (90, 9)
    assert response.model.name == "gpt-test"
    asked = api.requests[-1]["messages"][-1]["content"]
    assert "user: Who designed the Golden Gate Bridge?" in asked
    assert "Last question: And when was it opened?" in asked


async def test_rewrite_reads_the_latest_turns_of_a_long_history_and_only_their_beginnings(
    rewriting: Any, api: Any
) -> None:
    turns = [message_pb2.Message(role=message_pb2.ROLE_USER, content=f"Turn {n}? " + "x" * 5000) for n in range(20)]
    async with rewriting("Which bridge of those turns?") as running:
        await running.stub.Rewrite(pb.RewriteRequest(question="Which bridge of those?", history=turns), timeout=10)
    asked = api.requests[-1]["messages"][-1]["content"]
    assert "Turn 19?" in asked
    assert "Turn 11?" not in asked
    assert len(asked) < 10_000


@pytest.mark.parametrize("written", ["", "Joseph Strauss began construction during January nineteen thirty three."])
async def test_rewrite_where_the_model_writes_no_question_is_an_error(rewriting: Any, written: str) -> None:
    async with rewriting(written) as running:
        request = pb.RewriteRequest(question="And when was it opened?", history=HISTORY)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.Rewrite(request, timeout=10)
    assert caught.value.code() is StatusCode.UNAVAILABLE


async def test_rewrite_as_queries_gives_each_line_once_without_its_number(rewriting: Any) -> None:
    written = (
        "1. Golden Gate Bridge opening\n2. golden gate bridge opening\n\n- Bridge cost\n3) Cost and date?\n4. More"
    )
    async with rewriting(written) as running:
        request = pb.RewriteRequest(question="Cost and date?", task=pb.REWRITE_TASK_QUERIES, max_queries=2)
        response = await running.stub.Rewrite(request, timeout=10)
    assert list(response.texts) == ["Golden Gate Bridge opening", "Bridge cost"]


async def test_rewrite_as_a_passage_gives_it_on_one_line(rewriting: Any, api: Any) -> None:
    async with rewriting("The bridge opened\nin May 1937.") as running:
        request = pb.RewriteRequest(question="When did it open?", task=pb.REWRITE_TASK_PASSAGE)
        response = await running.stub.Rewrite(request, timeout=10)
    assert list(response.texts) == ["The bridge opened in May 1937."]
    assert "short passage" in api.requests[-1]["messages"][-1]["content"]


async def test_rewrite_of_a_chinese_question_is_asked_for_in_chinese(rewriting: Any, api: Any) -> None:
    history = [message_pb2.Message(role=message_pb2.ROLE_USER, content="金门大桥是谁设计的？")]
    async with rewriting("金门大桥是什么时候通车的？") as running:
        response = await running.stub.Rewrite(
            pb.RewriteRequest(question="它是什么时候通车的？", history=history), timeout=10
        )
    assert list(response.texts) == ["金门大桥是什么时候通车的？"]
    assert "不要回答" in api.requests[-1]["messages"][-1]["content"]


async def test_rewrite_without_a_language_model_says_that_there_is_none(service: Any) -> None:
    async with service() as running:
        _, error = await failure_of(running.stub.Rewrite(pb.RewriteRequest(question="And when?"), timeout=10))
    assert error.reason == "NO_MODEL"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"question": " "}, "question"),
        ({"question": "x" * 8193}, "question"),
        ({"max_queries": 11}, "max_queries"),
        ({"task": 9}, "task"),
        ({"history": [HISTORY[0]] * 65}, "history"),
    ],
)
async def test_rewrite_over_a_limit_is_refused_naming_the_field(
    rewriting: Any, changes: dict[str, Any], field: str
) -> None:
    async with rewriting("?") as running:
        request = pb.RewriteRequest(**{"question": "And when?", **changes})
        _, error = await failure_of(running.stub.Rewrite(request, timeout=10))
    assert error.field == field


async def test_rewrite_whose_caller_gives_up_leaves_no_request_behind(rewriting: Any, api: Any, reply: Any) -> None:
    async with rewriting() as running:
        api.replies.append(reply(parts=("hold",)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.Rewrite(pb.RewriteRequest(question="And when?", history=HISTORY), timeout=0.5)
        assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(10):
            await api.left.wait()
