"""Whatever an upstream says when it fails reaches the log under the request's id, and no answer of any surface."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest
import pytest_asyncio
from model_services.upstream_words import is_logged, logged_lines, told
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from trivium_gateway.ingestion import patience
from trivium_gateway.request import record
from trivium_serving import tracing
from trivium_serving.degradation_log import DegradationLog

from .conftest import DOCUMENTS, running_stack
from .every_call import grpc_answers, grpc_methods, grpc_methods_called, http_calls, mcp_answers
from .relay import relayed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


async def test_calls_of_this_module_are_all_that_the_gateway_takes(gateway: Relayed) -> None:
    described = (await gateway.stack.http.get("/openapi.json")).json()["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    called = [(method, path.partition("?")[0]) for method, path, _ in http_calls("name", "asked", "job")]

    def is_of(route: tuple[str, str], call: tuple[str, str]) -> bool:
        return route[0] == call[0] and bool(re.fullmatch(re.sub(r"{[^}]*}", "[^?]+", route[1]), call[1]))

    assert len(routes) > 30
    assert {route for route in routes if not any(is_of(route, call) for call in called)} == set()
    assert grpc_methods() == grpc_methods_called()


async def _job(stack: Stack) -> str:
    document = {"id": "later", "text": "Coots dive."}
    body = {"documents": [document], "collection": stack.collection, "wait": False}
    job: str = (await stack.http.post("/v1/documents", json=body)).json()["job"]
    return job


@pytest.mark.parametrize(("upstream", "code"), CASES)
async def test_upstreams_words_are_in_no_answer_and_in_the_log_under_the_requests_id(
    gateway: Relayed, upstream: str, code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = gateway.stack
    monkeypatch.setattr(patience, "_UNAVAILABLE_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(patience, "_OVERLOADED_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(record, "_log", DegradationLog(logging.getLogger("replaced")))
    asked = (await stack.ask()).headers["X-Request-Id"]
    gateway.fail(upstream, code)
    try:
        with logged_lines() as lines:
            jobs = [await _job(stack) for _ in range(2)]
            responses: list[httpx.Response] = []
            for method, path, body in http_calls(stack.collection, asked, jobs[0]):
                try:
                    responses.append(await stack.http.request(method, path, json=body))
                except httpx.RemoteProtocolError:
                    assert "/export" in path  # a file that breaks off
            others = [*await grpc_answers(stack, asked, jobs[1]), *await mcp_answers(stack)]
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
    if response.request.url.path.startswith(("/readyz", "/metrics", "/v1/jobs", "/v1/traces")):
        return False  # which show what failed before
    if "does not answer" in response.text:
        return False  # so that it has said nothing
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
