"""Chat completions as OpenAI's own client asks for them, and as Open WebUI does."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.type.v1 import message_pb2, tool_pb2
from trivium_gateway.surfaces.http.openai.shapes import ChatCompletionResponse
from trivium_serving.errors import FailedPrecondition, InvalidField, Overloaded, Unavailable

from .conftest import HANG, delta, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = [{"role": "user", "content": "What do herons eat?"}]


@pytest_asyncio.fixture(loop_scope="module")
async def client(stack: Stack) -> AsyncIterator[Any]:
    """OpenAI's client, which does not try again. Untyped: the tests also pass what its types do not know."""
    async with openai.AsyncOpenAI(base_url=f"{stack.http.base_url}/v1", api_key="any", max_retries=0) as opened:
        yield opened


def model(stack: Stack) -> str:
    """The id of a model that answers from the test's collection."""
    return f"trivium/{stack.collection}"


async def raw_events(stack: Stack, **fields: Any) -> list[str]:
    """The data of each event of a stream."""
    body = {"model": model(stack), "messages": QUESTION, "stream": True, **fields}
    async with stack.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), await response.aread()
        text = (await response.aread()).decode()
    return [block.removeprefix("data: ") for block in text.strip().split("\n\n")]


async def test_completion_has_text_annotations_usage_and_evidence(stack: Stack, client: Any) -> None:
    completion = await client.chat.completions.create(model=model(stack), messages=QUESTION)

    choice = completion.choices[0]
    assert choice.message.content == "Herons eat fish. [1] And frogs. [1]"
    assert (choice.finish_reason, completion.model) == ("stop", model(stack))
    cited = [one.url_citation for one in choice.message.annotations]
    assert [choice.message.content[one.start_index : one.end_index] for one in cited] == ["[1]", "[1]"]
    assert {(one.url, one.title) for one in cited} == {("https://x.org/heron", "The heron")}
    assert (completion.usage.prompt_tokens, completion.usage.total_tokens) == (90, 97)
    assert completion.trivium["passages"][0]["document_id"] == "heron"
    assert completion.trivium["model"] == "writer"
    ChatCompletionResponse.model_validate_json(
        (await stack.http.post("/v1/chat/completions", json={"model": model(stack), "messages": QUESTION})).content
    )


async def test_stream_is_the_same_as_the_completion(stack: Stack, client: Any) -> None:
    whole = await client.chat.completions.create(model=model(stack), messages=QUESTION)
    stream = await client.chat.completions.create(
        model=model(stack), messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    message = whole.choices[0].message
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(one.content or "" for one in deltas) == message.content
    annotations = [note for one in deltas for note in getattr(one, "annotations", None) or ()]
    assert annotations == [note.model_dump() for note in message.annotations]
    assert deltas[0].role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[0].trivium["passages"] == whole.trivium["passages"]
    assert chunks[-2].trivium["citations"] == whole.trivium["citations"]
    assert len({chunk.id for chunk in chunks}) == 1


async def test_stream_without_options_has_no_usage_and_ends_with_done(stack: Stack) -> None:
    events = await raw_events(stack)

    assert events[-1] == "[DONE]"
    assert not any("usage" in json.loads(event) for event in events[:-1])


async def test_document_without_an_address_of_the_web_is_cited_at_the_gateway(stack: Stack, client: Any) -> None:
    await stack.add({"id": "frog/1", "uri": "javascript:alert(1)", "text": "Frogs croak in ponds at night."})
    stack.generate.script = [delta("They do. [1]", (1, 9, 12)), finish()]
    completion = await client.chat.completions.create(
        model="trivium",
        messages=[{"role": "user", "content": "Where do frogs croak?"}],
        extra_body={"collection": stack.collection, "filter": {"document_id": "frog/1"}, "top_n": 1},
    )
    await stack.http.delete("/v1/documents/frog/1", params={"collection": stack.collection})

    [note] = completion.choices[0].message.annotations
    assert note.url_citation.url == f"{stack.http.base_url}/v1/documents/frog/1?collection={stack.collection}"
    assert note.url_citation.title == "frog/1"


async def test_chat_reaches_the_model_with_its_options(stack: Stack, client: Any) -> None:
    await client.chat.completions.create(
        model=model(stack),
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello."},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "Hello!"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "What do "}, {"type": "text", "text": "herons eat?"}],
            },
        ],
        max_completion_tokens=7,
        temperature=0,
        top_p=0.5,
        seed=3,
        stop="\n",
        logprobs=True,
        top_logprobs=2,
        user="somebody",
        store=True,
        metadata={"a": "b"},
        extra_body={"unheard_of": 1},
    )

    request = stack.generate.called("Generate")[-1].request
    assert request.question == "What do herons eat?"
    assert [(turn.role, turn.content) for turn in request.history] == [
        (message_pb2.ROLE_SYSTEM, "Be brief."),
        (message_pb2.ROLE_USER, "Hello."),
        (message_pb2.ROLE_ASSISTANT, "Hello!"),
    ]
    sampling = request.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed) == (7, 0, 0.5, 3)
    assert (list(sampling.stop), sampling.top_logprobs) == (["\n"], 2)


