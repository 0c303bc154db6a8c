"""Wraps every HTTP request: its id, its trace, its metrics, its line in the log, and an answer even where all broke."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from trivium_serving.errors import InvalidField, Overloaded, TriviumError, Unavailable
from trivium_serving.logs import log_request
from trivium_serving.request_context import begin_request, set_caller, set_caller_timeout
from trivium_serving.tracing import Span, request_span

from trivium_gateway.metering.standing import watch_standing
from trivium_gateway.surfaces.http.bodies import HELD_BODY
from trivium_gateway.surfaces.http.errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from trivium_serving.body_budget import BodyBudget

    from trivium_gateway.surfaces.metrics import HttpMetrics

_logger = logging.getLogger(__name__)

_CLIENT_LEFT = 499
_REFUSED = 429
_FAILED = 400
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_TIMEOUT_HEADER = "X-Request-Timeout"
UNKNOWN_ROUTE = "unknown"
# Asked again and again by machines; no traces, and lines in the log at `debug` only.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestMiddleware:
    """Gives each request its id, counts it, and turns what nobody caught into a 500 that says nothing.

    Args:
        app: What serves the request.
        metrics: Where it is counted.
        bodies: Bounds the bytes of all requests' bodies.
    """

    def __init__(self, app: ASGIApp, metrics: HttpMetrics, bodies: BodyBudget) -> None:
        self._app = app
        self._metrics = metrics
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers = Headers(scope=scope)
        current = begin_request(headers.get("x-request-id"))
        set_caller(scope["client"][0] if scope.get("client") else "")
        quiet = scope["path"] in _QUIET
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"], "trivium.request_id": current}
        span = Span() if quiet else request_span(method, headers, attributes)
        status, standing = 0, watch_standing()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = MutableHeaders(scope=message)
                answered["X-Request-Id"] = current
                if span.traceparent:
                    answered["traceresponse"] = span.traceparent
                if standing and status < _FAILED:  # errors say it by themselves
                    answered.update(standing[0].headers())
            await send(message)

        with span, self._bodies.body() as scope[HELD_BODY]:
            try:
                set_caller_timeout(_timeout_seconds(headers))
                await self._app(scope, receive, send_with_id)
            except InvalidField as error:
                await error_response(error)(scope, receive, send_with_id)
            except ClientDisconnect:
                status = _CLIENT_LEFT
            except asyncio.CancelledError:  # the process stops, and has given up to wait for this request
                task = asyncio.current_task()
                if status or task is None:
                    raise
                task.uncancel()
                stopping = error_response(Unavailable("The gateway is stopping. Send the request again."))
                stopping.headers["Connection"] = "close"
                await stopping(scope, receive, send_with_id)
            except Exception as error:  # the edge of the process: the client is told, the log gets the cause
                _logger.error("%s %s failed", method, _route(scope), exc_info=error)
                if status:
                    raise  # half a response is sent; the server closes the connection
                await error_response(TriviumError(""))(scope, receive, send_with_id)
            finally:
                route, seconds = _route(scope), time.perf_counter() - start
                status = status or _CLIENT_LEFT
                self._metrics.observe(method, route, status, seconds)
                quiet = quiet or status == _REFUSED  # under a flood the lines would cost more than the refusals
                log_request(_logger, f"{method} {route}", str(status), seconds, quiet=quiet)
                _describe(span, method, route, status)


class ProbesOnly:
    """Serves requests on connections that are over the limit: they may ask how the gateway is, and no more.

    Args:
        app: What serves those requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        response = error_response(
            Overloaded("All connections that the gateway serves at once are at work.", reason="TOO_MANY_CONNECTIONS")
        )
        response.headers["Connection"] = "close"
        await response(scope, receive, send)


def _timeout_seconds(headers: Headers) -> float | None:
    """How long the caller waits, as it says in `X-Request-Timeout`."""
    text = headers.get(_TIMEOUT_HEADER)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidField(_TIMEOUT_HEADER, f"{_TIMEOUT_HEADER} is {text[:80]!r}; it must be seconds above 0.")
    return seconds


def _describe(span: Span, method: str, route: str, status: int) -> None:
    """Adds to a request's span what is known at its end."""
    span.rename(f"{method} {route}")
    span.set({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        span.fail(str(status))


def _route(scope: Scope) -> str:
    """The template of the route that matched: paths themselves would be labels without bound."""
    path: str = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
    return path.replace(":path}", "}")
