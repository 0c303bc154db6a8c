"""Refuses questions that there is no place for, before their bodies are read: a refusal must cost next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.errors import error_response
from trivium_gateway.surfaces.http.openai.errors import OpenAIRoute, openai_error_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from trivium_gateway.gateway import Gateway

_OPERATIONS = {
    "/v1/answer": "answer",
    "/v1/retrieve": "retrieve",
    "/v1/chat/completions": "answer",
    "/v1/responses": "answer",
}


class OverloadMiddleware:
    """Answers a question with 429 where one that comes now is sure to be refused, and hands everything else on.

    Args:
        app: What serves the request.
        gateway: Knows whether there is a place.
        routes: All of the application's, among them those of questions.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._gateway = gateway
        self._routes = {
            route.path: route
            for route in routes
            if isinstance(route, APIRoute) and route.path in _OPERATIONS and "POST" in (route.methods or ())
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        route = self._routes.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        refusal = None if route is None else self._gateway.questions.refusal(_OPERATIONS[route.path], principal())
        if route is None or refusal is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route  # as routing does, for metrics
        respond = openai_error_response if isinstance(route, OpenAIRoute) else error_response
        await respond(refusal)(scope, receive, send)
