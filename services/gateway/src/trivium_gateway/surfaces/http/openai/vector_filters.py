"""Filters of OpenAI's vector stores as Trivium's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        InvalidField: It is no filter, or one that cannot be expressed (UNSUPPORTED_FIELD).
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
    return _all_of(read, field) if kind == "and" else _any_of(read, field)


def _comparison(filters: Mapping[str, Any], field: str) -> dict[str, Any]:
    kind, key, value = filters.get("type"), filters.get("key"), filters.get("value")
    if not isinstance(key, str) or not key:
        raise InvalidField(f"{field}.key", f"{field}.key must name an attribute.")
    name = "document_id" if key in _DOCUMENT_KEYS else f"metadata.{key}"
    if kind == "eq" and isinstance(value, str | int | float | bool):
        return {name: value}
    if kind == "in" and isinstance(value, list):
        return {name: value}
    if kind in _RANGES and isinstance(value, int | float) and not isinstance(value, bool):
        return {name: {kind: value}}
    if kind in ("ne", "nin"):
        raise _unsupported(field, f"{kind} cannot be searched for; name the values that are wanted, with in.")
    if kind not in ("eq", "in", *_RANGES):
        raise InvalidField(f"{field}.type", f"{field}.type must be eq, in, gt, gte, lt, lte, and, or or.")
    raise InvalidField(f"{field}.value", f"{field}.value is none that {kind} compares with.")


def _all_of(parts: list[dict[str, Any]], field: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        for name, wanted in part.items():
            known = merged.get(name)
            if known is None:
                merged[name] = wanted
            elif isinstance(known, dict) and isinstance(wanted, dict) and not known.keys() & wanted.keys():
                merged[name] = {**known, **wanted}
            else:
                raise _unsupported(
                    field, f"it has several conditions on {name}; one condition, or one range, is possible."
                )
    return merged


def _any_of(parts: list[dict[str, Any]], field: str) -> dict[str, Any]:
    names = {name for part in parts for name in part}
    values: list[Any] = []
    for part in parts:
        [wanted] = part.values() if len(part) == 1 else [None]
        if len(names) > 1 or wanted is None or isinstance(wanted, dict):
            raise _unsupported(field, "or is possible between values of one attribute only. Search once for each part.")
        values += wanted if isinstance(wanted, list) else [wanted]
    return {names.pop(): values}


def _unsupported(field: str, why: str) -> InvalidField:
    return InvalidField(field, f"{field} cannot be applied: {why}", reason="UNSUPPORTED_FIELD")
