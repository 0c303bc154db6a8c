"""Errors as HTTP shows them: `{"error": {code, status, reason, message, field?}, "message", "detail"}`."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from trivium_serving.errors import (
    INTERNAL_MESSAGE,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    NotFound,
    Overloaded,
    QuotaExceeded,
    TriviumError,
    Unavailable,
    Unimplemented,
    status_of,
)
from trivium_serving.logs import log_failure

from trivium_gateway.surfaces.http.paths import allowed_methods, asked_method
from trivium_gateway.surfaces.http.rendering import JsonResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

_logger = logging.getLogger(__name__)

RATE_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
TOLD_HEADERS = ("Retry-After", *RATE_HEADERS)
"""What an error says in headers, whatever form its body has."""


class MethodNotAllowed(Unimplemented):
    """The path exists, but not for this method."""

    default_reason = "METHOD_NOT_ALLOWED"


class BodyTooSlow(DeadlineExceeded):
    """The client sends its body more slowly than anybody has to."""

    default_reason = "BODY_TOO_SLOW"


class OriginNotAllowed(FailedPrecondition):
    """A page of another site, or a name that is not the gateway's."""

    default_reason = "ORIGIN_NOT_ALLOWED"


_HTTP_ONLY: dict[type[TriviumError], tuple[str, int]] = {
    MethodNotAllowed: ("UNIMPLEMENTED", 405),
    BodyTooSlow: ("DEADLINE_EXCEEDED", 408),
    OriginNotAllowed: ("PERMISSION_DENIED", 403),
}


def _status(error: TriviumError) -> tuple[str, int]:
    """The status's name, and its number in HTTP."""
    if type(error) in _HTTP_ONLY:
        return _HTTP_ONLY[type(error)]
    status = status_of(error)
    return status.grpc_code.name, status.http_status


def error_body(error: TriviumError) -> dict[str, Any]:
    """The body for an error. Some clients read `message`, others `detail`; both say the same."""
    status, http_status = _status(error)
    message = INTERNAL_MESSAGE if http_status == 500 else error.message
    described: dict[str, Any] = {
        "code": http_status,
        "status": status,
        "reason": error.reason,
        "message": message,
    }
    if error.field is not None:
        described["field"] = error.field
    return {"error": described, "message": message, "detail": message}


def error_response(error: TriviumError) -> Response:
    """The response for an error."""
    body = error_body(error)
    headers = {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    elif isinstance(error, Unavailable):
        headers["Retry-After"] = "1"
    if isinstance(error, QuotaExceeded):
        headers |= error.standing.headers()
    return JsonResponse(body, status_code=body["error"]["code"], headers=headers)


_SHOWN_CHARACTERS = 512


def install_error_handlers(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Makes every error of the application show this way.

    Args:
        app: The application.
        routes: All of its routes, to say which methods a path has.
    """

    async def show_domain_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, TriviumError)
        log_failure(_logger, f"{request.method} {request.url.path}", error)
        return error_response(error)

    async def show_invalid_parameter(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return error_response(InvalidField(field, f"{field}: {first['msg']}"))

    async def show_routing_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = request.url.path[:_SHOWN_CHARACTERS]
        if error.status_code == 405:
            allowed = ", ".join(allowed_methods(routes, request.scope))
            refused = asked_method(request.scope)
            response = error_response(MethodNotAllowed(f"{path} does not allow {refused}, only {allowed}. See /docs."))
            response.headers["Allow"] = allowed
            return response
        return error_response(NotFound(f"There is nothing at {path}. See /docs.", reason="ROUTE_NOT_FOUND"))

    app.add_exception_handler(TriviumError, show_domain_error)
    app.add_exception_handler(RequestValidationError, show_invalid_parameter)
    app.add_exception_handler(HTTPException, show_routing_error)
