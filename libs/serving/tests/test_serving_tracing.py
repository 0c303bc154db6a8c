"""Traces over real connections: each kind of call, its failures, and what is on no trace."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from trivium.embed.v1 import embed_service_pb2 as embed
from trivium.embed.v1 import embed_service_pb2_grpc as embed_grpc
from trivium.gateway.v1 import gateway_service_pb2 as gateway
from trivium.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from trivium.generate.v1 import generate_service_pb2 as generate
from trivium.generate.v1 import generate_service_pb2_grpc as generate_grpc
from trivium_serving import tracing
from trivium_serving.channels import open_channel
from trivium_serving.errors import DeadlineExceeded
from trivium_serving.logs import configure_logging
from trivium_serving.request_context import set_tenant
from trivium_serving.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

EMBED, GENERATE, GATEWAY = (
    "trivium.embed.v1.EmbedService",
    "trivium.generate.v1.GenerateService",
    "trivium.gateway.v1.GatewayService",
)
METHODS = {  # one of each kind
    "unary": f"{EMBED}/Embed",
    "bidi": f"{EMBED}/EmbedStream",
    "server stream": f"{GENERATE}/Generate",
    "client stream": f"{GATEWAY}/IngestDocuments",
}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


_SERVICERS = (
    embed_grpc.EmbedServiceServicer,
    generate_grpc.GenerateServiceServicer,
    gateway_grpc.GatewayServiceServicer,
)
_Unimplemented: Any = type("_Unimplemented", _SERVICERS, {})


class Servicer(_Unimplemented):  # type: ignore[misc]  # RPCs of the same name differ in the three
    """Works a little in a span of its own; fails, or goes on for ever, if the test wants it."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.endless = False

    def _work(self) -> None:
        with tracing.span("work"):
            if self.error is not None:
                raise self.error

    async def Embed(self, request: Any, context: Any) -> embed.EmbedResponse:
        self._work()
        return embed.EmbedResponse()

    async def EmbedStream(self, request_iterator: Any, context: Any) -> AsyncIterator[embed.EmbedStreamResponse]:
        async for _ in request_iterator:
            self._work()
            yield embed.EmbedStreamResponse()

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[generate.GenerateResponse]:
        self._work()
        yield generate.GenerateResponse()
        if self.endless:
            await asyncio.Event().wait()

    async def IngestDocuments(self, request_iterator: Any, context: Any) -> gateway.IngestDocumentsResponse:
        async for _ in request_iterator:
            self._work()
        return gateway.IngestDocumentsResponse()


