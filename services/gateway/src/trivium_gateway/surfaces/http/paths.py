"""Forms of a request that mean the same: HEAD for a GET without its body, and a slash at the end of a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Beneath it a slash at the end belongs to an id.
_IDS = "/v1/documents/"
_ASKED_METHOD = "trivium.asked_method"


class PathMiddleware:
    """Serves HEAD wherever GET is, and a path with a slash at its end as that without.

    Args:
        app: What serves the requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/") and not path.startswith(_IDS):
            scope["path"] = path.rstrip("/") or "/"
            scope["raw_path"] = scope["raw_path"].rstrip(b"/") or b"/"
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        # In the same scope: what is around this one reads the route from it.
        scope["method"], scope[_ASKED_METHOD] = "GET", "HEAD"
        await self._app(scope, receive, send_without_body)


def asked_method(scope: Scope) -> str:
    """The method that the client named."""
    method: str = scope.get(_ASKED_METHOD, scope["method"])
    return method


def allowed_methods(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """All methods that a path has."""
    methods: set[str] = set()
    for route in routes:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))
