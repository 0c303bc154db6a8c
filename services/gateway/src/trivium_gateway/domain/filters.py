"""Conditions on passages, from the JSON of a request to a checked form that the search understands."""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.dates import HOW_DATES_ARE_WRITTEN, DatePeriod, date_period
from trivium_gateway.domain.ids import forms_of_id
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.metadata import JsonValue, MetadataKind, MetadataScalar, checked_scalar, kind_of

__all__ = ["AnyOf", "Condition", "Filter", "Not", "Range", "parse_filter"]

_BOUNDS = ("gt", "gte", "lt", "lte")
_METADATA_PREFIX = "metadata."
_DOCUMENT_ID = "document_id"
_NOT = "not"
_ANY = "any"
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Range:
    """A range of numbers, or of instants in UTC; a bound that is None is none.

    Attributes:
        gt: Exclusive lower bound.
        gte: Inclusive lower bound.
        lt: Exclusive upper bound.
        lte: Inclusive upper bound.
    """

    gt: float | datetime | None = None
    gte: float | datetime | None = None
    lt: float | datetime | None = None
    lte: float | datetime | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one field, which holds if any of these does.

    Attributes:
        field: `document_id`, or `metadata.` and a key.
        kind: What the field's values are.
        values: The field has one of these: texts or booleans.
        ranges: The field has a value in one of these: numbers or dates.
        or_absent: The field has no value.
    """

    field: str
    kind: MetadataKind
    values: tuple[MetadataScalar, ...] = ()
    ranges: tuple[Range, ...] = ()
    or_absent: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where a filter does not."""

    filter: "Filter"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one of some filters does."""

    filters: "tuple[Filter, ...]"


Part: TypeAlias = "Condition | Not | AnyOf | Filter"


@dataclass(frozen=True, slots=True)
class Filter:
    """Parts, all of which must hold; never empty."""

    parts: tuple[Part, ...]


def parse_filter(
    filter_json: Mapping[str, JsonValue],
    known_keys: Mapping[str, MetadataKind],
    limits: GatewayLimits | None = None,
) -> Filter | None:
    """Check the filter of a request.

    Args:
        filter_json: For example `{"metadata.year": {"gte": 2020}, "metadata.lang": ["en", "zh"], "document_id": "a",
            "not": {"metadata.draft": true}, "any": [{"metadata.due": {"lt": "2026-01-31"}}, {"metadata.due": null}]}`.
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
    return _FilterParser(known_keys, limits).parse("filter", filter_json) if filter_json else None


def _check_size(filter_json: Mapping[str, JsonValue], limits: GatewayLimits) -> None:
    count = 0
    for depth, field in _fields_of(filter_json):
        count += field not in (_NOT, _ANY, _ALL)
        if depth > limits.max_filter_depth:
            raise _too_large(f"nested over {limits.max_filter_depth} levels deep. Flatten it.")
        if count > limits.max_filter_conditions:
            raise _too_large(f"of over {limits.max_filter_conditions} conditions, which are the most allowed.")
    size = len(json.dumps(filter_json, ensure_ascii=True, default=str))
    if size > limits.max_filter_bytes:
        raise _too_large(f"of {size} bytes as JSON; at most {limits.max_filter_bytes} are allowed.")


def _fields_of(filter_json: Mapping[str, JsonValue]) -> Iterator[tuple[int, str]]:
    """All fields and how deep they stand, without recursion: nobody has looked at the depth yet."""
    waiting: list[tuple[int, Mapping[str, JsonValue]]] = [(1, filter_json)]
    while waiting:
        depth, level = waiting.pop()
        for field, wanted in level.items():
            yield depth, field
            inner = wanted if field in (_ANY, _ALL) and isinstance(wanted, list) else [wanted] if field == _NOT else []
            waiting += [(depth + 1, one) for one in inner if isinstance(one, Mapping)]


def _too_large(what: str) -> TooLarge:
    return TooLarge(f"The filter is {what}", reason="FILTER_TOO_LARGE", field="filter")


