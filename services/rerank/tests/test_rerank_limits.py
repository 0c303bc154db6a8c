"""What the service refuses, at each limit and one beyond."""

import pytest
from trivium_rerank.limits import Limits
from trivium_serving.errors import InvalidField, TooLarge

LIMITS = Limits(max_texts=3, max_query_characters=6, max_text_characters=10, max_call_bytes=24)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        pytest.param("q", ["a", "b", "c"], id="most passages"),
        pytest.param("q" * 6, ["a"], id="longest query"),
        pytest.param("q", ["a" * 10], id="longest passage"),
        pytest.param("qqq", ["a" * 7] * 3, id="most bytes"),
        pytest.param("问", ["语" * 7], id="most bytes of wide characters"),
        pytest.param("q", ["", " "], id="blank passages"),
    ],
)
def test_limits_at_the_limit_accept(query: str, texts: list[str]) -> None:
    LIMITS.check(query, texts)


@pytest.mark.parametrize(
    ("query", "texts", "reason", "field", "numbers"),
    [
        pytest.param("", ["a"], "BLANK_QUERY", "query", (), id="empty query"),
        pytest.param("\x00 \n", ["a"], "BLANK_QUERY", "query", (), id="blank query"),
        pytest.param("q" * 7, ["a"], "QUERY_TOO_LONG", "query", ("7", "6"), id="query too long"),
        pytest.param("q", [], "NO_TEXTS", "texts", (), id="no passages"),
        pytest.param("q", ["a"] * 4, "TOO_MANY_TEXTS", "texts", ("4", "3"), id="too many"),
        pytest.param("q", ["a", "b" * 11], "TEXT_TOO_LONG", "texts[1]", ("11", "10"), id="one too long"),
        pytest.param("qqq", ["a" * 8] * 3, "CALL_TOO_LARGE", "texts", ("27", "24"), id="too many bytes"),
        pytest.param("问", ["语" * 8], "CALL_TOO_LARGE", "texts", ("27", "24"), id="too many wide characters"),
    ],
)
def test_limits_beyond_a_limit_name_it(
    query: str, texts: list[str], reason: str, field: str, numbers: tuple[str, ...]
) -> None:
    with pytest.raises((InvalidField, TooLarge)) as refusal:
        LIMITS.check(query, texts)

    assert (refusal.value.reason, refusal.value.field) == (reason, field)
    for number in numbers:
        assert number in refusal.value.message
