"""Payload values: Qdrant's `Value` messages, and what JSON has."""

import math
from collections.abc import Mapping
from typing import Any

from trivium_gateway.qdrant.generated import qdrant

__all__ = ["from_value", "to_value"]

_FIELDS = {str: "string_value", bool: "bool_value", int: "integer_value", float: "double_value"}
_SCALARS = frozenset(_FIELDS.values())


def to_value(content: Any) -> qdrant.Value:
    """Make the message of something that JSON has.

    Raises:
        ValueError: JSON has no such thing, or Qdrant has no room for the integer.
        TypeError: JSON has no such thing.
    """
    return qdrant.Value(**_arguments(content))


def _arguments(content: Any) -> dict[str, Any]:
    """What the message is made with: nested messages made at once are much faster than one by one."""
    if (field := _FIELDS.get(type(content))) is not None:
        return {field: content}
    if content is None:
        return {"null_value": qdrant.NULL_VALUE}
    if isinstance(content, Mapping):
        return {"struct_value": {"fields": {key: _arguments(one) for key, one in content.items()}}}
    if isinstance(content, list | tuple):
        return {"list_value": {"values": [_arguments(one) for one in content]}}
    for kind, field in _FIELDS.items():  # what inherits from one, as members of an enumeration do
        if isinstance(content, kind):
            return {field: content}
    raise TypeError(f"{type(content).__name__} cannot be in a payload")


def from_value(value: qdrant.Value) -> Any:
    """Read a message."""
    kind = value.WhichOneof("kind")
    if kind in _SCALARS:
        content = getattr(value, kind)
        return content if kind != "double_value" or math.isfinite(content) else str(content)
    if kind == "struct_value":
        fields = value.struct_value.fields
        return {key: from_value(fields[key]) for key in fields}
    if kind == "list_value":
        return [from_value(one) for one in value.list_value.values]
    return None
