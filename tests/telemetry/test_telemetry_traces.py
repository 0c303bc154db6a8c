"""The real stack sends its traces to a collector, and logs no text and no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from e2e.stack import SERVICES, Stack, ready, wait_until
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as pb_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TEXT, SECRET = "zanzibar", "k3y-canary"
DOCUMENT = {"id": "tides", "text": f"The tides of {TEXT} rise four metres in March. The harbour of {TEXT} is deep."}

# Each span of a question, and its parent: (service, name).
EMBED, RERANK, GENERATE = (f"trivium.{name.lower()}.v1.{name}Service" for name in ("Embed", "Rerank", "Generate"))
PARENTS = {
    ("gateway", "embed"): ("gateway", "POST /v1/answer"),
    ("gateway", f"{EMBED}/Embed"): ("gateway", "embed"),
    ("embed", f"{EMBED}/Embed"): ("gateway", f"{EMBED}/Embed"),
    ("embed", "embeddings"): ("embed", f"{EMBED}/Embed"),
    ("gateway", "search"): ("gateway", "POST /v1/answer"),
    ("gateway", "QueryBatchPoints"): ("gateway", "search"),
    ("qdrant_edge", "qdrant.Points/QueryBatch"): ("gateway", "QueryBatchPoints"),
    ("gateway", "rerank"): ("gateway", "POST /v1/answer"),
    ("gateway", f"{RERANK}/Rerank"): ("gateway", "rerank"),
    ("rerank", f"{RERANK}/Rerank"): ("gateway", f"{RERANK}/Rerank"),
    ("rerank", "rerank"): ("rerank", f"{RERANK}/Rerank"),
    ("gateway", "generate"): ("gateway", "POST /v1/answer"),
    ("gateway", f"{GENERATE}/Generate"): ("gateway", "generate"),
    ("generate", f"{GENERATE}/Generate"): ("gateway", f"{GENERATE}/Generate"),
    ("generate", "chat no-such-model"): ("generate", f"{GENERATE}/Generate"),
}


class Collector(pb_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, each with its service."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Span]] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        pb_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request: Any, context: Any) -> pb.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            service = names["service.name"].removeprefix("trivium-")
            self.received += [(service, span) for scope in resource.scope_spans for span in scope.spans]
        return pb.ExportTraceServiceResponse()

    def stop(self) -> None:
        self._server.stop(0).wait()

    def trace(self, trace_id: str) -> dict[tuple[str, str], Span]:
        """The spans of a trace by service and name."""
        return {(service, one.name): one for service, one in self.received if one.trace_id.hex() == trace_id}

    def names(self, trace_id: str) -> dict[bytes, tuple[str, str]]:
        """Service and name of each span of a trace; a call that was made twice has two spans."""
        return {one.span_id: (service, one.name) for service, one in self.received if one.trace_id.hex() == trace_id}


def attributes(span: Span) -> dict[str, Any]:
    """A span's attributes as Python has them."""
    values = {}
    for one in span.attributes:
        kind = one.value.WhichOneof("value") or "string_value"
        value = getattr(one.value, kind)
        values[one.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return values


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.stop()


@pytest.fixture(scope="module")
def stack(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with traces, keys, and a language model behind an API that is not there."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={SECRET}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "TRIVIUM_LOG_FORMAT": "json",
        "TRIVIUM_GATEWAY_QDRANT_API_KEY": SECRET,
        "TRIVIUM_EMBED_API_KEY": SECRET,
        "TRIVIUM_GENERATE_BACKEND": "openai",
        "TRIVIUM_GENERATE_MODEL": "no-such-model",
        "TRIVIUM_GENERATE_API_URL": "http://127.0.0.1:1/v1",
        "TRIVIUM_GENERATE_API_KEY": SECRET,
        "TRIVIUM_GENERATE_API_ATTEMPTS": "1",
    }
    with ready(Stack(tmp_path_factory.mktemp("traced"), environ)) as stack:
        wait_until(lambda: "failed" in _generate_detail(stack), "language model that is known not to be there", 60)
        stack.ingest(DOCUMENT)
        yield stack


def _generate_detail(stack: Stack) -> str:
    """What the gateway says of the generate service."""
    details: dict[str, str] = {one["stage"]: one["detail"] for one in stack.http.get("/readyz").json()["stages"]}
    return details["generate"]


def test_question_is_one_trace_through_all_services(stack: Stack, collector: Collector) -> None:
    response = stack.http.post(
        "/v1/answer",
        json={"question": f"How high are the tides of {TEXT}?"},
        headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "x-request-id": "question-1"},
    )
    response.raise_for_status()

    def is_there() -> bool:  # each process sends its spans by itself, and a call that was made twice has two
        spans, known = collector.trace(TRACE_ID), collector.names(TRACE_ID).keys()
        return PARENTS.keys() <= spans.keys() and {spans[key].parent_span_id for key in PARENTS} <= known

    wait_until(is_there, "trace", 10)
    spans = collector.trace(TRACE_ID)
    by_id = collector.names(TRACE_ID)
    assert {key: by_id[spans[key].parent_span_id] for key in PARENTS} == PARENTS
    root = spans["gateway", "POST /v1/answer"]
    assert root.parent_span_id.hex() == CALLER
    assert response.headers["traceresponse"] == f"00-{TRACE_ID}-{root.span_id.hex()}-01"
    told = attributes(root)
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/answer", 200)
    assert told["trivium.degraded"] == ["generate:unavailable:extractive"]
    servers = [span for span in spans.values() if span.kind == Span.SPAN_KIND_SERVER]
    assert {attributes(span)["trivium.request_id"] for span in servers} == {"question-1"}
    assert not [span for _, span in collector.received if TEXT in str(span) or SECRET in str(span)]


