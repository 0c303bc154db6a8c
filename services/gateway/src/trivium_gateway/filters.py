"""Conditions on passages, from the JSON of a request to a checked form that the store understands."""

from collections.abc import Mapping
from dataclasses import dataclass

from trivium_gateway.metadata import JsonValue, MetadataKind, MetadataScalar

__all__ = ["Condition", "Filter", "parse_filter"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: the field has one of some values, or lies in a range.

    Attributes:
        field: `document_id`, or `metadata.` and a key.
        kind: What the field's values are.
        any_of: The values, one of which must match; empty for a range.
        gt, gte, lt, lte: The bounds of a range over numbers; None where it is open.
    """

    field: str
    kind: MetadataKind
    any_of: tuple[MetadataScalar, ...] = ()
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions, all of which must hold; never empty."""

    conditions: tuple[Condition, ...]


def parse_filter(filter_json: Mapping[str, JsonValue], known_keys: Mapping[str, MetadataKind]) -> Filter | None:
    """Check the filter of a request.

    Args:
        filter_json: For example `{"metadata.year": {"gte": 2020}, "metadata.lang": ["en", "zh"], "document_id": "a"}`.
        known_keys: The metadata keys of the collection, without `metadata.`, and their kinds.

    Returns:
        The filter, or None if it has no condition.

    Raises:
        InvalidField: The filter names a field that does not exist (Qdrant would silently find nothing), or a value does
            not fit the field's kind.
        TooLarge: The filter is over a limit.
    """
    raise NotImplementedError
