"""JSON objects in messages: as the Structs that they travel in, and back."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from google.protobuf import json_format, struct_pb2

from trivium_client._errors import InvalidRequest


def struct_of(field: str, values: Mapping[str, Any]) -> struct_pb2.Struct:
    """The Struct that stands for an object.

    Raises:
        InvalidRequest: A value is none that it can hold.
    """
    struct = struct_pb2.Struct()
    try:
        struct.update({key: _json_form(value) for key, value in values.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{field} may hold strings, numbers, booleans, dates, lists, objects and None: {error}",
            reason="INVALID_FIELD",
            field=field,
        ) from None
    return struct


def _json_form(value: Any) -> Any:
    """Writes dates as the contract has them; a moment without a zone is of UTC there."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: _json_form(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_form(one) for one in value]
    return value


def json_object(message: struct_pb2.Struct) -> dict[str, Any]:
    """The object that a Struct stands for."""
    return {key: _plain(value) for key, value in json_format.MessageToDict(message).items()}


def _plain(value: Any) -> Any:
    """JSON's one kind of number arrives as float: a whole one was most likely written as one."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value
