"""A model's API on a local port, which answers as a test has written down."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from trivium.generate.v1 import generate_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from trivium_generate.supervision import ModelState

PASSAGES = (
    pb.Passage(text="The bridge opened in May 1937.", score=0.9),
    pb.Passage(text="Boats pass below the bridge.", score=0.1),
)


def question(**fields: Any) -> pb.GenerateRequest:
    """A request in mode MODEL, unless it says otherwise."""
    return pb.GenerateRequest(
        **{"question": "When did the bridge open?", "passages": PASSAGES, "mode": pb.GENERATE_MODE_MODEL, **fields}
    )


@dataclass
class Reply:
    """What the server answers to one request.

    Attributes:
        status: Its status.
        body: A whole body; None for a stream of `parts`.
        parts: Of the stream: bytes to send; `hold` to wait until the client leaves; `cut` to break the connection.
        headers: Further headers.
        delay_seconds: Before it answers at all.
    """

    status: int = 200
    body: Any = None
    parts: Sequence[bytes | str] = ()
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass
class ApiServer:
    """The server.

    Attributes:
        requests: Bodies of the requests for answers, in their order.
        paths: What they were sent to.
        headers: Theirs.
        replies: Taken in their order; the last one stays.
        models: What is answered to questions about models.
        by_path: What is answered to GET at some paths in its place.
        left: Set when a client leaves while the server holds.
    """

    url: str = ""
    requests: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    models: Reply = field(default_factory=lambda: Reply(404, {"error": {"message": "no such path"}}))
    by_path: dict[str, Reply] = field(default_factory=dict)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                method, path, _ = first.split(" ")
                if method == "GET":
                    self.checks.append(path)
                    reply = self.by_path.get(path, self.models)
                else:
                    self.requests.append(json.loads(await reader.readexactly(int(headers["content-length"]))))
                    self.paths.append(path)
                    self.headers.append(headers)
                    reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                await asyncio.sleep(reply.delay_seconds)
                if not await self._answer(reply, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used again."""
        kind = "text/event-stream" if reply.body is None else "application/json"
        lines = [f"HTTP/1.1 {reply.status} Something", f"content-type: {kind}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        if reply.body is not None:
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            writer.write("\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body)
            await writer.drain()
            return True
        writer.write("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode())
        for part in reply.parts:
            if part == "cut":
                return False
            if part == "hold":
                await reader.read(1)
                self.left.set()
                return False
            assert isinstance(part, bytes)
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def _api() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    """A server without replies."""
    async with _api() as server:
        yield server


@pytest.fixture
def reply() -> type[Reply]:
    """Makes replies."""
    return Reply


@pytest.fixture
def ask() -> Callable[..., pb.GenerateRequest]:
    """Makes requests."""
    return question


@pytest.fixture
def until_state() -> Callable[[Any, ModelState], Awaitable[None]]:
    """Waits until a running service's model is in a state."""

    async def wait(running: Any, state: ModelState) -> None:
        async with asyncio.timeout(5):
            while running.app.model.state is not state:
                await running.stub.GetModel(pb.GetModelRequest())

    return wait
