"""Filters and metadata: what is accepted, in which form, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest
from trivium_gateway.domain.filters import AnyOf, Condition, Filter, Not, Range, parse_filter
from trivium_gateway.domain.limits import (
    GatewayLimits,
    check_document_id,
    check_page_size,
    check_query,
    check_title,
    check_top_n,
    check_uri,
)
from trivium_gateway.domain.metadata import MetadataKind, checked_metadata, flat_metadata, kind_of
from trivium_gateway.domain.readers import whole
from trivium_gateway.qdrant.points import metadata_key, metadata_path, scoped_filter
from trivium_serving.errors import InvalidField, TooLarge, TriviumError

if TYPE_CHECKING:
    from collections.abc import Callable

_LIMITS = GatewayLimits()
_KNOWN = {
    "year": MetadataKind.NUMBER,
    "lang": MetadataKind.TEXT,
    "open": MetadataKind.BOOLEAN,
    "due": MetadataKind.DATE,
}


def _nested(wrap: Callable[[Any], dict[str, Any]], times: int, innermost: dict[str, Any]) -> dict[str, Any]:
    return reduce(lambda inner, _: wrap(inner), range(times), innermost)


def test_filter_of_each_kind_is_parsed() -> None:
    parsed = parse_filter(
        {"metadata.year": {"gte": 2020, "lt": 2030.0}, "metadata.lang": ["en", "zh"], "document_id": "a"}, _KNOWN
    )
    assert parsed == Filter(
        (
            Condition("metadata.year", MetadataKind.NUMBER, ranges=(Range(gte=2020.0, lt=2030.0),)),
            Condition("metadata.lang", MetadataKind.TEXT, ("en", "zh")),
            Condition("document_id", MetadataKind.TEXT, ("a",)),
        )
    )


def test_filter_of_filters_is_parsed() -> None:
    parsed = parse_filter(
        {
            "not": {"metadata.open": [True, None]},
            "any": [{"metadata.due": {"gte": "2026-01-31T12:00:00+01:00"}}, {"metadata.lang": None}],
            "all": [{"document_id": "a"}],
        },
        _KNOWN,
    )
    noon = datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert parsed == Filter(
        (
            Not(Filter((Condition("metadata.open", MetadataKind.BOOLEAN, (True,), or_absent=True),))),
            AnyOf(
                (
                    Filter((Condition("metadata.due", MetadataKind.DATE, ranges=(Range(gte=noon),)),)),
                    Filter((Condition("metadata.lang", MetadataKind.TEXT, or_absent=True),)),
                )
            ),
            Filter((Filter((Condition("document_id", MetadataKind.TEXT, ("a",)),)),)),
        )
    )


def test_filter_without_conditions_is_none() -> None:
    assert parse_filter({}, _KNOWN) is None


def test_filter_on_unknown_field_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidField) as caught:
        parse_filter({"metadata.author": "x"}, _KNOWN)
    assert caught.value.reason == "UNKNOWN_FILTER_FIELD"
    assert caught.value.field == "filter.metadata.author"
    assert "document_id, metadata.due, metadata.lang, metadata.open, metadata.year" in caught.value.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": "x"},
        {"year": 2020},
        {"metadata.": 1},
        {"metadata.\ud800": 1},
        {"metadata.year": "2020"},
        {"metadata.year": True},
        {"metadata.open": 1},
        {"metadata.lang": 1},
        {"metadata.lang": []},
        {"metadata.lang": [["en"]]},
        {"metadata.lang": {"gte": "en"}},
        {"metadata.year": {}},
        {"metadata.year": {"from": 1}},
        {"metadata.year": {"gte": "x"}},
        {"metadata.year": {"gte": math.inf}},
        {"metadata.year": 2**60},
        {"metadata.lang": "\ud800"},
        {"document_id": {"gte": 1}},
        {"metadata.due": "spring"},
        {"metadata.due": "2026-02-30"},
        {"metadata.due": {"gte": 2026}},
        {"metadata.due": {"gte": None}},
        {"not": {}},
        {"not": "metadata.year"},
        {"not": {"metadata.author": "x"}},
        {"any": []},
        {"any": {"metadata.year": 1}},
        {"all": [{}]},
        {"all": [{"metadata.year": "x"}]},
    ],
    ids=ascii,
)
def test_filter_that_could_never_match_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_filter(wrong, _KNOWN)
    assert (caught.value.field or "").startswith("filter.")
    caught.value.field.encode()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "large",
    [
        {"metadata.lang": ["x"] * (_LIMITS.max_filter_values + 1)},
        {f"metadata.k{number}": 1 for number in range(_LIMITS.max_filter_conditions + 1)},
        {"any": [{"not": {"metadata.year": 1}}] * (_LIMITS.max_filter_conditions + 1)},
        {"metadata.lang": "x" * _LIMITS.max_filter_bytes},
        _nested(lambda inner: {"not": inner}, _LIMITS.max_filter_depth, {"metadata.year": 1}),
        _nested(lambda inner: {"any": [inner]}, 50_000, {"metadata.year": 1}),
    ],
    ids=["values", "conditions", "conditions_inside", "bytes", "depth", "great_depth"],
)
def test_filter_over_a_limit_is_refused(large: dict[str, Any]) -> None:
    with pytest.raises(TooLarge) as caught:
        parse_filter(large, _KNOWN)
    assert caught.value.reason == "FILTER_TOO_LARGE"


def test_every_filter_begins_with_the_tenant() -> None:
    year = Condition("metadata.year", MetadataKind.NUMBER, ranges=(Range(gt=1.0), Range(lt=2.0)))
    user = Filter((year, AnyOf((Filter((year,)),)), Not(Filter((year,)))))
    for made in (scoped_filter(whole("t")), scoped_filter(whole("t"), user_filter=user)):
        assert made.must[0].field.key == "tenant"
        assert list(made.must[0].field.match.keywords.strings) == ["t", "t/restricted"]
        assert not made.should  # which would stand beside the tenant, and not under it
        assert not made.must_not


@pytest.mark.parametrize("key", ["year", "dc.title", "作者", "a b", "a-b_c", "x:y/z@w"])
def test_metadata_key_survives_its_payload_path(key: str) -> None:
    assert metadata_key(metadata_path(key)) == key


def test_metadata_gives_equal_numbers_equal_form() -> None:
    checked = checked_metadata({"a": 2020.0, "b": [1.0, 2.5], "c": True, "d": "x", "e": []}, _LIMITS)
    assert repr(checked) == "{'a': 2020, 'b': [1, 2.5], 'c': True, 'd': 'x', 'e': []}"
    assert checked_metadata({"a": None, "b": [None, 1], "c": {"d": None}}, _LIMITS) == {"b": [1], "c": {}}
    assert checked_metadata({"u\u0308": "u\u0308"}, _LIMITS) == {"ü": "ü"}
    kinds = [kind_of(value) for value in flat_metadata(checked).values()]
    assert kinds == [MetadataKind.NUMBER, MetadataKind.NUMBER, MetadataKind.BOOLEAN, MetadataKind.TEXT, None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"a": {"b": 1}, "a.b": 2},
        {"a": [{"b": 1}]},
        {"a": {"b" * 60: {"c" * 4: 1}}},
        {"a": {" b": 1}},
        {"a": [1, "x"]},
        {"a": [True, 1]},
        {"a": [[1]]},
        {"a": math.nan},
        {"a": 2**53 + 2},
        {"a": "\ud800"},
        {"": 1},
        {'a"b': 1},
        {"a[0]": 1},
        {" a": 1},
        {"a\n": 1},
        {"k" * 65: 1},
    ],
    ids=ascii,
)
def test_metadata_of_other_shapes_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidField):
        checked_metadata(wrong, _LIMITS)


@pytest.mark.parametrize(
    "large",
    [
        {f"k{number}": 1 for number in range(65)},
        {f"k{number}": {f"k{inner}": 1 for inner in range(13)} for number in range(5)},
        {"a": [1] * 257},
        {"a": "x" * 16_384},
        _nested(lambda inner: {"a": inner}, 8, {"a": 1}),
        _nested(lambda inner: {"a": inner}, 5_000, {"a": 1}),
    ],
    ids=["keys", "keys_inside", "values", "bytes", "depth", "great_depth"],
)
def test_metadata_over_a_limit_is_refused(large: dict[str, Any]) -> None:
    with pytest.raises(TooLarge) as caught:
        checked_metadata(large, _LIMITS)
    assert caught.value.reason == "METADATA_TOO_LARGE"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2026-01-31", MetadataKind.DATE),
        ("2026-01-31T12:00:00Z", MetadataKind.DATE),
        ("2026-01-31 12:00:00.123456+05:30", MetadataKind.DATE),
        ("9999-12-31", MetadataKind.DATE),
        ("2026-02-30", MetadataKind.TEXT),
        ("0000-01-01", MetadataKind.TEXT),
        ("0001-01-01T00:00:00+01:00", MetadataKind.TEXT),
        ("2026-01-31T12:00", MetadataKind.TEXT),
        ("2026-01-31T12:00:00.1234567Z", MetadataKind.TEXT),
        ("20260131", MetadataKind.TEXT),
        ("2026-W05", MetadataKind.TEXT),
        (["2026-01-31", "2026-02-01"], MetadataKind.DATE),
        (["2026-01-31", "spring"], MetadataKind.TEXT),
    ],
)
def test_date_is_what_a_calendar_has_and_qdrant_reads(value: Any, kind: MetadataKind) -> None:
    assert kind_of(value) is kind


@pytest.mark.parametrize("accepted", ["a/b/c.txt", "🎉", "ä" * 512, " ", "a#b?c=d", "../..", "人工智能"])
def test_document_id_of_any_printable_text_is_accepted(accepted: str) -> None:
    check_document_id(accepted, _LIMITS)


@pytest.mark.parametrize("refused", ["", "a\nb", "\x00", "a\x7f", "x" * 513, "\ud83d", "\u2028"], ids=ascii)
def test_document_id_that_is_none_is_refused(refused: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check_document_id(refused, _LIMITS)
    assert caught.value.field == "id"


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (lambda: check_query("question", " \n", _LIMITS), "EMPTY_QUERY"),
        (lambda: check_query("question", "x" * 10_000_000, _LIMITS), "QUERY_TOO_LONG"),
        (lambda: check_query("question", "\ud800", _LIMITS), "INVALID_FIELD"),
        (lambda: check_top_n(0, _LIMITS), "INVALID_FIELD"),
        (lambda: check_top_n(-1, _LIMITS), "INVALID_FIELD"),
        (lambda: check_top_n(1_000_000, _LIMITS), "INVALID_FIELD"),
        (lambda: check_page_size(0, _LIMITS), "INVALID_FIELD"),
        (lambda: check_page_size(1001, _LIMITS), "INVALID_FIELD"),
        (lambda: check_title("x" * 501, _LIMITS), "INVALID_FIELD"),
        (lambda: check_title("a\x1bb", _LIMITS), "INVALID_FIELD"),
        (lambda: check_uri("x" * 2049, _LIMITS), "INVALID_FIELD"),
    ],
)
def test_what_is_over_a_limit_is_refused_with_its_reason(check: Callable[[], None], reason: str) -> None:
    with pytest.raises(TriviumError) as caught:
        check()
    assert caught.value.reason == reason


def test_limits_can_be_changed() -> None:
    check_query("query", "x" * 9000, replace(_LIMITS, max_query_characters=9000))
