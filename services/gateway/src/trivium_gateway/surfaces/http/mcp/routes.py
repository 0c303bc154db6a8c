"""POST /mcp: streamable HTTP.

Requests stand alone: there are no sessions, so that any gateway behind a load balancer serves any of them, and one that
was restarted goes on. That is why there is nothing to GET, and nothing to DELETE.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from trivium_serving.background import Background
from trivium_serving.errors import Unavailable

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.bodies import limited_stream
from trivium_gateway.surfaces.http.json_text import parse_json

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager


_START_SECONDS = 30.0


class McpEndpoint:
    """The endpoint, which works while `running()` is entered.

    The protocol's library is loaded for the first request: that takes a second, for which no start has to wait.

    Args:
        gateway: Does the work.
        background: Keeps what runs the requests running.
        read_only: Whether to leave out the tools that change something.
    """

    def __init__(self, gateway: Gateway, background: Background, *, read_only: bool) -> None:
        self._gateway = gateway
        self._background = background
        self._read_only = read_only
        self._max_bytes = gateway.limits.max_mcp_body_bytes
        self._is_wanted, self._is_there = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Holds what runs the requests."""
        running = self._background.start("mcp", self._run)
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _run(self) -> None:
        await self._is_wanted.wait()
        manager = await asyncio.to_thread(self._made)
        async with manager.run():  # which the task has to leave that entered it
            self._manager = manager
            self._is_there.set()
            try:
                await asyncio.Event().wait()
            finally:
                self._is_there.clear()

    def _made(self) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from trivium_gateway.surfaces.http.mcp.server import mcp_server

        # The gateway's own middleware looks at Host and Origin already, for every route.
        return StreamableHTTPSessionManager(
            mcp_server(self._gateway, read_only=self._read_only), stateless=True, max_request_body_size=self._max_bytes
        )

    async def _ready(self) -> "StreamableHTTPSessionManager":
        self._is_wanted.set()
        try:
            await asyncio.wait_for(self._is_there.wait(), _START_SECONDS)
        except TimeoutError:
            raise Unavailable("The Model Context Protocol cannot be served now. The gateway's log says why.") from None
        return self._manager

    def routes(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["mcp"])

        @router.post("/mcp", include_in_schema=False)
        async def mcp(request: Request) -> Response:
            body = b"".join([chunk async for chunk in limited_stream(request, self._max_bytes)])
            # The SDK would read anything that it is sent, on the event loop.
            await asyncio.to_thread(parse_json, body, "body")
            return _Handled(await self._ready(), body)

        return router


class _Handled(Response):
    """A response that the SDK makes, for a body that was read already."""

    def __init__(self, manager: "StreamableHTTPSessionManager", body: bytes) -> None:
        super().__init__()
        self._manager = manager
        self._request_body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        unread = True

        async def replay() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": self._request_body, "more_body": False}
            return await receive()

        await self._manager.handle_request(scope, replay, send)
