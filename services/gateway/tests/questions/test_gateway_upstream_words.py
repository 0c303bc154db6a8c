"""Whatever an upstream says when it fails reaches the log under the request's id, and no answer of any surface."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from mcp import Client
from mcp.shared.exceptions import MCPError
from model_services.upstream_words import is_logged, logged_lines, told
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.ingestion import patience
from trivium_gateway.request import record
from trivium_serving import tracing
from trivium_serving.degradation_log import DegradationLog

from .conftest import DOCUMENTS, running_stack
from .relay import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from .conftest import Peer, Qdrant, Stack
    from .relay import Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
_CODES = {
    "embed": (*_PASSING, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND),
    "rerank": (*_PASSING, grpc.StatusCode.FAILED_PRECONDITION),
    "generate": (*_PASSING, grpc.StatusCode.INVALID_ARGUMENT),
    "qdrant": (*_PASSING, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED),
    "qdrant writes": (*_PASSING, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED),
}
CASES = [pytest.param(name, code, id=f"{name}-{code.name}") for name, codes in _CODES.items() for code in codes]
_WRITES = ("/Upsert", "/Delete", "/SetPayload", "/Create", "/CreateFieldIndex")


@dataclass
class Relayed:
    """A gateway, and the relay between it and Qdrant."""

    stack: Stack
    relay: Relay

    def fail(self, upstream: str, code: grpc.StatusCode) -> None:
        if upstream.startswith("qdrant"):
            self.relay.methods = _WRITES if upstream == "qdrant writes" else ("",)
            self.relay.fault = code
            return
        peer: Peer = getattr(self.stack, upstream)
        methods = ("Embed", "EmbedStream", "Tokenize", "GetModel", "Rerank", "Generate")
        peer.faults.update(dict.fromkeys(methods, code))

    def mend(self) -> None:
        self.relay.fault = None
        for peer in (self.stack.embed, self.stack.rerank, self.stack.generate):
            peer.reset()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(qdrant: Qdrant) -> AsyncIterator[Relayed]:
    async with relayed(qdrant) as (relay, before), running_stack(before) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        yield Relayed(stack, relay)


def _http_calls(name: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    question = {"question": "What do herons eat?", "collection": name}
    chat = {"model": f"trivium/{name}", "messages": [{"role": "user", "content": "What do herons eat?"}]}
    documents = {"collection": name, "documents": [{"id": "new", "text": "Coots dive."}]}
    texts = {"query": "fish", "documents": ["Herons eat fish."]}
    return [
        ("POST", "/v1/retrieve", {"query": "What do herons eat?", "collection": name}),
        ("POST", "/v1/answer", question),
        ("POST", "/v1/answer", {**question, "stream": True}),
        ("POST", "/v1/answer", {**question, "mode": "model", "stream": True}),
        ("POST", "/v1/answer", {**question, "mode": "model"}),
        ("POST", "/v1/documents", documents),
        ("GET", f"/v1/documents?collection={name}", None),
        ("GET", f"/v1/documents/heron?collection={name}", None),
        ("DELETE", f"/v1/documents/none?collection={name}", None),
        ("POST", "/v1/collections", {"name": f"{name}-new"}),
        ("GET", "/v1/collections", None),
        ("GET", f"/v1/collections/{name}", None),
        ("DELETE", f"/v1/collections/{name}-new", None),
        ("POST", "/v1/embeddings", {"model": "trivium", "input": "fish"}),
        ("POST", "/v1/embeddings", {"model": "words", "input": "fish"}),
        ("POST", "/v2/rerank", {"model": "trivium", **texts}),
        ("POST", "/v1/rerank", {"model": "trivium", **texts}),
        ("POST", "/rerank", {"query": "fish", "texts": ["Herons eat fish."]}),
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/chat/completions", {**chat, "stream": True}),
        ("POST", "/v1/responses", {"model": f"trivium/{name}", "input": "What do herons eat?"}),
        ("POST", "/v1/responses", {"model": f"trivium/{name}", "input": "What do herons eat?", "stream": True}),
        ("POST", f"/v1/vector_stores/{name}/search", {"query": "herons"}),
        ("GET", "/v1/vector_stores", None),
        ("GET", "/v1/models", None),
        ("GET", "/readyz", None),
    ]


async def _grpc_answers(stack: Stack) -> list[str]:
    name, stub = stack.collection, stack.stub
    document = pb.DocumentInput(id="new", text="Coots dive.")
    calls: list[Any] = [
        lambda: stub.Retrieve(pb.RetrieveRequest(query="herons", collection=name)),
        lambda: stub.Answer(pb.AnswerRequest(question="What do herons eat?", collection=name)),
        lambda: stub.Answer(pb.AnswerRequest(question="herons?", collection=name, mode=pb.ANSWER_MODE_MODEL)),
        lambda: stub.IngestDocuments(iter([pb.IngestDocumentsRequest(collection=name, documents=[document])])),
        lambda: stub.GetDocument(pb.GetDocumentRequest(collection=name, id="heron")),
        lambda: stub.ListDocuments(pb.ListDocumentsRequest(collection=name)),
        lambda: stub.DeleteDocuments(pb.DeleteDocumentsRequest(collection=name, ids=["none"])),
        lambda: stub.GetCollection(pb.GetCollectionRequest(name=name)),
        lambda: stub.ListCollections(pb.ListCollectionsRequest()),
        lambda: stub.GetStatus(pb.GetStatusRequest()),
    ]
    answers = []
    for call in calls:
        made = call()
        try:
            parts = [one async for one in made] if hasattr(made, "__aiter__") else [await made]
            answers.append(f"{parts} {await made.trailing_metadata()}")
        except grpc.aio.AioRpcError as error:
            answers.append(f"{error.details()} {error.trailing_metadata()}")
    return answers


async def _mcp_answers(stack: Stack) -> list[str]:
    name = stack.collection
    calls: list[tuple[str, dict[str, Any]]] = [
        ("search", {"query": "herons", "collection": name}),
        ("answer", {"question": "What do herons eat?", "collection": name}),
        ("ingest", {"documents": [{"id": "new", "text": "Coots dive."}], "collection": name}),
        ("list_documents", {"collection": name}),
        ("read_document", {"id": "heron", "collection": name}),
        ("list_collections", {}),
    ]
    answers = []
    async with Client(f"{stack.http.base_url}".rstrip("/") + "/mcp") as client:
        for tool, arguments in calls:
            answers.append(str(await client.call_tool(tool, arguments)))
        try:
            answers.append(str(await client.read_resource(f"trivium://{name}/heron")))
        except MCPError as error:
            answers.append(str(error))
    return answers


@pytest.mark.parametrize(("upstream", "code"), CASES)
async def test_upstreams_words_are_in_no_answer_and_in_the_log_under_the_requests_id(
    gateway: Relayed, upstream: str, code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = gateway.stack
    monkeypatch.setattr(patience, "_UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(patience, "_OVERLOADED_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(record, "_log", DegradationLog(logging.getLogger("replaced")))
    gateway.fail(upstream, code)
    try:
        with logged_lines() as lines:
            responses: list[httpx.Response] = []
            for method, path, body in _http_calls(stack.collection):
                responses.append(await stack.http.request(method, path, json=body))
            others = [*await _grpc_answers(stack), *await _mcp_answers(stack)]
    finally:
        gateway.mend()

    for response in responses:
        assert told(f"{response.text} {response.headers}") == [], response.request.url
    for answer in others:
        assert told(answer) == []
    failed = [one for one in responses if _shows_a_failure(one)]
    assert failed
    for response in failed:
        assert is_logged(lines, response.headers["X-Request-Id"]), (response.request.url, response.text)


def _shows_a_failure(response: httpx.Response) -> bool:
    """Whether something of what was asked for failed, other than by its caller's mistake."""
    if response.request.url.path == "/readyz":
        return False
    return (
        response.status_code in (429, 500, 501, 503, 504)
        or "UPSTREAM_" in response.text
        or "X-Trivium-Degraded" in response.headers
    )


async def test_upstreams_words_are_on_no_trace(qdrant: Qdrant, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    tracing.use_provider(provider)  # before the channels are opened, which trace their calls or do not
    try:
        async with relayed(qdrant) as (relay, before), running_stack(before) as stack:
            await stack.create_collection()
            await stack.add(*DOCUMENTS)
            failing = Relayed(stack, relay)
            spans.clear()
            for upstream in ("embed", "rerank", "generate"):
                failing.fail(upstream, grpc.StatusCode.INTERNAL)
            degraded = await stack.ask("What do the herons eat?")
            failing.fail("qdrant", grpc.StatusCode.INTERNAL)
            failed = await stack.retrieve()
    finally:
        tracing.use_provider(None)

    finished = spans.get_finished_spans()
    assert (degraded.status_code, failed.status_code) == (200, 503)
    assert {"INTERNAL", "UPSTREAM_FAILED"} <= {str((one.attributes or {}).get("error.type")) for one in finished}
    assert told(" ".join(one.to_json() for one in finished)) == []
