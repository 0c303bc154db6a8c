"""A document's metadata: facts to filter by, and the one kind that each of their keys has in a collection."""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeAlias

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.dates import date_period
from trivium_gateway.domain.limits import GatewayLimits, check_unicode

__all__ = [
    "FlatMetadata",
    "JsonValue",
    "Metadata",
    "MetadataKind",
    "MetadataScalar",
    "MetadataValue",
    "checked_metadata",
    "checked_scalar",
    "flat_metadata",
    "kind_of",
]

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
"""Anything that JSON can say: what arrives from outside, before it is checked."""

MetadataScalar: TypeAlias = bool | int | float | str
MetadataValue: TypeAlias = MetadataScalar | Sequence[MetadataScalar]
Metadata: TypeAlias = "Mapping[str, MetadataValue | Metadata]"
"""Checked metadata. Numbers that are whole are `int`, whichever way they arrived; nothing is null, and lists are of one
kind."""
FlatMetadata: TypeAlias = Mapping[str, MetadataValue]
"""The same without objects: `{"source": {"page": 3}}` is `{"source.page": 3}`."""

_LARGEST_EXACT_NUMBER = 2**53
"""From here on a double, which is what JSON, Struct and Qdrant's index have, no longer holds every whole number."""

_KEY_PUNCTUATION = "_-.:/@ "
_JOINT = "."


class MetadataKind(Enum):
    """What the values of one metadata key are, in all documents of a collection. A list is of its elements' kind."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"

    def takes(self, kind: "MetadataKind") -> bool:
        """Whether a key of this kind may have a value of another; a date is a text, too."""
        return kind is self or (self is MetadataKind.TEXT and kind is MetadataKind.DATE)


def checked_metadata(metadata: Mapping[str, JsonValue], limits: GatewayLimits) -> dict[str, "MetadataValue | Metadata"]:
    """Check a document's metadata, and give equal values equal form. What is null is left out: it means absent.

    Args:
        metadata: As it arrived.
        limits: What is allowed.

    Raises:
        InvalidField: A key has a character that it must not have, or names what another names, too, or a value is no
            string, number, boolean, list of one of those, or object.
        TooLarge: There are too many keys or values, or too much of them, or objects are nested too deeply.
    """
    checked = _checked_object("metadata", metadata, limits, depth=1)
    flat: dict[str, MetadataValue] = {}
    for key, value in _flat(checked):
        if key in flat:
            raise InvalidField("metadata", f"The metadata have {key!r} twice: as one key, and as keys in objects.")
        if len(key) > limits.max_metadata_key_characters:
            raise _key_length(key, limits)
        flat[key] = value
    if len(flat) > limits.max_metadata_keys:
        raise TooLarge(
            f"The metadata has {len(flat)} keys; at most {limits.max_metadata_keys} are allowed.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    size = len(json.dumps(checked, ensure_ascii=False).encode())
    if size > limits.max_metadata_bytes:
        raise TooLarge(
            f"The metadata has {size} bytes as JSON; at most {limits.max_metadata_bytes} are allowed.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    return checked


def flat_metadata(metadata: Metadata) -> dict[str, MetadataValue]:
    """Name each value by the keys that lead to it, with dots between: `source.page`."""
    return dict(_flat(metadata))


def kind_of(value: MetadataValue) -> MetadataKind | None:
    """Say what a checked value is; None for the empty list, which is of any kind."""
    if isinstance(value, str):
        return MetadataKind.TEXT if date_period(value) is None else MetadataKind.DATE
    if isinstance(value, bool):
        return MetadataKind.BOOLEAN
    if isinstance(value, int | float):
        return MetadataKind.NUMBER
    return _common_kind(value)


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
        return unicodedata.normalize("NFC", value)
    if not isinstance(value, int | float):
        raise InvalidField(field, f"{field} must be a string, a number, a boolean, or a list of one of those.")
    if not abs(value) <= _LARGEST_EXACT_NUMBER:  # NaN is not, either; and beyond it every float is whole
        raise InvalidField(
            field, f"{field} is a number that JSON cannot carry exactly: whole numbers go up to 2^53. Use a string."
        )
    return int(value) if value == int(value) else value


def _checked_object(
    field: str, value: Mapping[str, JsonValue], limits: GatewayLimits, depth: int
) -> dict[str, "MetadataValue | Metadata"]:
    if depth > limits.max_metadata_depth:
        raise TooLarge(
            f"The metadata are objects in objects over {limits.max_metadata_depth} levels deep. Flatten them.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    if len(value) > limits.max_metadata_keys:
        raise TooLarge(
            f"{field} has {len(value)} keys; at most {limits.max_metadata_keys} are allowed.",
            reason="METADATA_TOO_LARGE",
            field="metadata",
        )
    checked: dict[str, MetadataValue | Metadata] = {}
    for key, element in value.items():
        name = _checked_key(key, limits)
        path = f"{field}.{name}"
        if element is None:
            continue
        if isinstance(element, Mapping):
            checked[name] = _checked_object(path, element, limits, depth + 1)
        else:
            checked[name] = _checked_value(path, element, limits)
    return checked


def _checked_key(key: str, limits: GatewayLimits) -> str:
    check_unicode("metadata", key)
    key = unicodedata.normalize("NFC", key)
    if not 1 <= len(key) <= limits.max_metadata_key_characters:
        raise _key_length(key, limits)
    wrong = next((character for character in key if not (character.isalnum() or character in _KEY_PUNCTUATION)), None)
    if wrong is not None or key != key.strip():
        raise InvalidField(
            "metadata",
            f"The metadata key {key!r} must consist of letters, digits and any of `{_KEY_PUNCTUATION}`, and must not "
            "begin or end with a space.",
        )
    return key


def _key_length(key: str, limits: GatewayLimits) -> InvalidField:
    return InvalidField(
        "metadata",
        f"A metadata key has {len(key)} characters; it must have 1 to {limits.max_metadata_key_characters}, those of "
        "the objects around it included.",
    )


def _checked_value(field: str, value: JsonValue, limits: GatewayLimits) -> MetadataValue:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return checked_scalar(field, value)
    if len(value) > limits.max_metadata_list_values:
        raise TooLarge(
            f"{field} has {len(value)} values; at most {limits.max_metadata_list_values} are allowed.",
            reason="METADATA_TOO_LARGE",
            field=field,
        )
    scalars = [checked_scalar(field, element) for element in value if element is not None]
    if scalars and _common_kind(scalars) is None:
        raise InvalidField(field, f"{field} mixes strings, numbers and booleans; the values of a list are of one kind.")
    return scalars


def _common_kind(values: Sequence[MetadataScalar]) -> MetadataKind | None:
    kinds = {kind_of(value) for value in values}
    if kinds == {MetadataKind.TEXT, MetadataKind.DATE}:
        return MetadataKind.TEXT
    return kinds.pop() if len(kinds) == 1 else None


def _flat(metadata: Metadata, prefix: str = "") -> Iterator[tuple[str, MetadataValue]]:
    for key, value in metadata.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}{_JOINT}")
        else:
            yield prefix + key, value
