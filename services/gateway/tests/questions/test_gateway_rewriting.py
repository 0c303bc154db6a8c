"""Questions of a conversation, and several queries for one question: what is searched for, and who is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from mcp import Client
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.type.v1 import message_pb2
from trivium_gateway.models.generate import MODEL_HEALTH_NAME
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import Overloaded, Unavailable

from .conftest import DOCUMENTS, HANG, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

HISTORY = [
    {"role": "user", "content": "What do otters eat?"},
    {"role": "assistant", "content": "The documents do not say."},
]
FOLLOW_UP = "Where do they sleep?"
BY_RULE = f"otters eat: {FOLLOW_UP}"
BY_MODEL = "Where do otters sleep?"


async def use_model(stack: Stack) -> None:
    """Gives the generate service a language model, and waits until the gateway knows."""
    assert stack.generate.server is not None
    await stack.generate.server.health.set(MODEL_HEALTH_NAME, True)
    async with asyncio.timeout(20):
        while not stack.generate.called("Rewrite"):
            await stack.retrieve(FOLLOW_UP, history=HISTORY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_stack_with_model(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway whose generate service has a language model."""
    async with running_stack(qdrant, replace(GatewaySettings(), rewrite_timeout_seconds=2.0)) as running:
        await running.create_collection()
        await running.add(*DOCUMENTS)
        await use_model(running)
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def modelled(module_stack_with_model: Stack) -> Stack:
    """The same, whose peers do their work again whatever the test before told them."""
    for peer in (module_stack_with_model.embed, module_stack_with_model.rerank, module_stack_with_model.generate):
        peer.reset()
    module_stack_with_model.generate.rewritten["standalone"] = [BY_MODEL]
    return module_stack_with_model


async def test_retrieve_of_a_follow_up_searches_for_what_it_means(stack: Stack) -> None:
    alone = (await stack.retrieve(FOLLOW_UP)).json()
    assert alone["search_query"] is None
    assert alone["queries"] == [{"text": FOLLOW_UP, "origin": "question"}]

    found = (await stack.retrieve(FOLLOW_UP, history=HISTORY)).json()

    assert found["search_query"] == BY_RULE
    assert found["queries"] == [{"text": BY_RULE, "origin": "question"}]
    assert found["passages"][0]["document_id"] == "otter"
    assert found["passages"][0]["found_by"] == []
    assert found["degraded"] == []
    assert "rewrite" in [one["name"] for one in found["stages"]]
    assert stack.rerank.called("Rerank")[-1].request.query == BY_RULE
    assert not stack.generate.called("Rewrite")


async def test_retrieve_of_a_question_that_stands_alone_searches_for_it_as_it_is(stack: Stack) -> None:
    found = (await stack.retrieve("What do herons eat?", history=HISTORY)).json()
    assert found["search_query"] is None
    assert found["passages"][0]["document_id"] == "heron"


async def test_answer_to_a_follow_up_says_what_was_searched_for_streamed_and_not(stack: Stack) -> None:
    whole = (await stack.ask(FOLLOW_UP, history=HISTORY)).json()
    assert whole["search_query"] == BY_RULE
    asked = stack.generate.called("Generate")[-1].request
    assert (asked.question, asked.standalone_question) == (FOLLOW_UP, BY_RULE)

    body = {"question": FOLLOW_UP, "history": HISTORY, "collection": stack.collection, "stream": True}
    lines = (await stack.http.post("/v1/answer", json=body)).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events[0]["search_query"] == events[-1]["search_query"] == BY_RULE
    assert events[-1]["queries"] == whole["queries"]


async def test_answer_over_grpc_says_what_was_searched_for(stack: Stack) -> None:
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, content=HISTORY[0]["content"])
    asked = pb.AnswerRequest(question=FOLLOW_UP, history=[turn], collection=stack.collection)
    events = [event async for event in stack.stub.Answer(asked, timeout=20)]
    assert events[0].sources.search_query == events[-1].summary.search_query == BY_RULE
    assert [one.text for one in events[-1].summary.queries] == [BY_RULE]

    found = await stack.stub.Retrieve(
        pb.RetrieveRequest(query=FOLLOW_UP, history=[turn], collection=stack.collection), timeout=20
    )
    assert found.search_query == BY_RULE
    assert found.queries[0].origin == pb.QUERY_ORIGIN_QUESTION

    alone = await stack.stub.Retrieve(pb.RetrieveRequest(query="herons?", collection=stack.collection), timeout=20)
    assert not alone.HasField("search_query")


async def test_chat_completion_of_a_follow_up_says_what_was_searched_for(stack: Stack) -> None:
    messages = [*HISTORY, {"role": "user", "content": FOLLOW_UP}]
    body = {"model": "trivium", "messages": messages, "collection": stack.collection}
    response = await stack.http.post("/v1/chat/completions", json=body)
    assert response.json()["trivium"]["search_query"] == BY_RULE


