"""The Responses API and the search of vector stores, as OpenAI's own client uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai
import pytest
import pytest_asyncio
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.type.v1 import message_pb2, tool_pb2
from trivium_gateway.surfaces.http.openai.shapes import ResponseShape, VectorSearchResponse
from trivium_serving.errors import Unavailable

from .conftest import delta, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "What do herons eat?"


@pytest_asyncio.fixture(loop_scope="module")
async def client(stack: Stack) -> AsyncIterator[Any]:
    """OpenAI's client, which does not try again."""
    async with openai.AsyncOpenAI(base_url=f"{stack.http.base_url}/v1", api_key="any", max_retries=0) as opened:
        yield opened


def model(stack: Stack) -> str:
    """The id of a model that answers from the test's collection."""
    return f"trivium/{stack.collection}"


def lasting(response: Any) -> dict[str, Any]:
    """A response without what differs from call to call."""
    shown: dict[str, Any] = response.model_dump()
    for name in ("id", "created_at", "trivium"):
        shown.pop(name)
    for item in shown["output"]:
        item.pop("id")
    return shown


async def test_response_has_text_annotations_usage_and_evidence(stack: Stack, client: Any) -> None:
    response = await client.responses.create(model=model(stack), input=QUESTION, instructions="Be brief.", store=True)

    assert response.output_text == "Herons eat fish. [1] And frogs. [1]"
    assert (response.status, response.store, response.usage.total_tokens) == ("completed", False, 97)
    notes = response.output[0].content[0].annotations
    assert [response.output_text[one.start_index : one.end_index] for one in notes] == ["[1]", "[1]"]
    assert {(one.type, one.url, one.title) for one in notes} == {("url_citation", "https://x.org/heron", "The heron")}
    assert response.trivium["passages"][0]["document_id"] == "heron"
    request = stack.generate.called("Generate")[-1].request
    assert [(turn.role, turn.content) for turn in request.history] == [(message_pb2.ROLE_SYSTEM, "Be brief.")]
    raw = await stack.http.post("/v1/responses", json={"model": model(stack), "input": QUESTION})
    ResponseShape.model_validate_json(raw.content)


async def test_events_come_in_order_and_end_in_the_same_response(stack: Stack, client: Any) -> None:
    whole = await client.responses.create(model=model(stack), input=QUESTION)
    events = [event async for event in await client.responses.create(model=model(stack), input=QUESTION, stream=True)]

    piece = ["response.output_text.delta", "response.output_text.annotation.added"]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *piece,
        *piece,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert lasting(events[-1].response) == lasting(whole)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text
    notes = [event.annotation for event in events if event.type.endswith("annotation.added")]
    cited = whole.output[0].content[0].annotations
    assert [(one.start_index, one.url) for one in notes] == [(one.start_index, one.url) for one in cited]


async def test_client_s_own_stream_helper_understands_the_events(stack: Stack, client: Any) -> None:
    async with client.responses.stream(model=model(stack), input=QUESTION) as stream:
        final = await stream.get_final_response()

    assert final.output_text == "Herons eat fish. [1] And frogs. [1]"


async def test_calls_of_functions_come_whole_and_streamed_and_take_their_results(stack: Stack, client: Any) -> None:
    call = tool_pb2.ToolCall(id="c1", name="weather", arguments="{}")
    stack.generate.script = [
        generate_pb.GenerateResponse(delta=generate_pb.Delta(tool_calls=[call])),
        finish(reason=generate_pb.FINISH_REASON_TOOL_CALLS),
    ]
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    options = {"model": model(stack), "tools": [tool], "tool_choice": {"type": "function", "name": "weather"}}

    whole = await client.responses.create(**options, input=QUESTION)
    events = [event async for event in await client.responses.create(**options, input=QUESTION, stream=True)]

    [item] = whole.output
    assert (item.type, item.call_id, item.name, item.arguments) == ("function_call", "c1", "weather", "{}")
    assert lasting(events[-1].response) == lasting(whole)
    assert "response.function_call_arguments.done" in {event.type for event in events}
    assert stack.generate.called("Generate")[-1].request.tools.required_name == "weather"

    stack.generate.reset()
    asked = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}, item.model_dump()]
    output = {"type": "function_call_output", "call_id": "c1", "output": "Rain."}
    answer = await client.responses.create(model=model(stack), tools=[tool], input=[*asked, output])
    request = stack.generate.called("Generate")[-1].request
    assert answer.output_text
    assert [turn.role for turn in request.messages] == [
        message_pb2.ROLE_USER,
        message_pb2.ROLE_ASSISTANT,
        message_pb2.ROLE_TOOL,
    ]


async def test_json_and_an_answer_cut_short_are_shown_as_such(stack: Stack, client: Any) -> None:
    stack.generate.script = [delta('{"food": '), finish(reason=generate_pb.FINISH_REASON_LENGTH)]
    schema = {"type": "object", "properties": {"food": {"type": "string"}}}
    text = {"format": {"type": "json_schema", "name": "food", "schema": schema}}

    response = await client.responses.create(model=model(stack), input=QUESTION, text=text, max_output_tokens=5)

    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    sampling = stack.generate.called("Generate")[-1].request.sampling
    assert (json.loads(sampling.json_schema), sampling.max_tokens) == (schema, 5)
    nothing = await client.responses.create(
        model=model(stack), input=QUESTION, text=text, extra_body={"filter": {"document_id": "nothing"}}
    )
    assert nothing.output[0].content[0].type == "refusal"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_field"),
        ({"background": True}, "background", "unsupported_field"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_field"),
        ({"input": ""}, "input", "empty_query"),
        ({"input": [{"type": "item_reference", "id": "a"}]}, "input[0].type", "unsupported_field"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0]",
            "unsupported_field",
        ),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_field"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema", "invalid_field"),
    ],
)
async def test_field_that_breaks_a_rule_is_an_error_of_openais(
    stack: Stack, fields: dict[str, Any], param: str, code: str
) -> None:
    response = await stack.http.post("/v1/responses", json={"model": model(stack), "input": QUESTION, **fields})

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)


