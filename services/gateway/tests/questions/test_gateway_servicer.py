"""The gRPC surface, over real channels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.type.v1 import message_pb2, tool_pb2
from trivium_serving.errors import InvalidField, Unavailable
from trivium_serving.rpc_errors import error_from_rpc

from .conftest import HANG, delta, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


def question(stack: Stack, **fields: Any) -> pb.AnswerRequest:
    return pb.AnswerRequest(**{"question": "What do herons eat?", "collection": stack.collection, **fields})


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """The error that a call ends with."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the call did not fail")


async def test_filter_with_not_any_and_null_means_the_same_over_grpc(stack: Stack) -> None:
    conditions: Any = {"not": {"any": [{"metadata.year": None}, {"metadata.lang": "en"}]}}
    request = pb.RetrieveRequest(query="otters", collection=stack.collection, filter=conditions)

    assert [passage.document_id for passage in (await stack.stub.Retrieve(request)).passages] == ["heron"]


async def test_answer_over_grpc_is_the_answer_over_http(stack: Stack) -> None:
    events = [event async for event in stack.stub.Answer(question(stack))]

    assert [event.WhichOneof("event") for event in events] == ["sources", "delta", "delta", "summary"]
    body, summary = (await stack.ask()).json(), events[-1].summary
    assert summary.answer == body["answer"] == "".join(event.delta.text for event in events[1:-1])
    assert (summary.answerable, summary.HasField("confidence"), summary.model) == (True, False, "writer")
    assert (summary.usage.prompt_tokens, summary.usage.completion_tokens, summary.usage.is_estimated) == (90, 7, True)
    assert list(events[0].sources.passages) == list(summary.passages)
    for message, shown in zip(summary.passages, body["passages"], strict=True):
        assert (message.id, message.document_id, message.text) == (shown["id"], shown["document_id"], shown["text"])
        assert message.score == pytest.approx(shown["score"])
        assert message.scores.rerank == pytest.approx(shown["scores"]["rerank"])
    assert [one.answer_span.start for one in summary.citations] == [17, 32]
    assert summary.timings.HasField("generate_ms")
    assert summary.request_id


CALL = tool_pb2.ToolCall(id="c1", name="weather", arguments='{"day": 1}')
TOOLS = tool_pb2.Tools(
    definitions=[tool_pb2.Tool(name="weather", description="Says it.", parameters='{"type": "object"}', strict=True)],
    choice=tool_pb2.TOOL_CHOICE_REQUIRED,
    required_name="weather",
    parallel=False,
)
CALLING = [
    delta("I look. "),
    generate_pb.GenerateResponse(delta=generate_pb.Delta()),
    generate_pb.GenerateResponse(delta=generate_pb.Delta(tool_calls=[CALL])),
    finish(reason=generate_pb.FINISH_REASON_TOOL_CALLS),
]
TURNS = [
    message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, tool_calls=[CALL]),
    message_pb2.Message(role=message_pb2.ROLE_TOOL, content="Rain.", tool_call_id="c1"),
]


async def test_tools_and_sampling_reach_the_model_and_its_calls_come_back(stack: Stack) -> None:
    stack.generate.script = CALLING
    sampling = pb.Sampling(max_tokens=9, temperature=0, top_p=0.5, seed=-7, stop=["END"], top_logprobs=0)
    events = [event async for event in stack.stub.Answer(question(stack, tools=TOOLS, sampling=sampling))]

    sent = stack.generate.called("Generate")[-1].request
    assert sent.tools == TOOLS
    assert sent.sampling.SerializeToString() == sampling.SerializeToString()
    assert [list(event.delta.tool_calls) for event in events[1:-1]] == [[], [CALL]]
    summary = events[-1].summary
    assert (summary.answer, list(summary.tool_calls)) == ("I look. ", [CALL])
    assert summary.finish_reason == pb.FINISH_REASON_TOOL_CALLS


