"""Which passages are taken for the same."""

from __future__ import annotations

import time

import pytest
from trivium_gateway.domain.duplicates import near_duplicates

_LONG = (
    "The warranty covers the pump, the housing and all seals. It begins on the day of delivery and ends when the "
    "seals are replaced by anyone but the manufacturer. Wear of the brushes is not covered, nor is damage by frost. "
    "Claims are made in writing, with the delivery note, to the plant that delivered the pump, which answers each."
)


def _groups(*texts: str, most: int = 5) -> list[list[int]]:
    return near_duplicates(texts, most)


@pytest.mark.parametrize(
    "other",
    [
        _LONG,
        _LONG.upper(),
        _LONG.replace(" ", "\n"),
        "Warranty terms. " + _LONG,
        _LONG + " Further terms",
        _LONG[:-10],
    ],
    ids=["equal", "case", "lines", "heading", "next", "cut"],
)
def test_long_texts_that_differ_in_form_or_at_an_end_are_the_same(other: str) -> None:
    assert _groups(_LONG, "Something else altogether.", other) == [[0, 2], [1]]


@pytest.mark.parametrize(
    "other",
    [
        _LONG.replace("is not covered", "is covered"),
        _LONG.replace("by anyone but", "by"),
        "Do not believe that " + _LONG,
        "Es stimmt nicht: " + _LONG,
        _LONG + " This holds only in summer",
        _LONG.replace("answers each.", "refuses."),
        "The rule of the first plant. " + _LONG.removeprefix("The warranty "),
        "Revision 7. " + _LONG,
        _LONG + " Valid from 2024",
        _LONG[: len(_LONG) // 2] + " " + _LONG[::-1],
    ],
    ids=[
        "negation",
        "exception",
        "denied",
        "denied_in_german",
        "restricted",
        "last_word",
        "first_words",
        "number",
        "year",
        "half",
    ],
)
def test_long_texts_that_differ_amid_the_text_or_by_a_number_are_not_the_same(other: str) -> None:
    assert _groups(_LONG, other) == [[0], [1]]


def test_short_texts_are_the_same_only_if_nothing_but_their_form_differs() -> None:
    texts = (
        "Change PPR6257: The cover becomes grey.",
        "Change PPR3239: The cover becomes grey.",
        "change  ppr6257: the cover becomes grey.",
        "C++ style guide",
        "C# style guide",
    )
    assert _groups(*texts) == [[0, 2], [1], [3], [4]]


def test_texts_beyond_the_most_groups_are_left_out_unless_they_belong_to_one() -> None:
    assert _groups("one", "two", "ONE", "three", "Two", most=2) == [[0, 2], [1, 4]]


def test_no_texts_have_no_groups() -> None:
    assert _groups() == []


def test_thousand_texts_that_are_nearly_the_same_take_little_time() -> None:
    base = ("The glacier and the orchard stand by the harbour, where the turbine turns. " * 30)[:1500]
    texts = [f"{base[: number * 2]}{number}{base[number * 2 :]}" for number in range(1000)]

    begin = time.thread_time()
    groups = near_duplicates(texts, 100)

    assert len(groups) == 100
    assert time.thread_time() - begin < 1.5  # it took 3.4 s
