"""Letters in other forms."""

from __future__ import annotations

import pytest
from trivium_evidence.letters import plain_letters
from trivium_evidence.terms import terms


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The \ufb01le of\ufb01ce keeps the \ufb02ow chart.", "The file office keeps the flow chart."),
        ("ＡＢＣ　１２３！", "ABC\u3000123!"),
        ("ｶﾞｿﾘﾝ", "ガソリン"),
        ("\ufefb \ufe8d", "لا ا"),
        ("𝐄𝐫𝐫𝐨𝐫 𝟒𝟐", "Error 42"),
        ("10⁶ m² ½ ① x₁ é …", "10⁶ m² ½ ① x₁ é …"),
        ("plain", "plain"),
    ],
)
def test_letters_become_those_that_they_stand_for_and_nothing_else_changes(text: str, plain: str) -> None:
    assert plain_letters(text) == plain


def test_terms_of_other_forms_are_the_same() -> None:
    assert terms("The \ufb01le of\ufb01ce") == terms("the file office")