async def test_results_of_tools_follow_the_question_to_the_model(stack: Stack) -> None:
    history = [message_pb2.Message(role=message_pb2.ROLE_SYSTEM, content="Be brief.")]
    request = question(stack, history=history, tool_turns=TURNS)
    events = [event async for event in stack.stub.Answer(request)]

    sent = stack.generate.called("Generate")[-1].request
    asked = message_pb2.Message(role=message_pb2.ROLE_USER, content="What do herons eat?")
    assert list(sent.messages) == [*history, asked, *TURNS]
    assert (sent.question, list(sent.history)) == ("", [])
    assert sent.passages
    assert (events[-1].summary.finish_reason, list(events[-1].summary.tool_calls)) == (pb.FINISH_REASON_STOP, [])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("messages[0].content", "history[0].content"),
        ("messages[1].content", "question"),
        ("messages[3].content", "tool_turns[1].content"),
        ("tools", "tools"),
    ],
)
async def test_field_that_the_model_refuses_is_named_as_the_caller_knows_it(
    stack: Stack, theirs: str, ours: str
) -> None:
    stack.generate.faults["Generate"] = InvalidField(theirs, "no")
    history = [message_pb2.Message(role=message_pb2.ROLE_SYSTEM, content="Be brief.")]
    error = await failure(stack.stub.Answer(question(stack, history=history, tool_turns=TURNS)))
    assert (error.code(), error_from_rpc(error).field) == (grpc.StatusCode.INVALID_ARGUMENT, ours)


async def test_required_call_is_an_error_without_a_model_and_never_the_passages(stack: Stack) -> None:
    stack.generate.faults["Generate"] = Unavailable("gone")
    error = await failure(stack.stub.Answer(question(stack, tools=TOOLS)))
    optional = [event async for event in stack.stub.Answer(question(stack, tools={"definitions": TOOLS.definitions}))]
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert [one.fallback for one in optional[-1].summary.degraded] == ["passages"]


async def test_retrieve_without_a_stage_leaves_its_fields_unset(stack: Stack) -> None:
    request = pb.RetrieveRequest(query="herons", collection=stack.collection, rerank=False)
    response = await stack.stub.Retrieve(request)

    assert not response.timings.HasField("rerank_ms")
    assert not response.timings.HasField("generate_ms")
    assert response.timings.HasField("search_ms")
    assert not response.passages[0].scores.HasField("rerank")
    assert list(response.degraded) == []


async def test_degradation_is_in_the_message_and_the_trailer(stack: Stack) -> None:
    stack.rerank.faults["Rerank"] = Unavailable("gone")

    retrieve = stack.stub.Retrieve(pb.RetrieveRequest(query="herons", collection=stack.collection))
    response = await retrieve
    answer = stack.stub.Answer(question(stack))
    summary = [event async for event in answer][-1].summary

    for call, degraded in ((retrieve, response.degraded), (answer, summary.degraded)):
        assert dict(await call.trailing_metadata())["trivium-degraded"] == "rerank:unavailable:fused-order"
        assert [(one.stage, one.reason, one.fallback) for one in degraded] == [(4, 1, "fused-order")]


