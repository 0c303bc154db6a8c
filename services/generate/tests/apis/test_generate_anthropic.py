"""The backend anthropic, with the official client, against a server that speaks its wire format."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from grpc import StatusCode
from model_services.running import failure_of
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.type.v1 import message_pb2, tool_pb2
from trivium_generate.supervision import ModelState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def event(kind: str, **fields: Any) -> bytes:
    """A server-sent event."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def text(content: Any) -> bytes:
    """More text."""
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": content})


def stop(reason: str) -> bytes:
    """The reason of the end."""
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 7})


def error(kind: str, message: str) -> Any:
    """An error."""
    return {"type": "error", "error": {"type": kind, "message": message}}


START = event(
    "message_start",
    message={
        "id": "1", "type": "message", "role": "assistant", "content": [], "model": "claude-test", "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 0, "output_tokens": 1
        },
    },
)  # fmt: skip
ANSWER = (
    START,
    event("ping"),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm."}),
    event("content_block_start", index=1, content_block={"type": "text", "text": ""}),
    text("In May 1937 ["),
    text("1]"),
    text("[9]."),
    event("content_block_stop", index=1),
    stop("end_turn"),
    event("message_stop"),
)


@pytest.fixture
def anthropic(service: Any, api: Any, until_state: Any) -> Any:
    """Starts services with a model behind the server."""

    @asynccontextmanager
    async def start(state: ModelState = ModelState.READY, **settings: object) -> AsyncIterator[Any]:
        chosen = {"api_url": api.url, "api_key": "sk-secret", "model": "claude-test", **settings}
        async with service(backend="anthropic", **chosen) as running:
            await until_state(running, state)
            yield running

    return start