async def test_log_probabilities_come_whole_and_streamed(stack: Stack, client: Any) -> None:
    token = generate_pb.TokenLogprob(token="Fish", logprob=-0.5)
    token.top.add(token="Frog", logprob=-1.5)
    written = generate_pb.GenerateResponse(delta=generate_pb.Delta(text="Fish", logprobs=[token]))
    stack.generate.script = [written, finish(reason=generate_pb.FINISH_REASON_LENGTH)]
    options = {"model": model(stack), "messages": QUESTION, "logprobs": True, "top_logprobs": 1}

    choice = (await client.chat.completions.create(**options)).choices[0]
    chunks = [chunk async for chunk in await client.chat.completions.create(**options, stream=True)]

    assert choice.finish_reason == "length"
    [shown] = choice.logprobs.content
    assert (shown.token, shown.bytes, shown.top_logprobs[0].token) == ("Fish", list(b"Fish"), "Frog")
    assert [one for c in chunks if c.choices[0].logprobs for one in c.choices[0].logprobs.content] == [shown]


async def test_calls_of_tools_come_whole_and_streamed_and_take_their_results(stack: Stack, client: Any) -> None:
    called = generate_pb.Delta(tool_calls=[tool_pb2.ToolCall(id="c1", name="weather", arguments='{"day": 1}')])
    calling = [
        generate_pb.GenerateResponse(delta=called),
        finish(reason=generate_pb.FINISH_REASON_TOOL_CALLS),
    ]
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    options = {"model": model(stack), "tools": [tool], "tool_choice": "required"}
    stack.generate.script = calling

    choice = (await client.chat.completions.create(**options, messages=QUESTION)).choices[0]
    chunks = [c async for c in await client.chat.completions.create(**options, messages=QUESTION, stream=True)]

    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
    [call] = choice.message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("c1", "weather", '{"day": 1}')
    [streamed] = [one for c in chunks for one in c.choices[0].delta.tool_calls or ()]
    assert (streamed.index, streamed.id, streamed.function.arguments) == (0, "c1", '{"day": 1}')
    request = stack.generate.called("Generate")[-1].request
    assert (request.tools.definitions[0].name, request.tools.choice) == ("weather", tool_pb2.TOOL_CHOICE_REQUIRED)

    stack.generate.reset()
    result = {"role": "tool", "tool_call_id": "c1", "content": "Rain."}
    answer = await client.chat.completions.create(
        model=model(stack), tools=[tool], messages=[*QUESTION, choice.message.model_dump(exclude_none=True), result]
    )
    request = stack.generate.called("Generate")[-1].request
    assert answer.choices[0].finish_reason == "stop"
    assert [turn.role for turn in request.messages] == [
        message_pb2.ROLE_USER,
        message_pb2.ROLE_ASSISTANT,
        message_pb2.ROLE_TOOL,
    ]
    assert request.messages[1].tool_calls[0].id == request.messages[2].tool_call_id == "c1"


async def test_json_is_asked_of_the_model_and_refused_where_nothing_is_found(stack: Stack, client: Any) -> None:
    stack.generate.script = [delta('{"food": "fish"}'), finish()]
    schema = {"type": "object", "properties": {"food": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "food", "schema": schema}}
    options = {"model": model(stack), "messages": QUESTION, "response_format": form}

    message = (await client.chat.completions.create(**options)).choices[0].message
    assert json.loads(message.content) == {"food": "fish"}
    assert json.loads(stack.generate.called("Generate")[-1].request.sampling.json_schema) == schema

    nothing = {"filter": {"document_id": "nothing"}}
    refused = (await client.chat.completions.create(**options, extra_body=nothing)).choices[0].message
    chunks = [c async for c in await client.chat.completions.create(**options, stream=True, extra_body=nothing)]
    assert refused.content is None
    assert "nothing" in refused.refusal
    assert "".join(c.choices[0].delta.refusal or "" for c in chunks) == refused.refusal

    stack.generate.faults["Generate"] = FailedPrecondition("No language model.", reason="NO_MODEL")
    with pytest.raises(openai.ConflictError) as caught:
        await client.chat.completions.create(**options)
    assert caught.value.code == "no_model"


