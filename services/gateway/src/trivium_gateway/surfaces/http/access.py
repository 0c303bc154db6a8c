"""Lets requests in, or refuses them, before anything of them is read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from trivium_serving.errors import TriviumError, Unauthenticated
from trivium_serving.logs import log_failure

from trivium_gateway.request.principal import Scope as May
from trivium_gateway.surfaces.door import let_in
from trivium_gateway.surfaces.http.errors import error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from trivium_gateway.access.guard import Guard

_logger = logging.getLogger(__name__)

_METRICS = "/metrics"
# The page has to be there to ask for a key, and probes have none. Nothing of anybody's shows there.
_OPEN = frozenset({"/", "/worker.js", "/healthz", "/readyz", "/docs", "/openapi.json"})
_OPEN_FOLDER = "/page/"


class AccessMiddleware:
    """Serves who may ask; everybody what belongs to nobody.

    Args:
        app: What serves the request.
        guard: Knows who may ask.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path in _OPEN or path.startswith(_OPEN_FOLDER):
            await self._app(scope, receive, send)
            return
        try:
            principal = let_in(self._guard, Headers(scope=scope).items())
            if path == _METRICS:
                principal.require(May.OPERATOR)
        except TriviumError as error:
            log_failure(_logger, f"{scope['method']} {path}", error)
            response = error_response(error)
            if isinstance(error, Unauthenticated):
                response.headers["WWW-Authenticate"] = 'Bearer realm="trivium"'
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)
