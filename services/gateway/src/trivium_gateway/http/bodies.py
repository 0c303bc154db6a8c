"""Reads request bodies: within a limit, as JSON, checked against a model of what may be in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pydantic_core import ErrorDetails
    from starlette.requests import Request

_Body = TypeVar("_Body", bound="JsonBody")


class JsonBody(BaseModel):
    """A JSON object as a request's body. Unknown fields are refused, and no value is bent into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


def media_type(request: Request) -> str:
    """The request's media type without parameters, in lower case; empty if it says none."""
    value: str = request.headers.get("content-type", "")
    return value.partition(";")[0].strip().lower()


async def limited_stream(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, up to a limit.

    Raises:
        TooLarge: It is larger (BODY_TOO_LARGE); what is beyond the limit is not read.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        _refuse_size(max_bytes)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            _refuse_size(max_bytes)
        yield chunk


async def read_json(request: Request, body_class: type[_Body], max_bytes: int) -> _Body:
    """Reads a JSON body.

    Args:
        request: The request.
        body_class: What may be in it.
        max_bytes: Its largest size.

    Raises:
        InvalidField: It is not JSON, or something in it breaks a rule.
        TooLarge: It is too large.
    """
    kind = media_type(request)
    if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidField(
            "Content-Type", f"The body is declared as {kind}; send application/json.", reason="WRONG_CONTENT_TYPE"
        )
    raw = bytearray()
    async for chunk in limited_stream(request, max_bytes):
        raw += chunk
    return validate(body_class, parse_json(raw, "body"))


def parse_json(raw: bytes | bytearray | str, field: str) -> Any:
    """Parses JSON as its standard has it: without NaN and Infinity.

    Args:
        raw: The text; bytes are UTF-8.
        field: What it is, for the error.

    Raises:
        InvalidField: It is not JSON (INVALID_JSON).
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
        return json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {error.start} begins no character"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise InvalidField(field, f"The {field} {problem}.", reason="INVALID_JSON")


def validate(body_class: type[_Body], content: Any) -> _Body:
    """Checks parsed JSON against a model.

    Raises:
        InvalidField: Something breaks a rule; the error names the field.
    """
    try:
        return body_class.model_validate(content)
    except ValidationError as error:
        raise _invalid_field(error.errors(include_url=False)[0]) from None


def _invalid_field(problem: ErrorDetails) -> InvalidField:
    field = _path(problem["loc"])
    if problem["type"] == "extra_forbidden":
        return InvalidField(field, f"There is no field {field}. See /docs for those there are.", reason="UNKNOWN_FIELD")
    if problem["type"] == "missing":
        return InvalidField(field, f"The field {field} is missing.", reason="MISSING_FIELD")
    if not field:
        return InvalidField("body", "The body must be a JSON object.")
    wanted = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return InvalidField(field, f"{field} {wanted}; it is {_shown(problem['input'])}.")


def _path(location: tuple[int | str, ...]) -> str:
    """`("history", 0, "role")` as `history[0].role`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _shown(value: Any) -> str:
    """A value as an error shows it: short, and nothing of long texts."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else shown[:40] + "..."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _refuse_size(max_bytes: int) -> NoReturn:
    raise TooLarge(
        f"The body is over {max_bytes} bytes, the limit of one request. Send less at a time.",
        reason="BODY_TOO_LARGE",
        field="body",
    )
