"""Structs and the JSON objects that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct, Value

    from trivium_gateway.domain.metadata import JsonValue

# From here on a double no longer holds every whole number.
_LARGEST_EXACT_NUMBER = 2**53


def json_from(struct: Struct) -> dict[str, JsonValue]:
    """The object that a Struct stands for. Its numbers are all doubles; whole ones come back as int."""
    return {key: _json_value(value) for key, value in struct.fields.items()}


def _json_value(value: Value) -> JsonValue:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < _LARGEST_EXACT_NUMBER else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return json_from(value.struct_value)
    if kind == "list_value":
        return [_json_value(item) for item in value.list_value.values]
    return None
