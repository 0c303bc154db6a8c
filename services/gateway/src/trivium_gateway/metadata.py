"""A document's metadata: flat facts to filter by, and the one kind that each of its keys has in a collection."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TypeAlias

__all__ = ["JsonValue", "Metadata", "MetadataKind", "MetadataScalar", "MetadataValue"]

JsonValue: TypeAlias = "None | bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue]"
"""Anything that JSON can say: what arrives from outside, before it is checked."""

MetadataScalar: TypeAlias = bool | int | float | str
MetadataValue: TypeAlias = MetadataScalar | list[str] | list[int | float] | list[bool]
Metadata: TypeAlias = Mapping[str, MetadataValue]
"""Checked metadata. Numbers that are whole are `int`, whichever way they arrived."""


class MetadataKind(Enum):
    """What the values of one metadata key are, in all documents of a collection. A list has the kind of its elements."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
