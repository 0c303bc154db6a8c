"""Checks that several fields of a conversation share."""

from __future__ import annotations

import json
import re

from trivium_serving.errors import InvalidField, TooLarge

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_chars(field: str, text: str, limit: int, advice: str) -> None:
    """Refuses a text that is too long.

    Raises:
        TooLarge: It is; the error ends with the advice.
    """
    if len(text) > limit:
        raise TooLarge(f"{field} has {len(text)} characters; at most {limit} are allowed. {advice}", field=field)


def check_tool_name(field: str, name: str) -> None:
    """Refuses what cannot be a tool's name.

    Raises:
        InvalidField: It cannot.
    """
    if not _TOOL_NAME.fullmatch(name):
        raise InvalidField(field, f"{name[:80]!r} is no tool's name: 1 to 64 letters of ASCII, digits, `_` and `-`.")


def check_json_object(field: str, what: str, text: str) -> None:
    """Refuses a text that is no JSON object.

    Args:
        field: What the request calls the text.
        what: What it is, which begins the error's sentence.
        text: The text.

    Raises:
        InvalidField: It is none.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidField(field, f"{what}: not JSON ({error}).") from error
    if not isinstance(parsed, dict):
        raise InvalidField(field, f'{what}: not a JSON object, such as {{"type": "object"}}.')
