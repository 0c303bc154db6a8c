"""Bodies of strangers: what a hostile one takes of memory, and how many bytes of them are held at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.settings import GatewaySettings
from trivium_gateway.surfaces.http.bodies import JsonBody
from trivium_serving.errors import Overloaded
from trivium_serving.rpc_errors import error_from_rpc

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from pydantic import BaseModel

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Beyond what the objects of values within the limit take: a list of empty lists is twenty times its text.
MOST_BYTES_PER_BYTE = 40
MAX_HELD = 400_000
TEXT = "w" * 150_000


async def test_hostile_body_takes_little_memory_and_makes_few_errors() -> None:
    script = Path(__file__).with_name("hostile_bodies.py")
    running = await asyncio.create_subprocess_exec(sys.executable, script, stdout=subprocess.PIPE)
    output, _ = await running.communicate()
    assert running.returncode == 0
    seen = [json.loads(line) for line in output.splitlines()]

    assert len(seen) > 50
    assert [one for one in seen if one["ratio"] > MOST_BYTES_PER_BYTE] == []
    assert [one for one in seen if one["errors"] > 2] == []  # a required field may be missing beside


def _body_classes(base: type[BaseModel] = JsonBody) -> Iterator[type[BaseModel]]:
    for body in base.__subclasses__():
        yield body
        yield from _body_classes(body)


def _lists(schema: Any, path: str, bounded: bool = False) -> Iterator[str]:
    """The lists in a pydantic schema that are read whole before anybody counts them, or beyond the first error."""
    if isinstance(schema, dict):
        kind = schema.get("type")
        if kind == "list" and not (bounded and schema.get("fail_fast")):
            yield path
        for key, value in schema.items():
            if key not in ("metadata", "serialization"):
                yield from _lists(value, f"{path}.{key}", bounded=kind == "function-before")
    elif isinstance(schema, list):
        for one in schema:
            yield from _lists(one, path)


async def test_body_lists_are_counted_before_they_are_read_and_stop_at_the_first_error() -> None:
    bodies = list(_body_classes())

    assert len(bodies) > 20
    assert [path for body in bodies for path in _lists(body.__pydantic_core_schema__, body.__name__)] == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_stack(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway that holds few bytes."""
    async with running_stack(qdrant, GatewaySettings(max_body_bytes_in_flight=MAX_HELD)) as running:
        await running.create_collection()
        yield running


@asynccontextmanager
async def held_body(stack: Stack, size: int, *, chunked: bool) -> AsyncIterator[None]:
    """Holds a body of which the end does not come."""
    _, writer = await asyncio.open_connection("127.0.0.1", stack.process.http_port)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"POST /v1/documents HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    writer.write(head.encode())
    writer.write(f"{size:x}\r\n".encode() + b" " * size + b"\r\n" if chunked else b" ")
    try:
        await stack.until(lambda: stack.metric("trivium_gateway_body_bytes_in_flight") >= size)
        yield
    finally:
        writer.close()
    await stack.until(lambda: stack.metric("trivium_gateway_body_bytes_in_flight") == 0)


REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/answer": {"json": {"question": "q", "history": [{"role": "user", "content": TEXT}]}},
    "/v1/retrieve": {"json": {"query": TEXT}},
    "/v1/chat/completions": {"json": {"model": "trivium", "messages": [{"role": "user", "content": TEXT}]}},
    "/v1/responses": {"json": {"model": "trivium", "input": TEXT}},
    "/v1/embeddings": {"json": {"model": "trivium", "input": TEXT}},
    "/v2/rerank": {"json": {"query": "q", "documents": [TEXT]}},
    "/v1/rerank": {"json": {"query": "q", "documents": [TEXT]}},
    "/rerank": {"json": {"query": "q", "texts": [TEXT]}},
    "/mcp": {"json": {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": TEXT}}},
    "/v1/documents": {"json": {"documents": [{"text": TEXT}]}},
    "/v1/documents#files": {"files": {"file": ("a.txt", TEXT)}},
}


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("chunked", [False, True])
async def test_body_that_does_not_fit_beside_others_is_refused_on_each_surface(
    small_stack: Stack, path: str, chunked: bool
) -> None:
    refused = small_stack.metric("trivium_gateway_bodies_refused_total")

    async with held_body(small_stack, 300_000, chunked=chunked):
        response = await small_stack.http.post(path.partition("#")[0], **REQUESTS[path])
        small = await small_stack.retrieve("herons")

    assert response.status_code == 429, response.text
    assert int(response.headers["retry-after"]) >= 1
    assert "BODIES_IN_FLIGHT" in response.text
    assert small.status_code == 200
    assert small_stack.metric("trivium_gateway_bodies_refused_total") == refused + 1


async def test_body_is_given_back_when_its_request_ends(small_stack: Stack) -> None:
    for _ in range(4):
        response = await small_stack.http.post("/v1/documents", **REQUESTS["/v1/documents"])
        assert response.status_code == 200, response.text
    assert small_stack.metric("trivium_gateway_body_bytes_in_flight") == 0


async def test_message_that_does_not_fit_beside_others_is_refused_over_grpc(small_stack: Stack) -> None:
    message = pb.IngestDocumentsRequest(
        collection=small_stack.collection, documents=[pb.DocumentInput(id="long", text=TEXT)]
    )
    async with held_body(small_stack, 300_000, chunked=False):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await small_stack.stub.IngestDocuments(iter([message]))
        error = error_from_rpc(caught.value)
    assert isinstance(error, Overloaded)
    assert error.reason == "BODIES_IN_FLIGHT"

    # Together they would not fit; each waits until the one before was taken on.
    answered = await small_stack.stub.IngestDocuments(iter([message] * 4))
    assert len(answered.documents) == 4


async def test_message_with_a_million_empty_documents_is_refused(small_stack: Stack) -> None:
    tag = pb.IngestDocumentsRequest.DESCRIPTOR.fields_by_name["documents"].number << 3 | 2
    send: Any = small_stack.channel.stream_unary("/trivium.gateway.v1.GatewayService/IngestDocuments")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await send(iter([bytes((tag, 0)) * 190_000]))

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_body_that_does_not_come_is_refused_and_given_back(
    small_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium_gateway.surfaces.http.bodies._BODY_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", small_stack.process.http_port)
    writer.write(b"POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n{")

    answer = await asyncio.wait_for(reader.readuntil(b"BODY_TOO_SLOW"), 20)
    assert answer.startswith(b"HTTP/1.1 408")
    await small_stack.until(lambda: small_stack.metric("trivium_gateway_body_bytes_in_flight") == 0)
    writer.close()
