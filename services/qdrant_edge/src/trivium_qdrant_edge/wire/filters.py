"""Filters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import qdrant_edge
from numpy import bool_
from trivium_serving.errors import InvalidField, TooLarge

from trivium_qdrant_edge.wire.fields import allow_only, unsupported
from trivium_qdrant_edge.wire.vectors import point_id_to_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trivium_qdrant_edge.generated import qdrant

_FIELD_CONDITION = frozenset(("key", "match", "range", "values_count", "datetime_range", "is_empty", "is_null"))


class FilterConverter:
    """Converts the filters of one request, and counts their conditions.

    Args:
        most_conditions: Most conditions, each listed value or id counted.
    """

    def __init__(self, most_conditions: int) -> None:
        self._most_conditions = most_conditions
        self._count = 0

    def convert(self, wire: qdrant.Filter) -> qdrant_edge.Filter:
        """The engine's form of a filter; an empty one lets everything pass.

        Raises:
            InvalidField: A condition makes no sense.
            TooLarge: There are too many conditions.
            Unimplemented: A condition is of a kind that is not supported.
        """
        min_should = None
        if wire.HasField("min_should"):
            conditions = self._conditions(wire.min_should.conditions)
            min_should = qdrant_edge.MinShould(conditions, wire.min_should.min_count)
        return qdrant_edge.Filter(
            must=self._conditions(wire.must) or None,
            should=self._conditions(wire.should) or None,
            must_not=self._conditions(wire.must_not) or None,
            min_should=min_should,
        )

    def _conditions(self, wire: Sequence[qdrant.Condition]) -> list[qdrant_edge.ConditionType]:
        return [self._condition(condition) for condition in wire]

    def _condition(self, wire: qdrant.Condition) -> qdrant_edge.ConditionType:
        self._add(1)
        kind = wire.WhichOneof("condition_one_of")
        if kind == "field":
            return self._field(wire.field)
        if kind == "filter":
            return self.convert(wire.filter)
        if kind == "has_id":
            self._add(len(wire.has_id.has_id))
            return qdrant_edge.HasIdCondition({point_id_to_engine(point_id) for point_id in wire.has_id.has_id})
        if kind == "is_empty":
            return qdrant_edge.IsEmptyCondition(wire.is_empty.key)
        if kind == "is_null":
            return qdrant_edge.IsNullCondition(wire.is_null.key)
        if kind == "nested":
            return qdrant_edge.NestedCondition(wire.nested.key, self.convert(wire.nested.filter))
        if kind == "has_vector":
            return qdrant_edge.HasVectorCondition(wire.has_vector.has_vector)
        if kind is None:
            raise InvalidField("filter", "Wrong input: a condition without content")
        raise unsupported(f"a filter condition of the kind `{kind}`")

    def _field(self, wire: qdrant.FieldCondition) -> qdrant_edge.FieldCondition:
        allow_only(wire, _FIELD_CONDITION)
        if not any(wire.HasField(part) for part in _FIELD_CONDITION - {"key"}):  # type: ignore[arg-type]
            raise InvalidField(
                "filter", f"Wrong input: the condition on `{wire.key}` says nothing; give it a match or a range"
            )
        if wire.HasField("range") and wire.HasField("datetime_range"):
            raise InvalidField("filter", f"Wrong input: `{wire.key}` has a range of numbers and one of times")
        return qdrant_edge.FieldCondition(
            wire.key,
            match=self._match(wire.match) if wire.HasField("match") else None,
            range=_range(wire),
            values_count=_values_count(wire.values_count) if wire.HasField("values_count") else None,
            is_empty=wire.is_empty if wire.HasField("is_empty") else None,
            is_null=wire.is_null if wire.HasField("is_null") else None,
        )

    def _match(self, wire: qdrant.Match) -> qdrant_edge.MatchType:
        kind = wire.WhichOneof("match_value")
        if kind in ("keyword", "integer"):
            return qdrant_edge.MatchValue(getattr(wire, kind))
        if kind == "boolean":
            # The bindings take Python's True for the integer 1, which matches no boolean; numpy's they understand.
            return qdrant_edge.MatchValue(bool_(wire.boolean))  # type: ignore[arg-type]
        if kind in ("keywords", "except_keywords"):
            strings = list(getattr(wire, kind).strings)
            self._add(len(strings))
            return qdrant_edge.MatchAny(strings) if kind == "keywords" else qdrant_edge.MatchExcept(strings)
        if kind in ("integers", "except_integers"):
            integers = list(getattr(wire, kind).integers)
            self._add(len(integers))
            return qdrant_edge.MatchAny(integers) if kind == "integers" else qdrant_edge.MatchExcept(integers)
        if kind in _TEXT_MATCHES:
            return _TEXT_MATCHES[kind](getattr(wire, kind))
        raise InvalidField("filter", "Wrong input: a match without a value")

    def _add(self, count: int) -> None:
        self._count += count
        if self._count > self._most_conditions:
            raise TooLarge(
                f"Wrong input: the filters of a request may have {self._most_conditions} conditions, each listed value "
                "or id counted. Split the request, or raise TRIVIUM_QDRANT_EDGE_MAX_FILTER_CONDITIONS.",
                field="filter",
            )


_TEXT_MATCHES: dict[str, Callable[[str], qdrant_edge.MatchType]] = {
    "text": qdrant_edge.MatchText,
    "phrase": qdrant_edge.MatchPhrase,
    "text_any": qdrant_edge.MatchTextAny,
    "prefix": qdrant_edge.MatchPrefix,
    "substring": qdrant_edge.MatchSubstring,
}


def _range(wire: qdrant.FieldCondition) -> qdrant_edge.RangeType | None:
    if wire.HasField("range"):
        bounds = {bound.name: value for bound, value in wire.range.ListFields()}
        if any(math.isnan(bound) for bound in bounds.values()):  # the engine panics
            raise InvalidField("filter", f"Wrong input: a bound of the range of `{wire.key}` is not a number")
        return qdrant_edge.RangeFloat(**bounds)
    if wire.HasField("datetime_range"):
        times = {bound.name: moment.ToJsonString() for bound, moment in wire.datetime_range.ListFields()}
        return qdrant_edge.RangeDateTime(**times)
    return None


def _values_count(wire: qdrant.ValuesCount) -> qdrant_edge.ValuesCount:
    return qdrant_edge.ValuesCount(**{bound.name: value for bound, value in wire.ListFields()})
