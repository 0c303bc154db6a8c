"""A document's metadata: flat facts to filter by, and the one kind that each of its keys has in a collection."""

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import GatewayLimits, check_unicode

__all__ = [
    "JsonValue",
    "Metadata",
    "MetadataKind",
    "MetadataScalar",
    "MetadataValue",
    "checked_metadata",
    "checked_scalar",
    "kind_of",
]

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Anything that JSON can say: what arrives from outside, before it is checked."""

MetadataScalar: TypeAlias = bool | int | float | str
MetadataValue: TypeAlias = MetadataScalar | Sequence[MetadataScalar]
Metadata: TypeAlias = Mapping[str, MetadataValue]
"""Checked metadata. Numbers that are whole are `int`, whichever way they arrived; lists are of one kind."""

_LARGEST_EXACT_NUMBER = 2**53
"""From here on a double, which is what JSON, Struct and Qdrant's index have, no longer holds every whole number."""

_KEY_PUNCTUATION = "_-.:/@ "


class MetadataKind(Enum):
    """What the values of one metadata key are, in all documents of a collection. A list is of its elements' kind."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


def checked_metadata(metadata: Mapping[str, JsonValue], limits: GatewayLimits) -> dict[str, MetadataValue]:
    """Check a document's metadata, and give equal numbers equal form.

    Args:
        metadata: As it arrived.
        limits: What is allowed.

    Raises:
        InvalidField: A key has a character that it must not have, or a value is no string, number, boolean or list of
            one of those.
        TooLarge: There are too many keys or values, or too much of them.
    """
    if len(metadata) > limits.max_metadata_keys:
        raise TooLarge(
            f"The metadata has {len(metadata)} keys; at most {limits.max_metadata_keys} are allowed.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    checked = {_checked_key(key, limits): _checked_value(f"metadata.{key}", metadata[key], limits) for key in metadata}
    size = len(json.dumps(checked, ensure_ascii=False).encode())
    if size > limits.max_metadata_bytes:
        raise TooLarge(
            f"The metadata has {size} bytes as JSON; at most {limits.max_metadata_bytes} are allowed.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    return checked


def kind_of(value: MetadataValue) -> MetadataKind | None:
    """Say what a checked value is; None for the empty list, which is of any kind."""
    if isinstance(value, str):
        return MetadataKind.TEXT
    if isinstance(value, bool):
        return MetadataKind.BOOLEAN
    if isinstance(value, int | float):
        return MetadataKind.NUMBER
    return kind_of(value[0]) if value else None


def checked_scalar(field: str, value: JsonValue) -> MetadataScalar:
    """Check one string, number or boolean.

    Args:
        field: What to call it in an error.
        value: As it arrived.

    Raises:
        InvalidField: It is something else, or a number that a double does not hold exactly.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        check_unicode(field, value)
        return value
    if not isinstance(value, int | float):
        raise InvalidField(field, f"{field} must be a string, a number, a boolean, or a list of one of those.")
    if not abs(value) <= _LARGEST_EXACT_NUMBER:  # NaN is not, either; and beyond it every float is whole
        raise InvalidField(
            field, f"{field} is a number that JSON cannot carry exactly: whole numbers go up to 2^53. Use a string."
        )
    return int(value) if value == int(value) else value


def _checked_key(key: str, limits: GatewayLimits) -> str:
    check_unicode("metadata", key)
    if not 1 <= len(key) <= limits.max_metadata_key_characters:
        raise InvalidField(
            "metadata",
            f"A metadata key has {len(key)} characters; it must have 1 to {limits.max_metadata_key_characters}.",
        )
    wrong = next((character for character in key if not (character.isalnum() or character in _KEY_PUNCTUATION)), None)
    if wrong is not None or key != key.strip():
        raise InvalidField(
            "metadata",
            f"The metadata key {key!r} must consist of letters, digits and any of `{_KEY_PUNCTUATION}`, and must not "
            "begin or end with a space.",
        )
    return key


def _checked_value(field: str, value: JsonValue, limits: GatewayLimits) -> MetadataValue:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return checked_scalar(field, value)
    if len(value) > limits.max_metadata_list_values:
        raise TooLarge(
            f"{field} has {len(value)} values; at most {limits.max_metadata_list_values} are allowed.",
            reason="METADATA_TOO_LARGE",
            field=field,
        )
    scalars = [checked_scalar(field, element) for element in value]
    if len({kind_of(scalar) for scalar in scalars}) > 1:
        raise InvalidField(field, f"{field} mixes strings, numbers and booleans; the values of a list are of one kind.")
    return scalars