async def test_question_that_begins_like_a_task_is_answered_from_the_documents(stack: Stack) -> None:
    asked = {"model": model(stack), "messages": [{"role": "user", "content": "### Task:\nWhat do herons eat?"}]}
    for path, body in (
        ("/v1/chat/completions", asked),
        ("/v1/responses", {"model": model(stack), "input": asked["messages"]}),
    ):
        answer = (await stack.http.post(path, json=body)).json()
        assert [one["document_id"] for one in answer["trivium"]["passages"]], path


async def test_title_that_open_webui_asks_for_goes_to_the_model_alone(stack: Stack) -> None:
    stack.generate.script = [delta('{"title": "Herons"}'), finish()]
    chat = "x" * 9000  # more than a query may be
    prompt = (
        f"### Task:\nGenerate a concise, 3-5 word title.\n### Chat History:\n<chat_history>\n{chat}\n</chat_history>"
    )
    response = await stack.http.post(
        "/v1/chat/completions",
        json={
            "model": "trivium-model",
            "messages": [{"role": "user", "content": prompt}],
            "stream": False,
            "max_completion_tokens": 1000,
        },
        headers={"X-OpenWebUI-User-Name": "Ann", "X-OpenWebUI-Chat-Id": "1"},
    )

    assert response.json()["choices"][0]["message"]["content"] == '{"title": "Herons"}'
    request = stack.generate.called("Generate")[-1].request
    assert (request.question, len(request.passages), request.messages[-1].content) == ("", 0, prompt)
    assert not stack.embed.called("Embed")


async def test_chat_as_open_webui_sends_it_is_answered_with_its_sources(stack: Stack) -> None:
    events = await raw_events(
        stack,
        stream_options={"include_usage": True},
        messages=[{"role": "system", "content": ""}, *QUESTION],
    )

    chunks = [json.loads(event) for event in events[:-1]]
    notes = [note for c in chunks if c["choices"] for note in c["choices"][0]["delta"].get("annotations", ())]
    assert notes[0]["type"] == "url_citation"
    assert notes[0]["url_citation"]["url"] == "https://x.org/heron"
    assert chunks[-1]["usage"]["total_tokens"] == 97


async def test_chat_that_is_too_long_loses_its_oldest_exchanges_and_says_so(stack: Stack, client: Any) -> None:
    earlier = [
        turn
        for n in range(40)
        for turn in ({"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"})
    ]
    messages = [{"role": "system", "content": "Be brief."}, *earlier, *QUESTION]

    completion = await client.chat.completions.create(model=model(stack), messages=messages)

    history = stack.generate.called("Generate")[-1].request.history
    assert [history[0].content, history[1].content, len(history)] == ["Be brief.", "q9", 63]
    assert completion.trivium["dropped_messages"] == 18


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"n": 2}, "n", "unsupported_field"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "unsupported_field"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_field"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "unsupported_field"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_field"),
        ({"temperature": 2.5}, "temperature", "invalid_field"),
        ({"top_p": 0}, "top_p", "invalid_field"),
        ({"max_tokens": 0}, "max_tokens", "invalid_field"),
        ({"top_logprobs": 3}, "top_logprobs", "invalid_field"),
        ({"stop": ["x" * 257]}, "stop[0]", "too_large"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_field"),
        ({"tool_choice": 3}, "tool_choice", "invalid_field"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].name", "invalid_field"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_field"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "invalid_field"),
        ({"messages": []}, "messages", "invalid_field"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages", "empty_query"),
        ({"messages": [{"role": "user", "content": "x" * 8001}]}, "messages", "query_too_long"),
        ({"messages": [*QUESTION, {"role": "assistant", "content": "They"}]}, "messages", "invalid_field"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
            "messages[0].content[0]",
            "unsupported_field",
        ),
        ({"messages": [*QUESTION, {"role": "tool", "tool_call_id": "c", "content": ""}]}, "messages", "invalid_field"),
        ({"top_n": 101}, "top_n", "invalid_field"),
        ({"collection": "other"}, "collection", "invalid_field"),
        ({"filter": {"metadata.no": 1}}, "filter.metadata.no", "unknown_filter_field"),
    ],
)
async def test_field_that_breaks_a_rule_is_an_error_of_openais(
    stack: Stack, fields: dict[str, Any], param: str, code: str
) -> None:
    body = {"model": model(stack), "messages": QUESTION, **fields}
    response = await stack.http.post("/v1/chat/completions", json=body)

    assert response.status_code in (400, 413), response.text
    error = response.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert response.json()["message"] == response.json()["detail"] == error["message"]
    assert error["reason"] == code.upper()