class Running:
    """A server, a channel to it, and the spans of both."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter
        self.server = GrpcServer(
            service="test",
            listen="127.0.0.1:0",
            full_names=(EMBED, GENERATE, GATEWAY),
            registry=CollectorRegistry(),
            let_in=lambda _context: set_tenant("acme"),
        )
        self.servicer = Servicer()
        embed_grpc.add_EmbedServiceServicer_to_server(self.servicer, self.server.grpc)
        generate_grpc.add_GenerateServiceServicer_to_server(self.servicer, self.server.grpc)
        gateway_grpc.add_GatewayServiceServicer_to_server(self.servicer, self.server.grpc)

    async def start(self) -> None:
        self.target = f"127.0.0.1:{await self.server.start()}"
        self.channel = open_channel(self.target)

    async def call(self, kind: str) -> None:
        async def one(request: Any) -> AsyncIterator[Any]:
            yield request

        if kind == "unary":
            await embed_grpc.EmbedServiceStub(self.channel).Embed(embed.EmbedRequest())
        elif kind == "bidi":
            async for _ in embed_grpc.EmbedServiceStub(self.channel).EmbedStream(one(embed.EmbedStreamRequest())):
                pass
        elif kind == "server stream":
            async for _ in generate_grpc.GenerateServiceStub(self.channel).Generate(generate.GenerateRequest()):
                pass
        else:
            stub = gateway_grpc.GatewayServiceStub(self.channel)
            await stub.IngestDocuments(one(gateway.IngestDocumentsRequest()))

    async def spans(self, count: int) -> dict[tuple[str, SpanKind], ReadableSpan]:
        """The spans that have ended, when they are so many."""
        async with asyncio.timeout(5):
            while len(found := self._exporter.get_finished_spans()) < count:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.005)
        assert len(found) == count
        return {(span.name, span.kind): span for span in found}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use_provider(provider)
    yield exporter
    tracing.use_provider(None)


@pytest.fixture
async def running(exporter: InMemorySpanExporter) -> AsyncIterator[Running]:
    running = Running(exporter)
    await running.start()
    yield running
    await running.channel.close()
    await running.server.stop(0)


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


@pytest.mark.parametrize("kind", METHODS)
async def test_tracing_call_of_each_kind_is_one_trace(running: Running, kind: str) -> None:
    method = METHODS[kind]
    with tracing.request_span("question", {"traceparent": PARENT, "tracestate": "vendor=1"}):
        await running.call(kind)

    spans = await running.spans(4)
    root, work = spans["question", SpanKind.SERVER], spans["work", SpanKind.INTERNAL]
    client, server = spans[method, SpanKind.CLIENT], spans[method, SpanKind.SERVER]
    assert {format(span.context.trace_id, "032x") for span in spans.values()} == {PARENT.split("-")[1]}
    assert format(parent_of(root), "016x") == PARENT.split("-")[2]
    assert (parent_of(client), parent_of(server), parent_of(work)) == (
        root.context.span_id, client.context.span_id, server.context.span_id
    )  # fmt: skip
    assert server.context.trace_state.get("vendor") == "1"
    assert dict(client.attributes or {}) == {
        "rpc.system.name": "grpc",
        "rpc.method": method,
        "rpc.response.status_code": "OK",
        "server.address": running.target,
    }
    assert (server.attributes or {})["rpc.response.status_code"] == "OK"
    assert (server.attributes or {})["trivium.request_id"]
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}


@pytest.mark.parametrize("kind", METHODS)
async def test_tracing_call_that_fails_marks_each_span_and_tells_no_message(running: Running, kind: str) -> None:
    running.servicer.error = DeadlineExceeded("the secret text")
    with tracing.request_span("question", {}), pytest.raises(grpc.aio.AioRpcError):
        await running.call(kind)

    spans = await running.spans(4)
    root = spans.pop(("question", SpanKind.SERVER))
    assert root.status.status_code is StatusCode.UNSET  # the caller took it well
    assert {span.status.status_code for span in spans.values()} == {StatusCode.ERROR}
    assert {span.status.description for span in spans.values()} == {"DEADLINE_EXCEEDED"}
    assert not [span for span in spans.values() if "secret" in span.to_json()]


async def test_tracing_answer_that_its_caller_leaves_is_no_error(running: Running) -> None:
    running.servicer.endless = True
    with tracing.request_span("question", {}):
        call = generate_grpc.GenerateServiceStub(running.channel).Generate(generate.GenerateRequest())
        async for _ in call:
            break
        call.cancel()

    spans = await running.spans(4)
    assert {span.status.status_code for span in spans.values()} == {StatusCode.UNSET}
    for kind in (SpanKind.CLIENT, SpanKind.SERVER):
        assert (spans[METHODS["server stream"], kind].attributes or {})["rpc.response.status_code"] == "CANCELLED"


async def test_tracing_call_outside_of_requests_makes_no_trace(running: Running) -> None:
    await running.call("unary")
    with tracing.request_span("last", {}):
        pass

    assert [name for name, _ in await running.spans(1)] == ["last"]


async def test_tracing_caller_without_trace_begins_one(running: Running) -> None:
    async with grpc.aio.insecure_channel(running.target) as channel:
        await embed_grpc.EmbedServiceStub(channel).Embed(embed.EmbedRequest())

    assert (await running.spans(2))[METHODS["unary"], SpanKind.SERVER].parent is None


async def test_tracing_iterator_closed_by_another_task_ends_its_span(exporter: InMemorySpanExporter) -> None:
    async def numbers() -> AsyncIterator[int]:
        with tracing.span("numbers"):
            yield 1
            yield 2

    with tracing.request_span("question", {}):
        iterator: Any = numbers()
        async with aclosing(iterator):
            await asyncio.create_task(anext(iterator))
        assert tracing.current().trace_id

    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["numbers", "question"]


async def test_logs_have_one_line_per_request_with_its_ids(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIVIUM_LOG_FORMAT", "json")
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("test")
    try:
        stub = embed_grpc.EmbedServiceStub(running.channel)
        with tracing.request_span("question", {"traceparent": PARENT}):
            await stub.Embed(embed.EmbedRequest(texts=["the text"]), metadata=(("x-request-id", "abc"),))
            running.servicer.error = DeadlineExceeded("no")
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.Embed(embed.EmbedRequest(), metadata=(("x-request-id", "abd"),))
    finally:
        root.handlers[:], root.level = before
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    first, second = (line for line in lines if "method" in line)
    assert first.pop("duration_ms") > 0
    assert {key: first[key] for key in ("method", "code", "request_id", "trace_id", "tenant", "level", "service")} == {
        "method": "EmbedService/Embed",
        "code": "OK",
        "request_id": "abc",
        "trace_id": PARENT.split("-")[1],
        "tenant": "acme",
        "level": "info",
        "service": "test",
    }
    assert (second["code"], second["request_id"]) == ("DEADLINE_EXCEEDED", "abd")


def test_tracing_without_endpoint_or_disabled_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for environ in (
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ):
        with monkeypatch.context() as patch:
            patch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
            for name, value in environ.items():
                patch.setenv(name, value)
            tracing.configure_tracing("test")

        assert not tracing.is_on()
        assert tracing.outgoing_headers() == {}
        with tracing.request_span("question", {"traceparent": PARENT}) as root, tracing.span("stage") as stage:
            assert (root.traceparent, stage.trace_id) == ("", "")


def test_tracing_protocol_other_than_grpc_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")

    with pytest.raises(ValueError, match="over grpc only"):
        tracing.configure_tracing("test")


def test_tracing_collector_that_is_gone_does_not_hold_the_end_of_a_process() -> None:
    script = """
import time
from trivium_serving import tracing
tracing.configure_tracing("test")
with tracing.request_span("question", {}):
    pass
print(time.monotonic())
"""
    environ = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    shown = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)

    assert time.monotonic() - float(shown.stdout) < 5  # the exporter itself would go on for ten seconds
