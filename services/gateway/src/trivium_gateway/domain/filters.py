"""Conditions on passages, from the JSON of a request to a checked form that the store understands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.metadata import JsonValue, MetadataKind, MetadataScalar, checked_scalar, kind_of

__all__ = ["Condition", "Filter", "parse_filter"]

_BOUNDS = ("gt", "gte", "lt", "lte")
_METADATA_PREFIX = "metadata."
_DOCUMENT_ID = "document_id"


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: the field has one of some values, or lies in a range.

    Attributes:
        field: `document_id`, or `metadata.` and a key.
        kind: What the field's values are.
        any_of: The values, one of which must match; empty for a range.
        gt: Exclusive lower bound of a range over numbers, or None.
        gte: Inclusive lower bound, or None.
        lt: Exclusive upper bound, or None.
        lte: Inclusive upper bound, or None.
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


def parse_filter(
    filter_json: Mapping[str, JsonValue],
    known_keys: Mapping[str, MetadataKind],
    limits: GatewayLimits | None = None,
) -> Filter | None:
    """Check the filter of a request.

    Args:
        filter_json: For example `{"metadata.year": {"gte": 2020}, "metadata.lang": ["en", "zh"], "document_id": "a"}`.
        known_keys: The metadata keys of the collection, without `metadata.`, and their kinds.
        limits: What is allowed; None for the defaults.

    Returns:
        The filter, or None if it has no condition.

    Raises:
        InvalidField: The filter names a field that does not exist (UNKNOWN_FILTER_FIELD; Qdrant would silently find
            nothing), or a value does not fit the field's kind.
        TooLarge: The filter is over a limit (FILTER_TOO_LARGE).
    """
    limits = limits or GatewayLimits()
    _check_size(filter_json, limits)
    conditions = []
    for field, wanted in filter_json.items():
        kind = _kind_of_field(field, known_keys)
        if isinstance(wanted, Mapping):
            conditions.append(_range(field, kind, wanted))
        else:
            conditions.append(_any_of(field, kind, wanted, limits))
    return Filter(tuple(conditions)) if conditions else None


def _check_size(filter_json: Mapping[str, JsonValue], limits: GatewayLimits) -> None:
    if len(filter_json) > limits.max_filter_conditions:
        raise TooLarge(
            f"The filter has {len(filter_json)} conditions; at most {limits.max_filter_conditions} are allowed.",
            reason="FILTER_TOO_LARGE",
            field="filter",
        )
    size = len(json.dumps(filter_json, ensure_ascii=True, default=str))
    if size > limits.max_filter_bytes:
        raise TooLarge(
            f"The filter has {size} bytes as JSON; at most {limits.max_filter_bytes} are allowed.",
            reason="FILTER_TOO_LARGE",
            field="filter",
        )


def _kind_of_field(field: str, known_keys: Mapping[str, MetadataKind]) -> MetadataKind:
    if field == _DOCUMENT_ID:
        return MetadataKind.TEXT
    kind = known_keys.get(field.removeprefix(_METADATA_PREFIX)) if field.startswith(_METADATA_PREFIX) else None
    if kind is None:
        known = ", ".join([_DOCUMENT_ID, *(_METADATA_PREFIX + key for key in sorted(known_keys))])
        raise InvalidField(
            _path(field),
            f"There is no field {field!r} to filter by. This collection has: {known}.",
            reason="UNKNOWN_FILTER_FIELD",
        )
    return kind


def _range(field: str, kind: MetadataKind, bounds: Mapping[str, JsonValue]) -> Condition:
    if kind is not MetadataKind.NUMBER:
        raise InvalidField(_path(field), f"{field} holds {kind.value} values; ranges are for numbers.")
    unknown = [bound for bound in bounds if bound not in _BOUNDS]
    if unknown or not bounds:
        raise InvalidField(
            _path(field), f"The range of {field} must have some of gt, gte, lt and lte, and nothing else."
        )
    numbers: dict[str, float] = {}
    for bound, value in bounds.items():
        number = checked_scalar(_path(field), value)
        if kind_of(number) is not MetadataKind.NUMBER:
            raise InvalidField(_path(field), f"The bound {bound} of {field} must be a number.")
        numbers[bound] = float(number)
    return Condition(
        field, kind, gt=numbers.get("gt"), gte=numbers.get("gte"), lt=numbers.get("lt"), lte=numbers.get("lte")
    )


def _any_of(field: str, kind: MetadataKind, wanted: JsonValue, limits: GatewayLimits) -> Condition:
    values: Sequence[JsonValue] = wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
    if not values:
        raise InvalidField(_path(field), f"The list of {field} is empty, so that nothing could match; leave it out.")
    if len(values) > limits.max_filter_values:
        raise TooLarge(
            f"The list of {field} has {len(values)} values; at most {limits.max_filter_values} are allowed.",
            reason="FILTER_TOO_LARGE",
            field=_path(field),
        )
    scalars = tuple(checked_scalar(_path(field), value) for value in values)
    wrong = next((scalar for scalar in scalars if kind_of(scalar) is not kind), None)
    if wrong is not None:
        raise InvalidField(_path(field), f"{field} holds {kind.value} values; {wrong!r} is none.")
    return Condition(field, kind, any_of=scalars)


def _path(field: str) -> str:
    return f"filter.{field}".encode(errors="replace").decode()
