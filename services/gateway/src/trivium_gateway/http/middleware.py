"""Wraps every HTTP request: its id, its metrics, and an answer even where something broke."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from trivium_serving.errors import TriviumError
from trivium_serving.request_context import begin_request

from trivium_gateway.http.errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from trivium_gateway.metrics import HttpMetrics

_logger = logging.getLogger(__name__)

_CLIENT_LEFT = 499
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
UNKNOWN_ROUTE = "unknown"


class RequestMiddleware:
    """Gives each request its id, counts it, and turns what nobody caught into a 500 that says nothing.

    Args:
        app: What serves the request.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        current = begin_request(Headers(scope=scope).get("x-request-id"))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = current
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:  # the edge of the process: the client is told, the log gets the cause
            _logger.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            if status:
                raise  # half a response is sent; the server closes the connection
            await error_response(TriviumError(""))(scope, receive, send_with_id)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            seconds = time.perf_counter() - start
            self._metrics.observe(method, _route(scope), status or _CLIENT_LEFT, seconds)


def _route(scope: Scope) -> str:
    """The template of the route that matched: paths themselves would be labels without bound."""
    path: str = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
    return path.replace(":path}", "}")