async def test_anthropic_answer_streams_with_citations_across_events_and_usage(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.models = reply(200, {"type": "model", "id": "claude-test", "display_name": "T", "max_input_tokens": 9000})
    api.replies = [reply(parts=ANSWER)]
    schema = {"type": "object"}
    async with anthropic() as running:
        history = [message_pb2.Message(role=message_pb2.ROLE_SYSTEM, content="Be kind.")]
        answer = await running.answer(ask(history=history, sampling=pb.Sampling(temperature=0.5, stop=["END"])))
        await running.answer(ask(sampling=pb.Sampling(json_schema=json.dumps(schema))))
        model = await running.stub.GetModel(pb.GetModelRequest())

    assert answer.text == "In May 1937 [1]."
    assert [(c.index, c.answer_span.start, c.answer_span.end) for c in answer.citations] == [(1, 12, 15)]
    assert (answer.finish.usage.prompt_tokens, answer.finish.usage.completion_tokens) == (120, 7)
    assert not answer.finish.usage.is_estimated
    sent, with_schema = api.requests
    assert [message["role"] for message in sent["messages"]] == ["user"]
    assert "Be kind." in sent["system"]
    assert (sent["max_tokens"], sent["temperature"], sent["stop_sequences"]) == (512, 0.5, ["END"])
    assert with_schema["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "temperature" not in with_schema
    assert "sk-secret" in "".join(api.headers[0].values())
    assert (model.model.backend, model.model.max_input_tokens) == ("anthropic", 9000)
    assert api.checks == ["/v1/models/claude-test"]


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_tokens", pb.FINISH_REASON_LENGTH), ("stop_sequence", pb.FINISH_REASON_STOP)]
)
async def test_anthropic_reason_of_the_end_is_told(
    anthropic: Any, api: Any, reply: Any, ask: Any, reason: str, finish: pb.FinishReason.ValueType
) -> None:
    api.replies = [reply(parts=[START, text("In 1937"), stop(reason), event("message_stop")])]
    async with anthropic() as running:
        assert (await running.answer(ask())).finish.reason == finish


@pytest.mark.parametrize("beginning", [(), (text("In May"),)], ids=["at once", "in the middle"])
async def test_anthropic_refusal_of_the_model_is_an_error(
    anthropic: Any, api: Any, reply: Any, ask: Any, beginning: Any
) -> None:
    api.replies = [reply(parts=[START, *beginning, stop("refusal"), event("message_stop")])]
    async with anthropic() as running:
        code, failed = await failure_of(running.answer(ask()))
    assert (code, failed.reason, len(api.requests)) == (StatusCode.FAILED_PRECONDITION, "ANSWER_BLOCKED", 1)


async def test_anthropic_overload_before_the_first_text_is_tried_again(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    overloaded = error("overloaded_error", "Overloaded")
    api.replies = [
        reply(529, overloaded, headers={"retry-after": "0.01"}),
        reply(parts=[START, event("error", error=overloaded["error"])]),
        reply(parts=[START, "cut"]),
        reply(parts=ANSWER),
    ]
    async with anthropic() as running:
        assert (await running.answer(ask())).text == "In May 1937 [1]."
    assert len(api.requests) == 4


@pytest.mark.parametrize(
    "end",
    [
        [event("error", error={"type": "overloaded_error", "message": "Overloaded"})],
        ["cut"],
        [],
        [b"event: content_block_delta\ndata: {\n\n"],
        [text(5)],
    ],
    ids=["error event", "cut", "ended without a reason", "no JSON", "text that is none"],
)
async def test_anthropic_failure_in_the_middle_is_an_error_and_never_a_whole_answer(
    anthropic: Any, api: Any, reply: Any, ask: Any, end: Any
) -> None:
    api.replies = [reply(parts=[START, text("In May"), *end])]
    async with anthropic() as running:
        code, _ = await failure_of(running.answer(ask(mode=pb.GENERATE_MODE_AUTO)))
    assert (code, len(api.requests)) == (StatusCode.UNAVAILABLE, 1)


@pytest.mark.parametrize(
    ("status", "body", "code", "reason", "advice"),
    [
        (401, error("authentication_error", "no"), "FAILED_PRECONDITION", "API_KEY_REFUSED", "GENERATE_API_KEY"),
        (402, error("billing_error", "pay"), "FAILED_PRECONDITION", "API_QUOTA_EXHAUSTED", "billing"),
        (404, error("not_found_error", "model: x"), "FAILED_PRECONDITION", "API_MODEL_UNKNOWN", "GENERATE_MODEL"),
        (400, error("invalid_request_error", "prompt is too long"), "INVALID_ARGUMENT", "PROMPT_TOO_LONG", "Shorten"),
        (400, error("invalid_request_error", "bad"), "INVALID_ARGUMENT", "API_REQUEST_REFUSED", "option"),
    ],
)  # fmt: skip
async def test_anthropic_refusal_is_not_tried_again_and_says_what_to_do(
    anthropic: Any, api: Any, reply: Any, ask: Any, status: int, body: Any, code: str, reason: str, advice: str
) -> None:
    api.replies = [reply(status, body)]
    async with anthropic() as running:
        failed = await failure_of(running.answer(ask()))
    assert (failed[0].name, failed[1].reason, len(api.requests)) == (code, reason, 1)
    assert advice in failed[1].message


async def test_anthropic_refused_temperature_is_left_out_and_remembered(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    refused = error("invalid_request_error", "`temperature` is deprecated for this model.")
    api.replies = [reply(400, refused), reply(parts=ANSWER)]
    async with anthropic() as running:
        for _ in range(2):
            await running.answer(ask(sampling=pb.Sampling(temperature=0.5)))
    assert ["temperature" in sent for sent in api.requests] == [True, False, False]


async def test_anthropic_top_p_refused_beside_temperature_is_kept_for_callers_who_send_it_alone(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    refused = error(
        "invalid_request_error", "`temperature` and `top_p` cannot both be specified for this model. Use only one."
    )
    api.replies = [reply(400, refused), reply(parts=ANSWER)]
    async with anthropic() as running:
        for sampling in (pb.Sampling(temperature=0.5, top_p=0.9), pb.Sampling(top_p=0.9), pb.Sampling(temperature=0.5)):
            await running.answer(ask(sampling=sampling))
        await running.answer(ask(sampling=pb.Sampling(temperature=0.5, top_p=0.9)))
    sent = [{name for name in ("temperature", "top_p") if name in request} for request in api.requests]
    assert sent == [{"temperature", "top_p"}, {"temperature"}, {"top_p"}, {"temperature"}, {"temperature"}]


@pytest.mark.parametrize(
    ("field", "sampling"),
    [("seed", pb.Sampling(seed=1)), ("top_logprobs", pb.Sampling(top_logprobs=1))],
    ids=["seed", "top_logprobs"],
)
async def test_anthropic_field_that_its_api_has_not_is_refused_by_name(
    anthropic: Any, api: Any, reply: Any, ask: Any, field: str, sampling: pb.Sampling
) -> None:
    api.replies = [reply(parts=ANSWER)]
    async with anthropic() as running:
        code, failed = await failure_of(running.answer(ask(sampling=sampling)))
    assert (code, failed.field, api.requests) == (StatusCode.INVALID_ARGUMENT, f"sampling.{field}", [])


async def test_anthropic_client_that_leaves_closes_the_connection_at_once(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[START, text("In May 1937. "), "hold"])]
    async with anthropic() as running:
        call = running.stub.Generate(ask(), timeout=20)
        await call.read()
        begin = asyncio.get_running_loop().time()
        call.cancel()
        async with asyncio.timeout(5):
            await api.left.wait()
        assert asyncio.get_running_loop().time() - begin < 0.1


WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
LOOK_UP = tool_pb2.Tool(name="look_up", description="Looks a word up.", parameters=json.dumps(WORD))
NOW = tool_pb2.Tool(name="now")


def call(index: int, call_id: str, name: str) -> bytes:
    """The beginning of a call."""
    block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
    return event("content_block_start", index=index, content_block=block)


def arguments(index: int, piece: str) -> bytes:
    """More of a call's arguments."""
    return event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})


def tools(**fields: Any) -> tool_pb2.Tools:
    return tool_pb2.Tools(definitions=[LOOK_UP, NOW], **fields)


def calls_of(answer: Any) -> list[tuple[str, str, Any]]:
    calls = [call for delta in answer.deltas for call in delta.tool_calls]
    return [(call.id, call.name, json.loads(call.arguments)) for call in calls]


CALLS = (
    START,
    event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    text("I look."),
    event("content_block_stop", index=0),
    call(1, "c1", "look_up"),
    arguments(1, ""),
    arguments(1, '{"wo'),
    arguments(1, 'rd": "heron [9]"}'),
    event("content_block_stop", index=1),
    call(2, "c2", "now"),
    event("content_block_stop", index=2),
    stop("tool_use"),
    event("message_stop"),
)


async def test_anthropic_calls_of_tools_come_whole_and_their_results_go_back(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=CALLS), reply(parts=ANSWER)]
    asked = message_pb2.Message(role=message_pb2.ROLE_USER, content="What is a heron?")
    async with anthropic() as running:
        answer = await running.answer(ask(question="", messages=[asked], passages=(), tools=tools(parallel=False)))
        calls = [call for delta in answer.deltas for call in delta.tool_calls]
        messages = [
            asked,
            message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, content=answer.text, tool_calls=calls),
            message_pb2.Message(role=message_pb2.ROLE_TOOL, content="A bird.", tool_call_id="c1"),
            message_pb2.Message(role=message_pb2.ROLE_TOOL, content="Noon.", tool_call_id="c2"),
        ]
        last = await running.answer(ask(question="", messages=messages, passages=(), tools=tools()))

    assert answer.text == "I look."
    assert calls_of(answer) == [("c1", "look_up", {"word": "heron [9]"}), ("c2", "now", {})]
    assert (answer.finish.reason, answer.finish.usage.completion_tokens) == (pb.FINISH_REASON_TOOL_CALLS, 7)
    assert last.finish.reason == pb.FINISH_REASON_STOP
    first, second = api.requests
    assert first["tools"] == [
        {"name": "look_up", "description": "Looks a word up.", "input_schema": WORD},
        {"name": "now", "description": "", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert first["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert second["tool_choice"] == {"type": "auto"}
    assert second["messages"] == [
        {"role": "user", "content": "What is a heron?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"word": "heron [9]"}},
                {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "A bird."},
                {"type": "tool_result", "tool_use_id": "c2", "content": "Noon."},
            ],
        },
    ]


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"choice": tool_pb2.TOOL_CHOICE_NONE, "parallel": False}, {"type": "none"}),
        ({"choice": tool_pb2.TOOL_CHOICE_REQUIRED}, {"type": "any"}),
        (
            {"choice": tool_pb2.TOOL_CHOICE_REQUIRED, "required_name": "now", "parallel": True},
            {"type": "tool", "name": "now", "disable_parallel_tool_use": False},
        ),
    ],
)
async def test_anthropic_choice_of_tools_is_passed_on(
    anthropic: Any, api: Any, reply: Any, ask: Any, fields: Any, sent: Any
) -> None:
    api.replies = [reply(parts=ANSWER)]
    async with anthropic() as running:
        await running.answer(ask(tools=tools(**fields)))
    assert api.requests[0]["tool_choice"] == sent


async def test_anthropic_call_that_the_limit_cuts_off_is_none(anthropic: Any, api: Any, reply: Any, ask: Any) -> None:
    api.replies = [reply(parts=[*CALLS[:7], stop("max_tokens"), event("message_stop")])]
    async with anthropic() as running:
        answer = await running.answer(ask(tools=tools()))
    assert (answer.text, calls_of(answer), answer.finish.reason) == ("I look.", [], pb.FINISH_REASON_LENGTH)


async def test_anthropic_reason_that_speaks_of_calls_without_any_is_an_error(
    anthropic: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[START, text("I look."), stop("tool_use"), event("message_stop")])]
    async with anthropic() as running:
        code, failed = await failure_of(running.answer(ask(tools=tools())))
    assert (code, "has none" in failed.message) == (StatusCode.UNAVAILABLE, True)
