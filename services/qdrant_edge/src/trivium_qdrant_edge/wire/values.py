"""Payload values: Qdrant's `Value` messages and Python's JSON-like objects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qdrant_client import grpc as qdrant
from trivium_serving.errors import InvalidField

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCALARS = frozenset(("string_value", "integer_value", "bool_value"))


def value_to_python(value: qdrant.Value) -> Any:
    """The object that a value stands for.

    Raises:
        InvalidField: It is no value, or a number that JSON has not.
    """
    kind = value.WhichOneof("kind")
    if kind in _SCALARS:
        return getattr(value, kind)
    if kind == "double_value":
        if not math.isfinite(value.double_value):
            raise InvalidField("payload", f"Wrong input: {value.double_value} is not a number that JSON has")
        return value.double_value
    if kind == "list_value":
        return [value_to_python(item) for item in value.list_value.values]
    if kind == "struct_value":
        return payload_to_python(value.struct_value.fields)
    if kind == "null_value":
        return None
    raise InvalidField("payload", "Wrong input: a value without a kind; send null_value for null")


def payload_to_python(payload: Mapping[str, qdrant.Value]) -> dict[str, Any]:
    """A payload as a dict."""
    return {key: value_to_python(value) for key, value in payload.items()}


def python_to_value(item: Any) -> qdrant.Value:
    """The value for an object that the engine returned."""
    match item:
        case str():
            return qdrant.Value(string_value=item)
        case bool():
            return qdrant.Value(bool_value=item)
        case int() if -(2**63) <= item < 2**63:
            return qdrant.Value(integer_value=item)
        case int() | float():
            return qdrant.Value(double_value=item)
        case None:
            return qdrant.Value(null_value=qdrant.NULL_VALUE)
        case list():
            return qdrant.Value(list_value=qdrant.ListValue(values=[python_to_value(entry) for entry in item]))
        case dict():
            return qdrant.Value(struct_value=qdrant.Struct(fields=python_to_payload(item)))
    raise TypeError(f"{type(item).__name__} cannot be in a payload")


def python_to_payload(payload: Mapping[str, Any]) -> dict[str, qdrant.Value]:
    """A payload as it travels."""
    return {key: python_to_value(item) for key, item in payload.items()}