@pytest.mark.parametrize(
    ("fields", "code", "reason", "field"),
    [
        ({"question": ""}, grpc.StatusCode.INVALID_ARGUMENT, "EMPTY_QUERY", "question"),
        ({"question": "a" * 8001}, grpc.StatusCode.INVALID_ARGUMENT, "QUERY_TOO_LONG", "question"),
        ({"question": "a" * 10_000_000}, grpc.StatusCode.INVALID_ARGUMENT, "QUERY_TOO_LONG", "question"),
        ({"top_n": 0}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "top_n"),
        ({"top_n": -1}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "top_n"),
        ({"top_n": 1_000_000}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "top_n"),
        ({"candidates": 1001}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "candidates"),
        ({"mode": 9}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "mode"),
        ({"history": [{"content": "x"}]}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "history[0].role"),
        ({"sampling": {"top_p": 0}}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "sampling.top_p"),
        ({"tools": {"choice": 9}}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "tools.choice"),
        (
            {"tools": {"definitions": [{"name": "t"}] * 129}},
            grpc.StatusCode.INVALID_ARGUMENT,
            "TOO_LARGE",
            "tools.definitions",
        ),
        ({"tools": TOOLS, "mode": 3}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "tools.choice"),
        ({"tool_turns": TURNS[:1]}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "tool_turns"),
        ({"tool_turns": TURNS[1:]}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "tool_turns[0].tool_call_id"),
        ({"filter": {"year": 1}}, grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_FILTER_FIELD", None),
        ({"collection": "nowhere"}, grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND", None),
    ],
)
async def test_question_that_breaks_a_rule_is_an_error_with_details(
    stack: Stack, fields: dict[str, Any], code: grpc.StatusCode, reason: str, field: str | None
) -> None:
    error = await failure(stack.stub.Answer(question(stack, **fields)))

    assert error.code() is code
    understood = error_from_rpc(error)
    assert understood.reason == reason
    if field is not None:
        assert understood.field == field
    raw = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    assert info.domain == "trivium.gateway.v1"


async def test_struct_numbers_that_are_whole_come_back_as_integers(stack: Stack) -> None:
    document = pb.DocumentInput(id="struct", text="Struct.")
    document.metadata.update({"whole": 7, "half": 0.5, "flag": True, "words": ["a", "b"]})
    requests = [pb.IngestDocumentsRequest(collection=stack.collection, documents=[document])]

    response = await stack.stub.IngestDocuments(iter(requests))

    assert [(one.id, one.status, one.chunk_count) for one in response.documents] == [("struct", 1, 1)]
    shown = await stack.http.get(f"/v1/documents/struct?collection={stack.collection}")
    assert shown.json()["metadata"] == {"whole": 7, "half": 0.5, "flag": True, "words": ["a", "b"]}
    assert isinstance(shown.json()["metadata"]["whole"], int)
    request = pb.RetrieveRequest(query="struct", collection=stack.collection)
    request.filter.update({"metadata.whole": 7, "metadata.words": ["b", "c"]})
    found = await stack.stub.Retrieve(request)
    assert {passage.document_id for passage in found.passages} == {"struct"}
    assert dict(found.passages[0].metadata) == {"whole": 7, "half": 0.5, "flag": True, "words": ["a", "b"]}


async def test_copies_are_one_passage_over_grpc_unless_collapsing_is_declined(stack: Stack) -> None:
    copies = [pb.DocumentInput(id=f"copy{number}", text="The bittern booms at dusk.") for number in range(3)]
    request = pb.IngestDocumentsRequest(collection=stack.collection, documents=copies)
    await stack.stub.IngestDocuments(iter([request]))
    of_copies = {"document_id": [one.id for one in copies]}

    found = pb.RetrieveRequest(query="bittern", collection=stack.collection)
    found.filter.update(of_copies)
    [passage] = (await stack.stub.Retrieve(found)).passages
    assert {passage.document_id, *passage.duplicates} == {one.id for one in copies}
    found.collapse = False
    assert len((await stack.stub.Retrieve(found)).passages) == 3


async def test_ingest_takes_many_messages_and_answers_in_order(stack: Stack) -> None:
    async def requests() -> AsyncIterator[pb.IngestDocumentsRequest]:
        file = pb.FileContent(data=b"<title>Page</title><p>Text</p>", filename="p.html")
        yield pb.IngestDocumentsRequest(collection=stack.collection)
        yield pb.IngestDocumentsRequest(
            documents=[pb.DocumentInput(id="m1", text="One."), pb.DocumentInput(id="m2", text="")]
        )
        yield pb.IngestDocumentsRequest(collection=stack.collection, documents=[pb.DocumentInput(id="m3", file=file)])

    response = await stack.stub.IngestDocuments(requests())

    assert [(one.id, one.status) for one in response.documents] == [("m1", 1), ("m2", 4), ("m3", 1)]
    assert response.documents[1].error.reason
    assert response.documents[1].error.message


async def test_ingest_of_nothing_is_no_error(stack: Stack) -> None:
    assert list((await stack.stub.IngestDocuments(iter([]))).documents) == []


async def test_ingest_into_two_collections_at_once_is_an_error(stack: Stack) -> None:
    requests = [
        pb.IngestDocumentsRequest(collection=stack.collection, documents=[pb.DocumentInput(id="c1", text="One.")]),
        pb.IngestDocumentsRequest(collection="other", documents=[pb.DocumentInput(id="c2", text="Two.")]),
    ]

    error = await failure(stack.stub.IngestDocuments(iter(requests)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_from_rpc(error).field == "collection"


async def test_documents_are_read_listed_and_deleted(stack: Stack) -> None:
    await stack.add({"id": "鹭/1", "title": "T", "text": "Text.", "metadata": {"n": 3}})
    get = pb.GetDocumentRequest(id="鹭/1", collection=stack.collection)

    document = (await stack.stub.GetDocument(get)).document
    assert (document.id, document.title, document.text, document.chunk_count) == ("鹭/1", "T", "Text.", 1)
    assert dict(document.metadata) == {"n": 3}
    listed = await stack.stub.ListDocuments(pb.ListDocumentsRequest(collection=stack.collection, page_size=1000))
    assert "鹭/1" in {one.id for one in listed.documents}
    assert {one.text for one in listed.documents} == {""}
    delete = pb.DeleteDocumentsRequest(ids=["鹭/1", "nothing"], collection=stack.collection)
    assert list((await stack.stub.DeleteDocuments(delete)).deleted_ids) == ["鹭/1"]
    assert (await failure(stack.stub.GetDocument(get))).code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("page_size", [0, -1, 1001])
async def test_page_size_out_of_range_is_an_error(stack: Stack, page_size: int) -> None:
    error = await failure(stack.stub.ListDocuments(pb.ListDocumentsRequest(page_size=page_size)))

    assert error_from_rpc(error).field == "page_size"


async def test_delete_without_ids_is_an_error(stack: Stack) -> None:
    error = await failure(stack.stub.DeleteDocuments(pb.DeleteDocumentsRequest(collection=stack.collection)))

    assert error_from_rpc(error).field == "ids"


async def test_collections_are_created_described_listed_and_deleted(stack: Stack) -> None:
    name = f"{stack.collection}-rpc"
    created = (await stack.stub.CreateCollection(pb.CreateCollectionRequest(name=name))).collection
    assert (created.name, created.model, created.dimension, created.chunk_count) == (name, "words", 32, 0)
    again = await failure(stack.stub.CreateCollection(pb.CreateCollectionRequest(name=name)))
    assert again.code() is grpc.StatusCode.ALREADY_EXISTS
    described = (await stack.stub.GetCollection(pb.GetCollectionRequest(name=name))).collection
    assert described == created
    assert created in (await stack.stub.ListCollections(pb.ListCollectionsRequest())).collections
    await stack.stub.DeleteCollection(pb.DeleteCollectionRequest(name=name))
    gone = await failure(stack.stub.GetCollection(pb.GetCollectionRequest(name=name)))
    assert gone.code() is grpc.StatusCode.NOT_FOUND


async def test_status_and_health_say_that_the_gateway_is_ready(stack: Stack) -> None:
    status = await stack.stub.GetStatus(pb.GetStatusRequest())

    assert status.ready
    assert [one.stage for one in status.stages] == ["embed", "search", "rerank", "generate"]
    assert status.stages[0].model == "words"
    assert all(one.ready for one in status.stages)
    health: Any = health_pb2_grpc.HealthStub(stack.channel)
    for name in ("", "trivium.gateway.v1.GatewayService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_deadline_of_the_caller_is_passed_on_in_shares(stack: Stack) -> None:
    await stack.stub.Retrieve(pb.RetrieveRequest(query="deadline of herons", collection=stack.collection), timeout=2)

    embed, rerank = stack.embed.called("Embed")[-1], stack.rerank.called("Rerank")[-1]
    assert embed.seconds_left is not None
    assert embed.seconds_left <= 0.4 * 2 + 0.05  # gRPC rounds up
    assert rerank.seconds_left is not None
    assert rerank.seconds_left <= 0.5 * 2 + 0.05


async def test_deadline_of_the_caller_leaves_time_for_the_fallback(stack: Stack) -> None:
    stack.generate.faults["Generate"] = HANG

    events = [event async for event in stack.stub.Answer(question(stack), timeout=2)]

    assert events[-1].summary.degraded[0].fallback == "passages"


async def test_call_that_is_cancelled_cancels_the_writing(stack: Stack) -> None:
    stack.generate.script = [delta("Herons "), HANG]
    call = stack.stub.Answer(question(stack))
    async for event in call:
        if event.HasField("delta"):
            break

    call.cancel()

    await asyncio.wait_for(stack.generate.cancelled.wait(), 10)
    await stack.until(lambda: stack.metric("trivium_gateway_questions_in_flight") == 0)


async def test_request_id_of_the_caller_is_used(stack: Stack) -> None:
    request = pb.RetrieveRequest(query="herons", collection=stack.collection)
    response = await stack.stub.Retrieve(request, metadata=(("x-request-id", "rpc-7"),))

    assert response.request_id == "rpc-7"
    assert stack.rerank.called("Rerank")[-1].request_id == "rpc-7"