async def test_mcp_tools_take_a_history_and_say_what_was_searched_for(stack: Stack) -> None:
    arguments: dict[str, Any] = {"history": HISTORY, "collection": stack.collection}
    async with Client(f"{stack.http.base_url}/mcp".replace("//mcp", "/mcp")) as client:
        found = await client.call_tool("search", {"query": FOLLOW_UP, **arguments})
        answered = await client.call_tool("answer", {"question": FOLLOW_UP, **arguments})
    for result in (found, answered):
        assert result.structured_content is not None
        assert result.structured_content["search_query"] == BY_RULE


async def test_follow_up_where_there_is_a_model_is_rewritten_by_it(modelled: Stack) -> None:
    found = (await modelled.retrieve(FOLLOW_UP, history=HISTORY)).json()
    assert found["search_query"] == BY_MODEL
    request = modelled.generate.called("Rewrite")[-1].request
    assert request.task == generate_pb.REWRITE_TASK_STANDALONE
    assert [turn.content for turn in request.history] == [turn["content"] for turn in HISTORY]


async def test_follow_up_to_be_answered_extractively_asks_no_model(modelled: Stack) -> None:
    answer = (await modelled.ask(FOLLOW_UP, history=HISTORY, mode="extractive")).json()
    assert answer["search_query"] == BY_RULE
    assert not modelled.generate.called("Rewrite")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(HANG, "timeout"), (Overloaded("full"), "overloaded"), (Unavailable("nothing to search for"), "unavailable")],
)
async def test_follow_up_that_the_model_cannot_rewrite_is_condensed_by_rule_and_said_to_be(
    modelled: Stack, fault: Any, reason: str
) -> None:
    modelled.generate.faults["Rewrite"] = fault
    response = await modelled.retrieve(FOLLOW_UP, history=HISTORY)
    assert response.json()["search_query"] == BY_RULE
    assert response.json()["degraded"] == [{"stage": "rewrite", "reason": reason, "fallback": "rule"}]
    assert response.headers["x-trivium-degraded"] == f"rewrite:{reason}:rule"
    assert response.json()["passages"][0]["document_id"] == "otter"


async def test_queries_of_the_caller_are_searched_for_beside_the_question(stack: Stack) -> None:
    found = (await stack.retrieve("What do herons eat?", queries=["otters holt"], rerank=False)).json()
    assert found["queries"] == [
        {"text": "What do herons eat?", "origin": "question"},
        {"text": "otters holt", "origin": "request"},
    ]
    by = {one["document_id"]: one["found_by"] for one in found["passages"]}
    assert 0 in by["heron"]
    assert 1 in by["otter"]
    answer = (await stack.ask("What do herons eat?", queries=["otters holt"])).json()
    assert [one["origin"] for one in answer["queries"]] == ["question", "request"]


async def test_expanded_question_is_searched_for_in_the_models_words_and_by_its_passage(modelled: Stack) -> None:
    response = await modelled.retrieve("What do herons eat?", expand=["queries", "hyde"])
    found = response.json()
    assert found["degraded"] == []
    assert [(one["text"], one["origin"]) for one in found["queries"]] == [
        ("What do herons eat?", "question"),
        ("otters", "model"),
        ("Herons eat fish.", "passage"),
    ]
    assert found["search_query"] is None
    assert all(one["found_by"] for one in found["passages"])


async def test_expansion_without_a_model_is_done_without_and_said_to_be(stack: Stack) -> None:
    found = (await stack.retrieve("What do herons eat?", expand=["queries"])).json()
    assert found["degraded"] == [{"stage": "rewrite", "reason": "unavailable", "fallback": "question"}]
    assert found["passages"][0]["document_id"] == "heron"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"queries": ["q"] * 11}, "TOO_LARGE", "queries"),
        ({"queries": ["herons", " "]}, "EMPTY_QUERY", "queries[1]"),
        ({"queries": ["x" * 8001]}, "QUERY_TOO_LONG", "queries[0]"),
        ({"expand": ["words"]}, "INVALID_FIELD", "expand[0]"),
        ({"history": [{"role": "user", "content": "x"}] * 65}, "HISTORY_TOO_LONG", "history"),
    ],
)
async def test_retrieve_with_queries_or_history_over_a_limit_is_refused(
    stack: Stack, fields: dict[str, Any], reason: str, field: str
) -> None:
    response = await stack.retrieve("herons", **fields)
    assert response.status_code in (400, 413)
    assert (response.json()["error"]["reason"], response.json()["error"]["field"]) == (reason, field)


async def test_retrieve_over_grpc_with_too_many_queries_is_refused(stack: Stack) -> None:
    request = pb.RetrieveRequest(query="herons", queries=["q"] * 11, collection=stack.collection)
    with pytest.raises(Exception, match="at most 10"):
        await stack.stub.Retrieve(request, timeout=20)


async def test_follow_up_where_rewriting_is_off_is_searched_for_as_it_stands(qdrant: Qdrant) -> None:
    async with running_stack(qdrant, replace(GatewaySettings(), rewrite="off")) as stack:
        await stack.create_collection()
        found = (await stack.retrieve(FOLLOW_UP, history=HISTORY)).json()
    assert found["search_query"] is None