class _FilterParser:
    def __init__(self, known_keys: Mapping[str, MetadataKind], limits: GatewayLimits) -> None:
        self._known_keys = known_keys
        self._limits = limits

    def parse(self, place: str, filter_json: Mapping[str, JsonValue]) -> Filter:
        return Filter(tuple(self._part(f"{place}.{field}", field, filter_json[field]) for field in filter_json))

    def _part(self, place: str, field: str, wanted: JsonValue) -> Part:
        place = place.encode(errors="replace").decode()
        if field == _NOT:
            return Not(self._inner(place, wanted))
        if field in (_ANY, _ALL):
            if not isinstance(wanted, Sequence) or isinstance(wanted, str) or not wanted:
                raise InvalidField(place, f"{place} must be a list of at least one filter.")
            filters = tuple(self._inner(f"{place}[{number}]", one) for number, one in enumerate(wanted))
            return AnyOf(filters) if field == _ANY else Filter(filters)
        field, kind = self._known(place, field)
        if isinstance(wanted, Mapping):
            return Condition(field, kind, ranges=(_range(place, field, kind, wanted),))
        return self._choice(place, field, kind, wanted)

    def _inner(self, place: str, wanted: JsonValue) -> Filter:
        if not isinstance(wanted, Mapping) or not wanted:
            raise InvalidField(place, f"{place} must be a filter with at least one condition.")
        return self.parse(place, wanted)

    def _known(self, place: str, field: str) -> tuple[str, MetadataKind]:
        """The field as it is stored, and its kind."""
        if field == _DOCUMENT_ID:
            return field, MetadataKind.TEXT
        key = unicodedata.normalize("NFC", field.removeprefix(_METADATA_PREFIX))
        kind = self._known_keys.get(key) if field.startswith(_METADATA_PREFIX) else None
        if kind is None:
            known = ", ".join([_DOCUMENT_ID, *(_METADATA_PREFIX + key for key in sorted(self._known_keys))])
            raise InvalidField(
                place,
                f"There is no field {field!r} to filter by. This collection has: {known}.",
                reason="UNKNOWN_FILTER_FIELD",
            )
        return _METADATA_PREFIX + key, kind

    def _choice(self, place: str, field: str, kind: MetadataKind, wanted: JsonValue) -> Condition:
        listed: Sequence[JsonValue] = (
            wanted if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted]
        )
        if not listed:
            raise InvalidField(place, f"The list of {field} is empty, so that nothing could match; leave it out.")
        if len(listed) > self._limits.max_filter_values:
            raise TooLarge(
                f"The list of {field} has {len(listed)} values; at most {self._limits.max_filter_values} are allowed.",
                reason="FILTER_TOO_LARGE",
                field=place,
            )
        scalars = [_fitting(place, field, kind, one) for one in listed if one is not None]
        or_absent = len(scalars) < len(listed)
        if kind is MetadataKind.NUMBER:
            numbers = map(float, scalars)
            return Condition(field, kind, (), tuple(Range(gte=one, lte=one) for one in numbers), or_absent)
        if kind is MetadataKind.DATE:
            periods = [_period(one) for one in scalars]
            return Condition(field, kind, (), tuple(Range(gte=one.first, lte=one.last) for one in periods), or_absent)
        if kind is MetadataKind.TEXT:
            # What earlier versions of Trivium stored is as it came.
            scalars = list(dict.fromkeys(form for one in listed if isinstance(one, str) for form in forms_of_id(one)))
        return Condition(field, kind, tuple(scalars), (), or_absent)


def _range(place: str, field: str, kind: MetadataKind, bounds: Mapping[str, JsonValue]) -> Range:
    if kind not in (MetadataKind.NUMBER, MetadataKind.DATE):
        raise InvalidField(place, f"{field} holds {kind.value} values; ranges are for numbers and dates.")
    unknown = [bound for bound in bounds if bound not in _BOUNDS]
    if unknown or not bounds:
        raise InvalidField(place, f"The range of {field} must have some of gt, gte, lt and lte, and nothing else.")
    fitting = {bound: _fitting(place, field, kind, value) for bound, value in bounds.items()}
    if kind is MetadataKind.NUMBER:
        return Range(**{bound: float(value) for bound, value in fitting.items()})
    # A day is a whole: `gt` begins after it, and `lte` ends with it.
    periods = {bound: _period(value) for bound, value in fitting.items()}
    return Range(**{bound: one.last if bound in ("gt", "lte") else one.first for bound, one in periods.items()})


def _fitting(place: str, field: str, kind: MetadataKind, value: JsonValue) -> MetadataScalar:
    scalar = checked_scalar(place, value)
    own = kind_of(scalar)
    if own is None or not kind.takes(own):
        how = f" Write it as {HOW_DATES_ARE_WRITTEN}." if kind is MetadataKind.DATE else ""
        raise InvalidField(place, f"{field} holds {kind.value} values; {scalar!r} is none.{how}")
    return scalar


def _period(value: MetadataScalar) -> DatePeriod:
    period = date_period(str(value))
    if period is None:
        raise AssertionError("checked by _fitting")
    return period
