"""Refuses questions that there is no place for, before their bodies are read: a refusal must cost next to nothing."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.errors import error_response
from trivium_gateway.surfaces.http.mcp.errors import mcp_error_response
from trivium_gateway.surfaces.http.openai.errors import OpenAIRoute, openai_error_response
from trivium_gateway.surfaces.http.rerank.shapes import tei_error_response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send
    from trivium_serving.errors import TriviumError

    from trivium_gateway.gateway import Gateway

_TEI_PATH = "/rerank"
_MCP_PATH = "/mcp"
_OPERATIONS = {
    "/v1/answer": "answer",
    "/v1/retrieve": "retrieve",
    "/v1/chat/completions": "answer",
    "/v1/responses": "answer",
    "/v1/vector_stores/{id}/search": "retrieve",
    "/v1/embeddings": "embed",
    "/v2/embed": "embed",
    "/v1/rerank": "rerank",
    "/v2/rerank": "rerank",
    _TEI_PATH: "rerank",
    "/v1/traces/{request_id}/replay": "retrieve",  # or an answer, which uses as much
    _MCP_PATH: "retrieve",  # most of what is called there asks something
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
        asked = [
            route
            for route in routes
            if isinstance(route, APIRoute) and route.path in _OPERATIONS and "POST" in (route.methods or ())
        ]
        self._routes = {route.path: route for route in asked}
        self._templates = [route for route in asked if route.param_convertors]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        route = self._route(scope["path"]) if is_post else None
        if route is None:
            await self._app(scope, receive, send)
            return
        questions = self._gateway.questions
        asking = principal()
        is_question = route.path != _MCP_PATH  # not all that comes to MCP is one
        refusal = questions.refusal(_OPERATIONS[route.path], asking, is_sure=is_question)
        if refusal is None:
            with questions.coming(asking) if is_question else nullcontext():
                await self._app(scope, receive, send)
            return
        scope["route"] = route  # as routing does, for metrics
        await _response(route, refusal)(scope, receive, send)

    def _route(self, path: str) -> APIRoute | None:
        """The route of a question, if that is what a path is for."""
        found = self._routes.get(path)
        return found or next((route for route in self._templates if route.path_regex.match(path)), None)


def _response(route: APIRoute, error: TriviumError) -> Response:
    """An error as the clients of a route read it."""
    if isinstance(route, OpenAIRoute):
        return openai_error_response(error)
    if route.path == _MCP_PATH:
        return mcp_error_response(error)
    return tei_error_response(error) if route.path == _TEI_PATH else error_response(error)