async def test_response_that_breaks_off_is_an_error_within_the_stream(stack: Stack, client: Any) -> None:
    stack.generate.script = [delta("Herons "), Unavailable("The model broke.", reason="MODEL_BROKE")]
    stream = await client.responses.create(model=model(stack), input=QUESTION, stream=True)

    with pytest.raises(openai.APIError, match="The model broke"):
        async for _ in stream:
            pass


async def test_collections_are_listed_described_and_searched_as_vector_stores(stack: Stack, client: Any) -> None:
    stores = {one.id: one async for one in client.vector_stores.list()}
    assert stores[stack.collection] == await client.vector_stores.retrieve(stack.collection)
    with pytest.raises(openai.NotFoundError):
        await client.vector_stores.retrieve("nowhere")

    page = await client.vector_stores.search(stack.collection, query=QUESTION, max_num_results=2)
    best = page.data[0]
    assert (best.file_id, best.filename, best.attributes) == ("heron", "The heron", {"year": 2021})
    assert best.content[0].text == "Herons eat fish and frogs."
    assert [one.score for one in page.data] == sorted((one.score for one in page.data), reverse=True)
    assert len(page.data) == 2

    several = await client.vector_stores.search(stack.collection, query=["herons", "otters"], max_num_results=10)
    assert len({one.file_id for one in several.data}) == len(several.data) == 3
    strict = await client.vector_stores.search(
        stack.collection, query=QUESTION, ranking_options={"score_threshold": best.score, "ranker": "auto"}
    )
    assert [one.file_id for one in strict.data] == ["heron"]
    raw = await stack.http.post(f"/v1/vector_stores/{stack.collection}/search", json={"query": QUESTION})
    VectorSearchResponse.model_validate_json(raw.content)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"type": "eq", "key": "lang", "value": "en"}, {"otter", "swift"}),
        ({"type": "gte", "key": "year", "value": 2020}, {"heron"}),
        ({"type": "in", "key": "file_id", "value": ["heron", "swift"]}, {"heron", "swift"}),
        (
            {
                "type": "and",
                "filters": [
                    {"type": "gt", "key": "year", "value": 2018},
                    {"type": "lt", "key": "year", "value": 2020},
                    {"type": "eq", "key": "lang", "value": "en"},
                ],
            },
            {"otter"},
        ),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "year", "value": 2019},
                    {"type": "in", "key": "year", "value": [2021]},
                ],
            },
            {"heron", "otter"},
        ),
        ({"type": "ne", "key": "year", "value": 2019}, {"heron", "swift"}),
        ({"type": "nin", "key": "file_id", "value": ["heron", "swift"]}, {"otter"}),
        (
            {
                "type": "or",
                "filters": [
                    {"type": "eq", "key": "year", "value": 2019},
                    {
                        "type": "and",
                        "filters": [
                            {"type": "ne", "key": "lang", "value": "en"},
                            {"type": "ne", "key": "file_id", "value": "otter"},
                        ],
                    },
                ],
            },
            {"heron", "otter"},
        ),
    ],
)
async def test_filters_of_openais_mean_the_same(stack: Stack, client: Any, filters: Any, found: set[str]) -> None:
    page = await client.vector_stores.search(stack.collection, query="herons, otters, swifts", filters=filters)

    assert {one.file_id for one in page.data} == found


@pytest.mark.parametrize(
    ("fields", "param", "code", "status"),
    [
        ({"query": []}, "query", "empty_query", 400),
        ({"query": ["a"] * 11}, "query", "too_large", 413),
        ({"query": " "}, "query", "empty_query", 400),
        ({"max_num_results": 101}, "max_num_results", "invalid_field", 400),
        ({"filters": {"type": "ne", "key": "year", "value": [1]}}, "filters.value", "invalid_field", 400),
        ({"filters": {"type": "nin", "key": "year", "value": 1}}, "filters.value", "invalid_field", 400),
        ({"filters": {"type": "or", "filters": []}}, "filters.filters", "invalid_field", 400),
        ({"filters": {"type": "like", "key": "year", "value": 1}}, "filters.type", "invalid_field", 400),
    ],
)
async def test_search_that_breaks_a_rule_is_an_error_of_openais(
    stack: Stack, fields: dict[str, Any], param: str, code: str, status: int
) -> None:
    response = await stack.http.post(f"/v1/vector_stores/{stack.collection}/search", json={"query": QUESTION, **fields})

    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (status, param, code)


async def test_filter_nested_too_deeply_is_refused(stack: Stack) -> None:
    filters: dict[str, Any] = {"type": "eq", "key": "year", "value": 1}
    for _ in range(8):
        filters = {"type": "and", "filters": [filters]}
    response = await stack.http.post(
        f"/v1/vector_stores/{stack.collection}/search", json={"query": QUESTION, "filters": filters}
    )

    assert response.json()["error"]["code"] == "filter_too_large"
