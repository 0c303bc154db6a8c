"""The backend openai, with the official client, against a server that speaks its wire format."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from grpc import StatusCode
from model_services.running import failure_of
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.type.v1 import degradation_pb2, message_pb2, tool_pb2
from trivium_generate.supervision import ModelState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DONE = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """A server-sent event."""
    return f"data: {json.dumps(value)}\n\n".encode()


def chunk(content: Any = None, finish: str | None = None, **delta: Any) -> bytes:
    """A chunk of an answer."""
    choice = {"index": 0, "delta": {"content": content, **delta}, "finish_reason": finish, "logprobs": None}
    return event({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


USAGE = event({"id": "1", "choices": [], "usage": {"prompt_tokens": 120, "completion_tokens": 7, "total_tokens": 127}})
ANSWER = (chunk("", role="assistant"), chunk("In May 1937 ["), chunk("1]"), chunk("[9]."), chunk(finish="stop"), USAGE)


def error(message: str, code: str | None = None, param: str | None = None) -> Any:
    """An error as OpenAI words it."""
    return {"error": {"message": message, "type": "some_error", "param": param, "code": code}}


@pytest.fixture
def openai(service: Any, api: Any, until_state: Any) -> Any:
    """Starts services with a model behind the server."""

    @asynccontextmanager
    async def start(state: ModelState = ModelState.READY, **settings: object) -> AsyncIterator[Any]:
        chosen = {"api_url": f"{api.url}/v1", "api_key": "sk-secret", "model": "gpt-test", **settings}
        async with service(backend="openai", **chosen) as running:
            await until_state(running, state)
            yield running

    return start


async def test_openai_answer_streams_with_citations_across_chunks_and_usage(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        history = [
            message_pb2.Message(role=message_pb2.ROLE_USER, content="Hello."),
            message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, content="Hello!"),
        ]
        answer = await running.answer(ask(history=history))
        model = await running.stub.GetModel(pb.GetModelRequest())

    assert answer.text == "In May 1937 [1]."
    assert [(c.index, c.answer_span.start, c.answer_span.end) for c in answer.citations] == [(1, 12, 15)]
    assert (answer.finish.usage.prompt_tokens, answer.finish.usage.completion_tokens) == (120, 7)
    assert not answer.finish.usage.is_estimated
    assert answer.finish.removed_citation_count == 1
    assert answer.finish.reason == pb.FINISH_REASON_STOP
    (sent,) = api.requests
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "user"]
    assert "1937" in sent["messages"][-1]["content"]
    assert (sent["stream"], sent["stream_options"], sent["max_tokens"]) == (True, {"include_usage": True}, 512)
    assert not {"temperature", "top_p", "seed", "stop", "response_format"} & sent.keys()
    assert api.headers[0]["authorization"] == "Bearer sk-secret"
    assert (model.model.backend, model.model.name, model.state) == ("openai", "gpt-test", pb.MODEL_STATE_READY)
    assert model.model.max_input_tokens == 8192


async def test_openai_without_usage_or_done_counts_by_estimate_and_says_so(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[chunk("In 1937 [1]."), chunk(finish="eos")])]
    async with openai() as running:
        answer = await running.answer(ask())
    assert answer.text == "In 1937 [1]."
    assert answer.finish.usage.is_estimated
    assert answer.finish.usage.prompt_tokens > 50
    assert 0 < answer.finish.usage.completion_tokens < 20


async def test_openai_thinking_is_no_part_of_the_answer(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    thought = (chunk(reasoning_content="Hm."), chunk(" <th"), chunk("ink>In 1066?</thi"), chunk("nk>\n"), chunk("\n"))
    api.replies = [reply(parts=[*thought, *ANSWER, DONE])]
    async with openai() as running:
        assert (await running.answer(ask())).text == "In May 1937 [1]."


async def test_openai_sampling_and_schema_and_logprobs_are_passed_on(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    logprobs = {
        "content": [{"token": "{}", "logprob": -0.5, "bytes": None, "top_logprobs": [{"token": "{}", "logprob": -0.5}]}]
    }
    choice = {"index": 0, "delta": {"content": "{}"}, "finish_reason": "length", "logprobs": logprobs}
    api.replies = [reply(parts=[event({"id": "1", "choices": [choice]}), USAGE, DONE])]
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    sampling = pb.Sampling(
        max_tokens=9, temperature=0.5, top_p=0.5, seed=3, stop=["END"], json_schema=json.dumps(schema), top_logprobs=1
    )
    async with openai(api_fields='{"reasoning_effort": "low"}') as running:
        answer = await running.answer(ask(sampling=sampling))

    (sent,) = api.requests
    assert {name: sent[name] for name in ("max_tokens", "temperature", "top_p", "seed", "stop")} == {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.5, "seed": 3, "stop": ["END"]
    }  # fmt: skip
    assert sent["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": schema}
    assert (sent["logprobs"], sent["top_logprobs"], sent["reasoning_effort"]) == (True, 1, "low")
    assert answer.text == "{}"
    assert answer.finish.reason == pb.FINISH_REASON_LENGTH
    (written,) = answer.deltas[0].logprobs
    assert (written.token, written.logprob, written.top[0].token) == ("{}", -0.5, "{}")


async def test_openai_refused_parameters_are_said_otherwise_or_left_out_and_remembered(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [
        reply(400, error("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                         "'max_completion_tokens' instead.", "unsupported_parameter", "max_tokens")),
        reply(400, error("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) "
                         "value is supported.", "unsupported_value", "temperature")),
        reply(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs"}]}),
        reply(parts=[*ANSWER, DONE]),
    ]  # fmt: skip
    async with openai() as running:
        for _ in range(2):
            answer = await running.answer(ask(sampling=pb.Sampling(temperature=0)))
            assert answer.text == "In May 1937 [1]."

    assert len(api.requests) == 5
    for sent in api.requests[3:]:
        assert sent["max_completion_tokens"] == 512
        assert not {"max_tokens", "temperature", "stream_options"} & sent.keys()


async def test_openai_azure_is_asked_by_deployment_version_and_key(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    filtered = event({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    api.replies = [reply(parts=[filtered, *ANSWER, DONE])]
    async with openai(api_url=api.url, api_version="2024-10-21") as running:
        assert (await running.answer(ask())).text == "In May 1937 [1]."
    assert api.paths == ["/openai/deployments/gpt-test/chat/completions?api-version=2024-10-21"]
    assert api.headers[0]["api-key"] == "sk-secret"
    assert "authorization" not in api.headers[0]


async def test_openai_context_is_the_servers_word_and_passages_are_fitted_into_it(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.models = reply(200, {"object": "list", "data": [{"id": "gpt-test", "object": "model", "max_model_len": 600}]})
    api.replies = [reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        passages = [pb.Passage(text="The bridge opened in 1937.", score=0.9), pb.Passage(text="boat " * 400, score=0.1)]
        answer = await running.answer(ask(passages=passages, sampling=pb.Sampling(max_tokens=50)))
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert model.model.max_input_tokens == 600
    assert list(answer.finish.dropped_passages) == [2]
    assert "boat" not in api.requests[0]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("status", "body", "code", "reason", "advice"),
    [
        (401, error("key sk-secret"), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_GENERATE_API_KEY"),
        (403, error("not yours"), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_GENERATE_API_KEY"),
        (404, error("no model gpt-test"), "FAILED_PRECONDITION", "API_MODEL_UNKNOWN", "GENERATE_MODEL"),
        (429, error("no money", "insufficient_quota"), "FAILED_PRECONDITION", "API_QUOTA_EXHAUSTED", "billing"),
        (400, error("bad", "content_filter"), "FAILED_PRECONDITION", "ANSWER_BLOCKED", "filter"),
        (400, error("maximum context length is 9"), "INVALID_ARGUMENT", "PROMPT_TOO_LONG", "too long"),
        (400, error("bad stop", None, "stop"), "INVALID_ARGUMENT", "API_REQUEST_REFUSED", "option"),
    ],
)
async def test_openai_refusal_is_not_tried_again_and_says_what_to_do(
    openai: Any, api: Any, reply: Any, ask: Any, status: int, body: Any, code: str, reason: str, advice: str
) -> None:
    api.replies = [reply(status, body)]
    async with openai() as running:
        failed = await failure_of(running.answer(ask()))
    assert (failed[0].name, failed[1].reason) == (code, reason)
    assert advice in failed[1].message
    assert "sk-secret" not in failed[1].message
    assert len(api.requests) == 1
    if reason == "API_REQUEST_REFUSED":
        assert failed[1].field == "sampling.stop"


async def test_openai_refused_key_falls_back_and_leaves_the_model_alone(
    openai: Any, api: Any, reply: Any, ask: Any, until_state: Any
) -> None:
    api.replies = [reply(401, error("no"))]
    async with openai(restart_pause_seconds=60) as running:
        for _ in range(2):
            answer = await running.answer(ask(mode=pb.GENERATE_MODE_AUTO))
            assert answer.text.startswith("The bridge opened in May 1937. [1]")
            assert answer.finish.degradation.reason == degradation_pb2.DEGRADATION_REASON_UNAVAILABLE
            await until_state(running, ModelState.FAILED)
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert len(api.requests) == 1
    assert "TRIVIUM_GENERATE_API_KEY" in model.detail


async def test_openai_broken_for_long_is_left_alone_until_its_check_succeeds(
    openai: Any, api: Any, reply: Any, ask: Any, until_state: Any
) -> None:
    api.replies = [reply(500, error("broken"))]
    async with openai(api_attempts=1, restart_pause_seconds=0.05) as running:
        checkable, api.models = api.models, reply(503, error("broken"))
        for _ in range(5):
            code, _ = await failure_of(running.answer(ask()))
            assert code is StatusCode.UNAVAILABLE
        await until_state(running, ModelState.FAILED)
        answer = await running.answer(ask(mode=pb.GENERATE_MODE_AUTO))
        assert answer.finish.degradation.fallback == "extractive"
        assert len(api.requests) == 5
        api.replies, api.models = [reply(parts=[*ANSWER, DONE])], checkable
        await until_state(running, ModelState.READY)
        assert (await running.answer(ask())).text == "In May 1937 [1]."


async def test_openai_retry_after_is_waited_for_and_beyond_the_deadline_refused(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    slow_down = error("slow down", "rate_limit_exceeded")
    api.replies = [reply(429, slow_down, headers={"retry-after": "0.4"}), reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        begin = asyncio.get_running_loop().time()
        await running.answer(ask())
        assert asyncio.get_running_loop().time() - begin >= 0.4
        api.replies = [reply(429, slow_down, headers={"retry-after": "60"})]
        code, refused = await failure_of(running.answer(ask()))
        assert (code, refused.reason) == (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        answer = await running.answer(ask(mode=pb.GENERATE_MODE_AUTO))
        assert answer.finish.degradation.reason == degradation_pb2.DEGRADATION_REASON_OVERLOADED
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(["cut"], id="cut before the first text"),
        pytest.param([event(error("oops", "server_error"))], id="error event"),
        pytest.param([b"data: {\n\n"], id="no JSON"),
        pytest.param([event(5)], id="a number"),
        pytest.param([event({"choices": [{"index": 0, "delta": {"content": 5}}]})], id="text that is none"),
        pytest.param([event({"choices": "x"})], id="choices that are none"),
        pytest.param([DONE], id="empty"),
        pytest.param([chunk(finish="tool_calls")], id="calls without any"),
        pytest.param([b"\xff\xfe data: \n\n"], id="no UTF-8"),
    ],
)
async def test_openai_failure_before_the_first_text_is_tried_again(
    openai: Any, api: Any, reply: Any, ask: Any, parts: Any
) -> None:
    api.replies = [reply(parts=parts), reply(500, error("broken")), reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        assert (await running.answer(ask())).text == "In May 1937 [1]."
    assert len(api.requests) == 3


@pytest.mark.parametrize(
    ("parts", "said", "logged"),
    [
        (["cut"], "broke off", "broke off"),
        ([], "before the answer was complete", ""),
        ([event(error("oops", "server_error"))], "broke off", "oops"),
        ([b"data: {\n\n"], "broke off", "cannot be read"),
        (["hold"], "broke off", "nothing came for 0.5 s"),
        ([chunk(finish="tool_calls")], "has none", ""),
    ],
)
async def test_openai_failure_in_the_middle_is_an_error_and_never_a_whole_answer(
    openai: Any,
    api: Any,
    reply: Any,
    ask: Any,
    parts: Any,
    said: str,
    logged: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    api.replies = [reply(parts=[chunk("In May "), *parts])]
    async with openai(api_timeout_seconds=0.5) as running:
        call = running.stub.Generate(ask(mode=pb.GENERATE_MODE_AUTO), timeout=5)
        first = await call.read()
        code, failed = await failure_of(call.read())
    assert (code, first.delta.text) == (StatusCode.UNAVAILABLE, "In May")
    assert said in failed.message
    assert logged in caplog.text
    assert len(api.requests) == 1


async def test_openai_filter_in_the_middle_is_an_error(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    api.replies = [reply(parts=[chunk("In May "), chunk(finish="content_filter"), DONE])]
    async with openai() as running:
        code, failed = await failure_of(running.answer(ask(mode=pb.GENERATE_MODE_AUTO)))
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert (code, failed.reason) == (StatusCode.FAILED_PRECONDITION, "ANSWER_BLOCKED")
    assert model.state == pb.MODEL_STATE_READY


async def test_openai_answer_used_up_by_thinking_is_an_error(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    api.replies = [reply(parts=[chunk(reasoning_content="Hm."), chunk(finish="length"), USAGE, DONE])]
    async with openai() as running:
        _, failed = await failure_of(running.answer(ask()))
    assert failed.reason == "ANSWER_EMPTY"
    assert "TRIVIUM_GENERATE_DEFAULT_MAX_TOKENS" in failed.message


async def test_openai_slow_server_ends_with_the_deadline_or_falls_back_within_it(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=["hold"])]
    async with openai() as running:
        call = running.stub.Generate(ask(mode=pb.GENERATE_MODE_AUTO), timeout=1)
        *_, last = [response async for response in call]
        code, _ = await failure_of(running.stub.Generate(ask(), timeout=0.3).read())
    assert last.finish.degradation.reason == degradation_pb2.DEGRADATION_REASON_TIMEOUT
    assert code is StatusCode.DEADLINE_EXCEEDED


@pytest.mark.alone
async def test_openai_client_that_leaves_closes_the_connection_at_once(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[chunk("In May 1937. "), "hold"])]
    async with openai() as running:
        call = running.stub.Generate(ask(), timeout=20)
        await call.read()
        begin = asyncio.get_running_loop().time()
        call.cancel()
        async with asyncio.timeout(5):
            await api.left.wait()
        seconds = asyncio.get_running_loop().time() - begin
    assert seconds < 0.1


async def test_openai_unreachable_is_down_until_it_is_there(service: Any, until_state: Any, free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}/v1"
    async with service(backend="openai", model="m", api_url=url, restart_pause_seconds=60) as running:
        await until_state(running, ModelState.FAILED)
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert "cannot be reached" in model.detail


async def test_openai_refused_key_is_found_out_at_the_start_without_an_answer(
    openai: Any, api: Any, reply: Any
) -> None:
    api.models = reply(401, error("bad key"))
    async with openai(ModelState.FAILED) as running:
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert "TRIVIUM_GENERATE_API_KEY" in model.detail
    assert (api.requests, api.checks) == ([], ["/v1/models"])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"model": "m"}, "TRIVIUM_GENERATE_API_KEY"),
        ({"api_key": "k"}, "TRIVIUM_GENERATE_MODEL"),
        ({"api_key": "k", "model": "m", "api_version": "2024-10-21"}, "TRIVIUM_GENERATE_API_URL"),
        ({"api_key": "k", "model": "m", "api_fields": "[]"}, "TRIVIUM_GENERATE_API_FIELDS"),
    ],
)
async def test_openai_missing_settings_are_named(service: Any, settings: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        async with service(backend="openai", **settings):
            pass


WORD = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}
LOOK_UP = tool_pb2.Tool(name="look_up", description="Looks a word up.", parameters=json.dumps(WORD), strict=True)
NOW = tool_pb2.Tool(name="now")


def call(index: int | None, call_id: str | None = None, name: str | None = None, arguments: str = "") -> bytes:
    """A chunk with a piece of a call."""
    function = {"name": name, "arguments": arguments}
    return chunk(tool_calls=[{"index": index, "id": call_id, "type": "function", "function": function}])


def tools(**fields: Any) -> tool_pb2.Tools:
    return tool_pb2.Tools(definitions=[LOOK_UP, NOW], **fields)


def calls_of(answer: Any) -> list[tuple[str, str, Any]]:
    calls = [call for delta in answer.deltas for call in delta.tool_calls]
    return [(call.id, call.name, json.loads(call.arguments)) for call in calls]


CALLS = (
    chunk("I look."),
    call(0, "c1", "look_up"),
    call(0, arguments='{"wo'),
    call(1, "c2", "now", ""),
    call(0, arguments='rd": "heron [9]"}'),
    chunk(finish="tool_calls"),
    USAGE,
)


async def test_openai_calls_of_tools_come_whole_and_their_results_go_back(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(parts=[*CALLS, DONE]), reply(parts=[*ANSWER, DONE])]
    asked = message_pb2.Message(role=message_pb2.ROLE_USER, content="What is a heron?")
    async with openai() as running:
        answer = await running.answer(ask(question="", messages=[asked], passages=(), tools=tools(parallel=True)))
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
    assert answer.deltas[-1].tool_calls
    assert not answer.deltas[1].ByteSize()  # says that a call has begun
    assert answer.finish.reason == pb.FINISH_REASON_TOOL_CALLS
    assert (last.text, last.finish.reason) == ("In May 1937 [1][9].", pb.FINISH_REASON_STOP)
    first, second = api.requests
    no_arguments = {"type": "object", "properties": {}}
    assert first["tools"] == [
        {
            "type": "function",
            "function": {"name": "look_up", "description": "Looks a word up.", "parameters": WORD, "strict": True},
        },
        {"type": "function", "function": {"name": "now", "description": "", "parameters": no_arguments}},
    ]
    assert (first["tool_choice"], first["parallel_tool_calls"]) == ("auto", True)
    assert "parallel_tool_calls" not in second
    functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
    assert second["messages"] == [
        {"role": "user", "content": "What is a heron?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": functions[0]},
                {"id": "c2", "type": "function", "function": functions[1]},
            ],
        },
        {"role": "tool", "content": "A bird.", "tool_call_id": "c1"},
        {"role": "tool", "content": "Noon.", "tool_call_id": "c2"},
    ]


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"choice": tool_pb2.TOOL_CHOICE_NONE}, "none"),
        ({"choice": tool_pb2.TOOL_CHOICE_REQUIRED}, "required"),
        (
            {"choice": tool_pb2.TOOL_CHOICE_REQUIRED, "required_name": "now"},
            {"type": "function", "function": {"name": "now"}},
        ),
    ],
)
async def test_openai_choice_of_tools_is_passed_on(
    openai: Any, api: Any, reply: Any, ask: Any, fields: Any, sent: Any
) -> None:
    api.replies = [reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        await running.answer(ask(tools=tools(**fields)))
    assert api.requests[0]["tool_choice"] == sent


async def test_openai_calls_as_other_servers_send_them_are_read(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    """Without numbers, ids or a reason of their own, each of them in one piece."""
    parts = [call(None, None, "now", "{}"), call(None, None, "look_up", '{"word": "a"}'), chunk(finish="stop"), DONE]
    api.replies = [reply(parts=parts)]
    async with openai() as running:
        answer = await running.answer(ask(tools=tools()))
    (first, *now), (second, *look_up) = calls_of(answer)
    assert (now, look_up) == (["now", {}], ["look_up", {"word": "a"}])
    assert first
    assert second not in ("", first)
    assert answer.finish.reason == pb.FINISH_REASON_TOOL_CALLS


async def test_openai_call_that_the_limit_cuts_off_is_none(openai: Any, api: Any, reply: Any, ask: Any) -> None:
    api.replies = [reply(parts=[*CALLS[:3], chunk(finish="length"), USAGE, DONE])]
    async with openai() as running:
        answer = await running.answer(ask(tools=tools()))
    assert (answer.text, calls_of(answer), answer.finish.reason) == ("I look.", [], pb.FINISH_REASON_LENGTH)


@pytest.mark.parametrize("arguments", ["{", "[1]", '"a"'])
async def test_openai_call_with_arguments_that_are_no_object_is_an_error(
    openai: Any, api: Any, reply: Any, ask: Any, arguments: str
) -> None:
    api.replies = [reply(parts=[call(0, "c1", "now", arguments), chunk(finish="tool_calls"), DONE])]
    async with openai() as running:
        code, failed = await failure_of(running.answer(ask(mode=pb.GENERATE_MODE_AUTO, tools=tools())))
    assert (code, "'now' cannot be read" in failed.message) == (StatusCode.UNAVAILABLE, True)


async def test_openai_required_call_is_never_replaced_by_an_extractive_answer(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.replies = [reply(500, error("broken"))]
    required = tools(choice=tool_pb2.TOOL_CHOICE_REQUIRED)
    async with openai(api_attempts=1) as running:
        code, _ = await failure_of(running.answer(ask(mode=pb.GENERATE_MODE_AUTO, tools=required)))
        refused = await failure_of(running.answer(ask(mode=pb.GENERATE_MODE_EXTRACTIVE, tools=required)))
        answer = await running.answer(ask(mode=pb.GENERATE_MODE_AUTO, tools=tools()))
    assert code is StatusCode.UNAVAILABLE
    assert (refused[0], refused[1].field) == (StatusCode.INVALID_ARGUMENT, "tools.choice")
    assert answer.finish.degradation.fallback == "extractive"


async def test_openai_model_that_breaks_while_a_prompt_is_built_is_answered_extractively(
    openai: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    building, broken = threading.Event(), threading.Event()
    async with openai() as running:
        model = running.app.model._model
        prepare = model._prepare

        def prepare_slowly(request: Any) -> Any:
            building.set()
            assert broken.wait(30)
            return prepare(request)

        monkeypatch.setattr(model, "_prepare", prepare_slowly)
        answering = asyncio.ensure_future(running.answer(ask(mode=pb.GENERATE_MODE_AUTO)))
        assert await asyncio.to_thread(building.wait, 30)
        await model.close()
        broken.set()
        answer = await answering
    assert answer.finish.degradation.fallback == "extractive"
    assert answer.finish.model.name == "extractive"


OLLAMA = {"object": "list", "data": [{"id": "gpt-test", "object": "model", "owned_by": "library"}]}
LLAMA_CPP = {"object": "list", "data": [{"id": "gpt-test", "object": "model", "owned_by": "llamacpp"}]}
LONG = pb.Passage(text="The bridge opened in May 1937, and boats pass below it every day. " * 60, score=0.9)


@pytest.mark.parametrize(
    ("models", "path", "said", "context"),
    [
        (LLAMA_CPP, "/props", {"default_generation_settings": {"n_ctx": 2048}}, 2048),
        (OLLAMA, "/api/ps", {"models": [{"model": "gpt-test:latest", "context_length": 32768}]}, 32768),
        (OLLAMA, "/api/ps", {"models": []}, 4096),
        (OLLAMA, "/api/ps", "what is this", 8192),
    ],
)
async def test_openai_context_of_a_server_of_ones_own_is_asked_for(
    openai: Any, api: Any, reply: Any, models: Any, path: str, said: Any, context: int
) -> None:
    api.by_path = {"/v1/models": reply(200, models), path: reply(200, said)}
    async with openai() as running:
        model = await running.stub.GetModel(pb.GetModelRequest())
    assert model.model.max_input_tokens == context
    assert api.checks == ["/v1/models", path]


async def test_openai_assumed_context_is_asked_for_again_once_the_server_has_answered(
    openai: Any, api: Any, reply: Any, ask: Any
) -> None:
    api.by_path = {"/v1/models": reply(200, OLLAMA), "/api/ps": reply(200, {"models": []})}
    api.replies = [reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        await running.answer(ask())
        api.by_path["/api/ps"] = reply(200, {"models": [{"name": "gpt-test", "context_length": 2000}]})
        await running.answer(ask())
        model = await running.stub.GetModel(pb.GetModelRequest())
        checks = len(api.checks)
        await running.answer(ask())
    assert model.model.max_input_tokens == 2000
    assert len(api.checks) == checks


async def test_openai_prompt_that_the_server_cuts_in_silence_is_told(
    openai: Any, api: Any, reply: Any, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    api.replies = [reply(parts=[*ANSWER, DONE])]
    async with openai() as running:
        await running.answer(ask())
        whole = await running.stub.GetModel(pb.GetModelRequest())
        await running.answer(ask(passages=[LONG]))  # of which it counts 120 tokens
        model = await running.stub.GetModel(pb.GetModelRequest())
        cut = running.app.registry.get_sample_value("trivium_generate_cut_prompts_total")
    assert (whole.detail, cut) == ("", 1)
    assert "counted 120 tokens" in model.detail
    assert "TRIVIUM_GENERATE_CONTEXT_TOKENS" in model.detail
    assert "counted 120 tokens" in caplog.text
