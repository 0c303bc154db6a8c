"""What the service refuses, at each limit and one beyond."""

import pytest
from trivium_embed.limits import Limits, refuse_blank
from trivium_serving.errors import InvalidField, TooLarge

LIMITS = Limits(max_texts=3, max_text_characters=10, max_call_bytes=24)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["a", "b", "c"], id="most texts"),
        pytest.param(["a" * 10], id="longest text"),
        pytest.param(["a" * 8] * 3, id="most bytes"),
        pytest.param(["语" * 8], id="most bytes of wide characters"),
    ],
)
def test_limits_at_the_limit_accept(texts: list[str]) -> None:
    LIMITS.check(texts)


@pytest.mark.parametrize(
    ("texts", "reason", "field", "numbers"),
    [
        pytest.param([], "NO_TEXTS", "texts", (), id="none"),
        pytest.param(["a"] * 4, "TOO_MANY_TEXTS", "texts", ("4", "3"), id="too many"),
        pytest.param(["a", "b" * 11], "TEXT_TOO_LONG", "texts[1]", ("11", "10"), id="one too long"),
        pytest.param(["a" * 9] * 3, "CALL_TOO_LARGE", "texts", ("27", "24"), id="too many bytes"),
        pytest.param(["语" * 9], "CALL_TOO_LARGE", "texts", ("27", "24"), id="too many bytes of wide characters"),
    ],
)
def test_limits_beyond_a_limit_name_it(texts: list[str], reason: str, field: str, numbers: tuple[str, ...]) -> None:
    with pytest.raises((InvalidField, TooLarge)) as refusal:
        LIMITS.check(texts)

    assert (refusal.value.reason, refusal.value.field) == (reason, field)
    for number in numbers:
        assert number in refusal.value.message


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u3000", "\x00", "\x00\x00 \x07", "\u200b\ufeff"])
def test_refuse_blank_text_without_a_visible_character_raises(blank: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        refuse_blank(["fine", blank])

    assert (refusal.value.reason, refusal.value.field) == ("BLANK_TEXT", "texts[1]")


@pytest.mark.parametrize("text", ["a", " a ", "?", "语", "😀", "a\x00b", "\x00a"])
def test_refuse_blank_text_with_a_visible_character_passes(text: str) -> None:
    refuse_blank([text])