def test_spans_of_models_follow_the_conventions(stack: Stack, collector: Collector) -> None:
    spans = collector.trace(TRACE_ID)

    embeddings = attributes(spans["embed", "embeddings"])
    assert embeddings["gen_ai.operation.name"] == "embeddings"
    assert embeddings["gen_ai.request.model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert embeddings["gen_ai.usage.input_tokens"] > 5
    assert embeddings["trivium.compute_ms"] > 0
    assert attributes(spans["rerank", "rerank"])["trivium.texts"] == 1
    chat = attributes(spans["generate", "chat no-such-model"])
    assert (chat["gen_ai.operation.name"], chat["gen_ai.request.model"]) == ("chat", "no-such-model")
    assert (chat["gen_ai.response.model"], chat["gen_ai.response.finish_reasons"]) == ("extractive", ["stop"])
    assert chat["gen_ai.response.time_to_first_chunk"] > 0
    assert [event.name for event in spans["generate", "chat no-such-model"].events] == ["first token"]


def test_ingestion_is_one_trace(stack: Stack, collector: Collector) -> None:
    trace_id = "1" * 32
    parent = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
    stack.http.post("/v1/documents", json={"documents": [{"id": "a", "text": "One."}]}, headers=parent)

    expected = {("gateway", "ingest embed"), ("embed", f"{EMBED}/EmbedStream"), ("qdrant_edge", "qdrant.Points/Upsert")}
    wait_until(lambda: expected <= collector.trace(trace_id).keys(), "trace of an ingestion", 10)


def test_looking_at_the_services_makes_no_traces(stack: Stack, collector: Collector) -> None:
    stack.stages()

    begun = {span.name for _, span in collector.received if not span.parent_span_id}
    assert begun == {"POST /v1/documents"}


def test_logs_have_each_request_and_neither_texts_nor_secrets(stack: Stack) -> None:
    def post(path: str, body: Any, **options: Any) -> int:
        headers = {"authorization": f"Bearer {SECRET}", "x-request-id": "canary"}
        return stack.http.post(path, json=body, headers=headers, **options).status_code

    question = {"question": f"What of {TEXT}?"}
    documents = [DOCUMENT, {"id": "b", "text": TEXT, "metadata": {"year": TEXT}}]
    assert post("/v1/documents", {"documents": documents}) == 200
    post("/v1/documents", {"documents": [{"id": "c", "text": TEXT, "metadata": {"year": 7}}]})
    assert post("/v1/answer", question) == 200
    assert post("/v1/answer", question | {"stream": True}) == 200
    assert post("/v1/answer", question | {"question": f"{TEXT} " * 100_000}) == 413
    assert post("/v1/retrieve", {"query": [TEXT]}) == 400
    assert post("/v1/retrieve", {"query": TEXT, "filter": {TEXT: TEXT}}) == 400
    assert post(f"/v1/{TEXT}", question) == 404
    assert stack.http.post("/v1/answer", content=f'{{"question": "{TEXT}').status_code == 400
    stack.end("rerank", "qdrant_edge")
    assert post("/v1/answer", question) == 503

    logs = {service: stack.log(service) for service in SERVICES}
    assert {service for service, log in logs.items() if TEXT in log or SECRET in log} == set()
    lines = [json.loads(line) for line in logs["gateway"].splitlines() if line.startswith("{")]
    (answered,) = (line for line in lines if line.get("request_id") == "question-1" and "method" in line)
    assert (answered["method"], answered["code"], answered["tenant"]) == ("POST /v1/answer", "200", "default")
    assert (answered["trace_id"], answered["duration_ms"] > 0) == (TRACE_ID, True)
    for service in ("embed", "rerank", "generate", "qdrant_edge"):
        assert '"request_id": "question-1"' in logs[service], service


def test_traces_are_off_by_default_and_import_nothing() -> None:
    script = """
import sys
from trivium_serving import tracing
import trivium_embed.__main__, trivium_rerank.__main__, trivium_generate.__main__, trivium_qdrant_edge.__main__
import trivium_gateway.__main__, trivium_gateway.app
tracing.configure_tracing("gateway")
sdk = ("opentelemetry.sdk", "opentelemetry.exporter")
print(tracing.is_on(), [name for name in sys.modules if name.startswith(sdk)])
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert shown.stdout == "False []\n"
