"""Reads request bodies: within a limit, as JSON, checked against a model of what may be in them."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError
from trivium_serving.errors import InvalidField, TooLarge, TriviumError

from trivium_gateway.surfaces.http.errors import BodyTooSlow
from trivium_gateway.surfaces.http.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from pydantic_core import ErrorDetails
    from starlette.requests import Request
    from trivium_serving.body_budget import HeldBody

# Where the server keeps what the request holds of the budget for bodies.
HELD_BODY = "trivium.held_body"
_MOST_UNKNOWN_FIELDS = 16
_UNKNOWN_FIELD, _TOO_MANY = "unknown_field", "too_many"
# Smaller ones are read faster than they are handed to a thread.
_SMALL_BYTES = 16 * 1024
# A body may take so long, and longer by what of it has come: a phone's slowest uplink is faster.
_BODY_SECONDS = 30.0
_BODY_BYTES_PER_SECOND = 16 * 1024
_READERS = ThreadPoolExecutor(2, thread_name_prefix="bodies")

_Body = TypeVar("_Body", bound="JsonBody")


class JsonBody(BaseModel):
    """A JSON object as a request's body. Unknown fields are refused, and no value is bent into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_fields(cls, content: Any) -> Any:
        """Stops at too many unknown fields: pydantic would make an error for each of a million."""
        if cls.model_config.get("extra") == "forbid" and isinstance(content, dict):
            names = {field.alias or name for name, field in cls.model_fields.items()}
            unknown = [name for name in content if name not in names]
            if len(unknown) > _MOST_UNKNOWN_FIELDS:
                raise PydanticCustomError(_UNKNOWN_FIELD, "unknown field", {"name": unknown[0]})
        return content


def at_most(count: int, reason: str = "TOO_LARGE") -> tuple[Any, Any]:
    """What a list in a body is annotated with: `Annotated[list[str], *at_most(10)]`.

    The list is refused before its items are looked at if it is too long, and at the first item that is wrong.

    Args:
        count: Most items.
        reason: Of the error for a longer list.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) > count:
            raise PydanticCustomError(_TOO_MANY, "too many", {"count": len(value), "most": count, "reason": reason})
        return value

    return Field(fail_fast=True, json_schema_extra={"maxItems": count}), BeforeValidator(check)


def media_type(request: Request) -> str:
    """The request's media type without parameters, in lower case; empty if it says none."""
    value: str = request.headers.get("content-type", "")
    return value.partition(";")[0].strip().lower()


async def limited_stream(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it arrives, up to a limit.

    Raises:
        TooLarge: It is larger (BODY_TOO_LARGE); what is beyond the limit is not read.
        Overloaded: There is no room for it beside those of other requests (BODIES_IN_FLIGHT).
        BodyTooSlow: The client does not send it.
    """
    held: HeldBody = request.scope[HELD_BODY]
    declared = request.headers.get("content-length", "")
    if declared.isdigit():
        if int(declared) > max_bytes:
            _refuse_size(max_bytes)
        held.grow(int(declared))
    size = 0
    pieces = aiter(request.stream())
    begin = time.monotonic()
    while True:
        seconds_left = _BODY_SECONDS + size / _BODY_BYTES_PER_SECOND - (time.monotonic() - begin)
        try:
            chunk = await asyncio.wait_for(anext(pieces, None), max(0.0, seconds_left))
        except TimeoutError:
            raise BodyTooSlow(
                f"Of the body {size} bytes came in {time.monotonic() - begin:.0f} seconds. Send it faster, or less."
            ) from None
        if chunk is None:
            return
        size += len(chunk)
        if size > max_bytes:
            _refuse_size(max_bytes)
        held.grow(size)
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
        Overloaded: There is no room for it beside those of other requests (BODIES_IN_FLIGHT).
    """
    kind = media_type(request)
    if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise InvalidField(
            "Content-Type", f"The body is declared as {kind}; send application/json.", reason="WRONG_CONTENT_TYPE"
        )
    pieces = [chunk async for chunk in limited_stream(request, max_bytes)]

    def read() -> _Body:
        return validate(body_class, parse_json(pieces, "body"))

    if sum(map(len, pieces)) <= _SMALL_BYTES:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_READERS, read)


def validate(body_class: type[_Body], content: Any) -> _Body:
    """Checks parsed JSON against a model.

    Raises:
        InvalidField: Something breaks a rule; the error names the field.
        TooLarge: A list is too long.
    """
    try:
        return body_class.model_validate(content)
    except ValidationError as error:
        raise _error_for(error.errors(include_url=False)[0]) from None


def _error_for(problem: ErrorDetails) -> TriviumError:
    field, facts = _path(problem["loc"]), problem.get("ctx", {})
    if problem["type"] == _TOO_MANY:
        message = f"{field} has {facts['count']} items; at most {facts['most']} are allowed."
        return TooLarge(message, reason=facts["reason"], field=field)
    if problem["type"] in (_UNKNOWN_FIELD, "extra_forbidden"):
        field = _path((*problem["loc"], facts["name"])) if problem["type"] == _UNKNOWN_FIELD else field
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


def _refuse_size(max_bytes: int) -> NoReturn:
    raise TooLarge(
        f"The body is over {max_bytes} bytes, the limit of one request. Send less at a time.",
        reason="BODY_TOO_LARGE",
        field="body",
    )
