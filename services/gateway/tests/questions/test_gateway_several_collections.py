"""A question that is asked in several collections at once: the best of all, each with where it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from trivium.gateway.v1 import gateway_service_pb2 as pb

from .conftest import delta, finish

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "What do herons eat?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(module_stack: Stack) -> str:
    """A second collection beside that of the module."""
    name = f"{module_stack.collection}-other"
    await module_stack.http.post("/v1/collections", json={"name": name})
    documents = [
        {"id": "egret", "title": "The egret", "text": "Egrets and herons eat crabs.", "metadata": {"depth": 3}},
        {"id": "copy", "title": "A copy", "text": "Herons eat fish and frogs.", "metadata": {"depth": 4}},
    ]
    added = await module_stack.http.post("/v1/documents", json={"documents": documents, "collection": name})
    assert [one["status"] for one in added.json()["documents"]] == ["indexed"] * 2
    return name


async def _retrieve(stack: Stack, *collections: str, **fields: Any) -> Any:
    return await stack.http.post("/v1/retrieve", json={"query": QUESTION, "collections": collections, **fields})


async def test_passages_of_all_collections_come_with_the_name_of_theirs(stack: Stack, other: str) -> None:
    alone = (await stack.retrieve(QUESTION)).json()["passages"]
    assert {one["collection"] for one in alone} == {stack.collection}

    found = (await _retrieve(stack, stack.collection, other, top_n=4)).json()
    passages = found["passages"]
    places = [(one["collection"], one["document_id"]) for one in passages]
    assert {(stack.collection, "heron"), (other, "egret")} <= set(places[:3])
    scores = [one["score"] for one in passages]
    assert scores == sorted(scores, reverse=True)
    texts = [one["text"] for one in passages]
    assert len(set(texts)) == len(texts) == 4, "what both have word for word is shown once"
    uncollapsed = (await _retrieve(stack, stack.collection, other, top_n=5, collapse=False)).json()["passages"]
    assert {"heron", "copy"} <= {one["document_id"] for one in uncollapsed}
    assert (await _retrieve(stack, stack.collection)).json()["passages"] == alone, "one of several is that one"


async def test_answer_cites_passages_of_several_collections(stack: Stack, other: str) -> None:
    stack.generate.script = [delta("They eat fish [1] and crabs [2].", (1, 14, 17), (2, 28, 31)), finish()]
    fields = {"collection": None, "collections": [stack.collection, other], "collapse": True}

    body = (await stack.ask(QUESTION, **fields)).json()

    assert {one["collection"] for one in body["passages"]} == {stack.collection, other}
    for citation in body["citations"]:
        passage = body["passages"][citation["index"] - 1]
        assert (citation["collection"], citation["document_id"]) == (passage["collection"], passage["document_id"])
    request = pb.AnswerRequest(question=QUESTION, collections=[stack.collection, other])
    messages = [message async for message in stack.stub.Answer(request)]
    assert {one.collection for one in messages[0].sources.passages} == {stack.collection, other}
    assert [one.collection for one in messages[-1].summary.citations] == [
        one["collection"] for one in body["citations"]
    ]


async def test_trace_of_several_collections_says_where_a_document_was_lost_in_either(stack: Stack, other: str) -> None:
    found = (await _retrieve(stack, stack.collection, other, top_n=1)).json()
    path = f"/v1/traces/{found['request_id']}"

    trace = (await stack.http.get(path)).json()
    assert trace["request"]["collections"] == [stack.collection, other]
    assert [one["collection"] for one in trace["passages"]] == [found["passages"][0]["collection"]]
    fates = {}
    for document_id in ("heron", "egret", "copy", "otter", "nowhere"):
        explained = (await stack.http.get(path, params={"document_id": document_id})).json()["explanation"]
        fates[document_id] = explained["fate"]
    assert fates.pop("nowhere") == "not_in_collection"
    assert fates.pop(found["passages"][0]["document_id"]) == "shown"
    assert set(fates.values()) <= {"outranked", "near_duplicate"}
    replayed = await stack.http.post(f"{path}/replay", json={"set": {"top_n": 3}})
    assert len({one["collection"] for one in replayed.json()["after"]["passages"]}) == 2


async def test_filter_asks_the_collections_that_know_its_key(stack: Stack, other: str) -> None:
    both = (stack.collection, other)
    found = (await _retrieve(stack, *both, filter={"metadata.depth": {"gte": 3}})).json()["passages"]
    assert {one["collection"] for one in found} == {other}

    unknown = await _retrieve(stack, *both, filter={"metadata.height": 1})
    assert (unknown.status_code, unknown.json()["error"]["reason"]) == (400, "UNKNOWN_FILTER_FIELD")
    wrong = await _retrieve(stack, *both, filter={"metadata.depth": {"gte": "deep"}})
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"collections": ["a", "b"], "collection": "a"}, 400),
        ({"collections": [f"c{number}" for number in range(17)]}, 413),
        ({"collections": ["nowhere", "neither"]}, 404),
        ({"collections": "a"}, 400),
    ],
)
async def test_collections_that_cannot_be_asked_are_refused(stack: Stack, fields: dict[str, Any], status: int) -> None:
    response = await stack.http.post("/v1/retrieve", json={"query": QUESTION, **fields})
    assert response.status_code == status, response.text
