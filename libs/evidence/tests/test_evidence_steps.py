"""Items of lists are known by their number where a question asks for them by it."""

from __future__ import annotations

import pytest
from trivium_evidence.steps import with_named_step, without_named_step

LIST = "# Seal\n\n1. Drain the tank.\n2. Open the lid.\n   - Use the handle.\n3. Change the seal.\n13. Close it."


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What is the third step?", "3. third step: Change"),
        ("What does step 3 say?", "3. step 3: Change"),
        ("What is the 3rd step of replacing it?", "3. 3rd step: Change"),
        ("Which is step number three?", "3. step number three: Change"),
        ("Was ist der dritte Schritt?", "3. dritte Schritt: Change"),
        ("第三步是什么？", "3. 第三步: Change"),
        ("What is step 13?", "13. step 13: Close"),
    ],
)
def test_item_that_is_asked_for_by_its_number_says_so(question: str, said: str) -> None:
    named = with_named_step(question, LIST)

    assert said in named
    assert named.count(": ") == 1
    assert without_named_step(question, named) == LIST


@pytest.mark.parametrize(
    "question",
    ["What is the third quarter's revenue?", "How many steps are there?", "Who was first?", "What is step 9?"],
)
def test_text_stays_as_it_is_where_no_item_is_asked_for_by_its_number(question: str) -> None:
    assert with_named_step(question, LIST) == LIST
