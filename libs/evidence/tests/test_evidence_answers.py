"""What a question asks for, and the few words of a sentence that answer it."""

from __future__ import annotations

import pytest
from trivium_evidence.answer_types import answer_type
from trivium_evidence.direct_answers import direct_answer


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("这家公司什么时候成立？", "date"),
        ("這家公司什麼時候成立？", "date"),
        ("台灣有多少個縣市？", "number"),
        ("有幾個人？", "number"),
        ("為什麼停電？", "reason"),
    ],
)
def test_kind_that_is_asked_for_is_the_same_in_traditional_characters(question: str, kind: str) -> None:
    assert answer_type(question)[1] == kind


def test_short_answer_in_traditional_characters_stays_as_it_is_written() -> None:
    assert direct_answer("公司什麼時候成立？", "該公司於1987年2月21日在台灣成立。") == "1987年2月21日"
    assert direct_answer("這台機器多少錢？", "這台機器的售價為3萬元。") == "3萬元"
