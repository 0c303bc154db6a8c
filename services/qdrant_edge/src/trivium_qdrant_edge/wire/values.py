"""Payload values: Qdrant's `Value` messages and Python's JSON-like objects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.generated import qdrant

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

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


def fill_payload(target: MutableMapping[str, qdrant.Value], payload: Mapping[str, Any]) -> None:
    """Writes a payload that the engine returned into a message's field; twice as fast as making its parts first."""
    for key, item in payload.items():
        _fill_value(target[key], item)


def _fill_value(target: qdrant.Value, item: Any) -> None:
    match item:
        case str():
            target.string_value = item
        case bool():
            target.bool_value = item
        case int() if -(2**63) <= item < 2**63:
            target.integer_value = item
        case int() | float():
            target.double_value = item
        case None:
            target.null_value = qdrant.NULL_VALUE
        case list():
            target.list_value.SetInParent()
            for entry in item:
                _fill_value(target.list_value.values.add(), entry)
        case dict():
            target.struct_value.SetInParent()
            fill_payload(target.struct_value.fields, item)
        case _:
            raise TypeError(f"{type(item).__name__} cannot be in a payload")
