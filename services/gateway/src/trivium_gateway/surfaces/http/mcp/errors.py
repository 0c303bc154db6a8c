"""Errors of a request as a whole, which JSON-RPC can say before it knows which request it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.surfaces.http.errors import TOLD_HEADERS, error_body, error_response
from trivium_gateway.surfaces.http.mcp.texts import error_text
from trivium_gateway.surfaces.http.rendering import JsonResponse

if TYPE_CHECKING:
    from starlette.responses import Response
    from trivium_serving.errors import TriviumError

_INTERNAL_ERROR = -32603


def mcp_error_response(error: TriviumError) -> Response:
    """An error with the status and headers that it has everywhere, whose words the clients of the protocol show."""
    response = error_response(error)
    body = {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": _INTERNAL_ERROR, "message": error_text(error), "data": error_body(error)["error"]},
    }
    headers = {name: response.headers[name] for name in TOLD_HEADERS if name in response.headers}
    return JsonResponse(body, status_code=response.status_code, headers=headers)
