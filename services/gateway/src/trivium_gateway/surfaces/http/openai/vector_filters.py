"""Filters of OpenAI's vector stores as Trivium's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

_EQUALITIES = ("eq", "ne")
_LISTS = ("in", "nin")
_RANGES = ("gt", "gte", "lt", "lte")
_DEEPEST = 8
# Attributes that are no metadata but the document itself.
_DOCUMENT_KEYS = ("document_id", "file_id")


def filter_of(filters: Mapping[str, Any], field: str = "filters", depth: int = 1) -> dict[str, Any]:
    """The filter of /v1/retrieve that means the same.

    Args:
        filters: A comparison `{"type": "eq", "key": ..., "value": ...}`, or `and` or `or` of several.
        field: Where it stands in the request.
        depth: How deep it is nested.

    Raises:
        InvalidField: It is no filter.
        TooLarge: It is nested too deeply (FILTER_TOO_LARGE).
    """
    if depth > _DEEPEST:
        raise TooLarge(
            f"{field} is nested over {_DEEPEST} levels deep. Flatten it.", reason="FILTER_TOO_LARGE", field="filters"
        )
    kind = filters.get("type")
    if kind not in ("and", "or"):
        return _comparison(filters, field)
    parts = filters.get("filters")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        raise InvalidField(f"{field}.filters", f"{field}.filters must be a list of at least one filter.")
    read = [filter_of(part, f"{field}.filters[{place}]", depth + 1) for place, part in enumerate(parts)]
    if len(read) == 1:
        return read[0]
    return {"all" if kind == "and" else "any": read}


def _comparison(filters: Mapping[str, Any], field: str) -> dict[str, Any]:
    kind, key, value = filters.get("type"), filters.get("key"), filters.get("value")
    if not isinstance(key, str) or not key:
        raise InvalidField(f"{field}.key", f"{field}.key must name an attribute.")
    name = "document_id" if key in _DOCUMENT_KEYS else f"metadata.{key}"
    if kind not in (*_EQUALITIES, *_LISTS, *_RANGES):
        raise InvalidField(f"{field}.type", f"{field}.type must be eq, ne, in, nin, gt, gte, lt, lte, and, or or.")
    if not (isinstance(value, list) if kind in _LISTS else isinstance(value, str | int | float | bool)):
        raise InvalidField(f"{field}.value", f"{field}.value is none that {kind} compares with.")
    condition = {name: {kind: value} if kind in _RANGES else value}
    return {"not": condition} if kind in ("ne", "nin") else condition
