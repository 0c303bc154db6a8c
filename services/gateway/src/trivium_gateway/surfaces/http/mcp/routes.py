"""POST /mcp: streamable HTTP.

Requests stand alone: there are no sessions, so that any gateway behind a load balancer serves any of them, and one that
was restarted goes on. That is why there is nothing to GET, and nothing to DELETE.
"""

import asyncio
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.bodies import limited_stream
from trivium_gateway.surfaces.http.json_text import parse_json
from trivium_gateway.surfaces.http.mcp.server import mcp_server


class McpEndpoint:
    """The endpoint, which works while `running()` is entered.

    Args:
        gateway: Does the work.
        read_only: Whether to leave out the tools that change something.
    """

    def __init__(self, gateway: Gateway, *, read_only: bool) -> None:
        self._max_bytes = gateway.limits.max_mcp_body_bytes
        # The gateway's own middleware looks at Host and Origin already, for every route.
        self._manager = StreamableHTTPSessionManager(
            mcp_server(gateway, read_only=read_only), stateless=True, max_request_body_size=self._max_bytes
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """Holds what runs the requests."""
        return self._manager.run()

    def routes(self) -> APIRouter:
        """The routes."""
        router = APIRouter(tags=["mcp"])

        @router.post("/mcp", include_in_schema=False)
        async def mcp(request: Request) -> Response:
            body = b"".join([chunk async for chunk in limited_stream(request, self._max_bytes)])
            # The SDK would read anything that it is sent, on the event loop.
            await asyncio.to_thread(parse_json, body, "body")
            return _Handled(self._manager, body)

        return router


class _Handled(Response):
    """A response that the SDK makes, for a body that was read already."""

    def __init__(self, manager: StreamableHTTPSessionManager, body: bytes) -> None:
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