async def test_errors_are_the_exceptions_that_openais_client_has_for_them(stack: Stack, client: Any) -> None:
    async def ask(**fields: Any) -> Any:
        return await client.chat.completions.create(**{"model": model(stack), "messages": QUESTION, **fields})

    with pytest.raises(openai.BadRequestError) as bad:
        await ask(n=2)
    assert (bad.value.param, bad.value.code, bad.value.type) == ("n", "unsupported_field", "invalid_request_error")
    for unknown in ("gpt-7", "trivium/", "trivium/nowhere"):
        with pytest.raises(openai.NotFoundError):
            await ask(model=unknown)
    for stream in (False, True):
        stack.generate.faults["Generate"] = Overloaded("Full.", retry_after_seconds=2.5)
        with pytest.raises(openai.RateLimitError) as full:
            await ask(extra_body={"mode": "model"}, stream=stream)
        assert full.value.response.headers["retry-after"] == "3"
        stack.generate.faults["Generate"] = Unavailable("Down.")
        with pytest.raises(openai.InternalServerError):
            await ask(extra_body={"mode": "model"}, stream=stream)
    stack.generate.faults["Generate"] = InvalidField("sampling.max_tokens", "max_tokens is 9999; at most 4096.")
    with pytest.raises(openai.BadRequestError) as long:
        await ask(max_tokens=9999)
    assert long.value.param == "max_tokens"


async def test_answer_that_breaks_off_is_an_error_within_the_stream(stack: Stack, client: Any) -> None:
    stack.generate.script = [delta("Herons "), Unavailable("The model broke.", reason="MODEL_BROKE")]
    stream = await client.chat.completions.create(model=model(stack), messages=QUESTION, stream=True)
    text = ""

    with pytest.raises(openai.APIError) as caught:  # noqa: PT012  # what comes before the error counts
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""

    assert text == "Herons "
    assert (caught.value.type, caught.value.code) == ("server_error", "model_broke")


async def test_degraded_answer_says_so_in_header_and_evidence(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = Unavailable("Down.")
    body = {"model": model(stack), "messages": QUESTION}

    whole = await stack.http.post("/v1/chat/completions", json=body)
    streamed = await stack.http.post("/v1/chat/completions", json={**body, "stream": True})

    assert whole.headers["x-trivium-degraded"] == "rerank:unavailable:fused-order"
    assert whole.json()["trivium"]["degraded"][0]["stage"] == "rerank"
    assert streamed.headers["x-trivium-degraded"] == "rerank:unavailable:fused-order"


@pytest.mark.parametrize("begins", [False, True])
async def test_client_that_leaves_cancels_the_work(stack: Stack, client: Any, begins: bool) -> None:
    stack.generate.script = [delta("Herons "), HANG] if begins else [HANG]

    async def read() -> None:
        async for _ in await client.chat.completions.create(model=model(stack), messages=QUESTION, stream=True):
            pass

    reading = asyncio.create_task(read())
    await stack.until(lambda: "script" in stack.generate.faults)
    reading.cancel()
    await asyncio.wait_for(stack.generate.cancelled.wait(), 10)
    await stack.until(lambda: stack.metric("trivium_gateway_questions_in_flight") == 0)


async def test_models_can_be_listed_and_described(stack: Stack, client: Any) -> None:
    ids = [one.id async for one in client.models.list()]

    assert ids[0] == "trivium"
    assert {model(stack), "words", "word-share"} <= set(ids)
    assert (await client.models.retrieve(model(stack))).id == model(stack)
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-7")
