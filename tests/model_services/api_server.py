"""A model API on a local port, which speaks JSON over HTTP and fails as it is told to."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Reply:
    """What the server answers instead of doing its work."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass
class ApiServer:
    """The server, as tests see it."""

    work: Callable[[dict[str, Any]], dict[str, Any]]
    """From the body of a request to that of its answer."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of the requests, each with its `path`."""
    authorizations: list[str] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    """Taken in order; when there are none left, the server does its work."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = [line.partition(": ") for line in head.split("\r\n")]
                headers = {name.lower(): value for name, _, value in lines[1:]}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.requests.append({"path": head.split(" ")[1], **body})
                self.authorizations.append(headers.get("authorization", ""))
                reply = self.replies.pop(0) if self.replies else Reply(body=json.dumps(self.work(body)).encode())
                await asyncio.sleep(reply.delay_seconds)
                fields = {"content-type": "application/json", "content-length": len(reply.body), **reply.headers}
                answer = [f"HTTP/1.1 {reply.status} Something", *(f"{name}: {fields[name]}" for name in fields), "", ""]
                writer.write("\r\n".join(answer).encode() + reply.body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def api_server(work: Callable[[dict[str, Any]], dict[str, Any]]) -> AsyncIterator[ApiServer]:
    """Runs a server."""
    server = ApiServer(work)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server
