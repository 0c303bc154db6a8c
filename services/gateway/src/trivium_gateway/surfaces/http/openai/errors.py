"""Errors as OpenAI's clients read them, with all that Trivium's own have beside."""

import logging
import re
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import Overloaded, TriviumError, status_of
from trivium_serving.logs import log_failure

from trivium_gateway.surfaces.http.errors import TOLD_HEADERS, error_body, error_response
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.shape import Shape

_logger = logging.getLogger(__name__)

# Fields of a question by the names that they have in a chat, and in a response where those are others.
_CHAT_PARAMS = {
    "question": "messages",
    "history": "messages",
    "tool_turns": "messages",
    "sampling.json_schema": "response_format",
    "tools.choice": "tool_choice",
    "tools.required_name": "tool_choice",
}
_RESPONSE_PARAMS = {
    "messages": "input",
    "response_format": "text",
    "max_tokens": "max_output_tokens",
}
RESPONSES_PATH = "/v1/responses"

_PLACE = re.compile(r"\[\d+\].*")


class OpenAIErrorShape(Shape):
    """What is wrong, in OpenAI's words (`type`, `param`, `code`) and in Trivium's (`reason`, `status`, `field`)."""

    message: str
    type: Literal["invalid_request_error", "rate_limit_error", "server_error"]
    param: str | None
    code: str
    reason: str
    status: str
    field: str | None = None


class OpenAIErrorResponse(Shape):
    """An error. `message` and `detail` repeat the message."""

    error: OpenAIErrorShape
    message: str
    detail: str


class OpenAIRoute(APIRoute):
    """A route whose errors have OpenAI's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, of which no domain error escapes."""
        handle = super().get_route_handler()

        async def handle_with_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except TriviumError as error:
                log_failure(_logger, f"{request.method} {request.url.path}", error)
                return openai_error_response(error, in_response=self.path == RESPONSES_PATH)

        return handle_with_errors


def openai_error_response(error: TriviumError, *, in_response: bool = False) -> Response:
    """The response for an error; see openai_error_body."""
    response = error_response(error)
    headers = {name: response.headers[name] for name in TOLD_HEADERS if name in response.headers}
    body = openai_error_body(error, in_response=in_response)
    return JsonResponse(body, status_code=response.status_code, headers=headers)


def openai_error_body(error: TriviumError, *, in_response: bool = False) -> dict[str, Any]:
    """The body for an error; inside a stream it is an event's data.

    Args:
        error: The error.
        in_response: Whether it answers a request to /v1/responses, which has other names for some fields.
    """
    body = error_body(error)
    shown = body["error"]
    described: dict[str, Any] = {
        "message": shown["message"],
        "type": _type_of(error),
        "param": _param(shown.get("field"), in_response=in_response),
        "code": shown["reason"].lower(),
        "reason": shown["reason"],
        "status": shown["status"],
    }
    if "field" in shown:
        described["field"] = shown["field"]
    return {**body, "error": described}


def _type_of(error: TriviumError) -> str:
    if isinstance(error, Overloaded):
        return "rate_limit_error"
    return "server_error" if status_of(error).http_status >= 500 else "invalid_request_error"


def _param(field: str | None, *, in_response: bool) -> str | None:
    """A field of the domain by the name that it has in a request here."""
    if field is None:
        return None
    param = _CHAT_PARAMS.get(_PLACE.sub("", field))
    param = param or field.removeprefix("sampling.").replace("tools.definitions", "tools")
    return _RESPONSE_PARAMS.get(param, param) if in_response else param
