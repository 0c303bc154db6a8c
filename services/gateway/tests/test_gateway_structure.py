"""Chunks know their headings, page and columns, and tables are cut between rows only."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trivium_gateway.ingestion.chunking import ChunkingSettings, chunk_spans
from trivium_gateway.ingestion.structure import Place, Structure, headings_of, place_within

_SETTINGS = ChunkingSettings(chunk_tokens=40, overlap_tokens=8, chunk_characters=2000)
_TOKEN = re.compile(r"\w{1,4}|[^\w\s]")
_HEADER = "| Arm | Torque |\n| --- | --- |"
_ROWS = [f"| Arm number {number} | {number} Nm |" for number in range(40)]
_TABLE = "\n".join([_HEADER, *_ROWS])

_LINES = st.sampled_from(
    [
        "# One",
        "## Two",
        "### Three",
        "",
        "Some words here.",
        "\f",
        "```",
        "| a | b |",
        "| --- | --- |",
        "| 1 |  |",
        "- x",
        "Under\n---",
    ]
)
_TEXTS = st.lists(_LINES, min_size=1, max_size=80).map("\n".join).filter(str.strip)


def _cut(text: str) -> list[tuple[str, Place]]:
    starts = np.array([match.start() for match in _TOKEN.finditer(text)], dtype=np.uint32)
    structure = Structure(text)
    spans = chunk_spans(text, starts, _SETTINGS)
    return [(text[span.start : span.end], structure.place(span.start, span.end, 200)) for span in spans]


def test_long_table_is_cut_between_rows_and_each_chunk_has_its_header() -> None:
    chunks = _cut(f"# Arms\n\nThese are all.\n\n{_TABLE}\n\nThat was it.\n")
    assert len(chunks) > 5
    lines = {"", "# Arms", "These are all.", "That was it.", *_HEADER.split("\n"), *_ROWS}
    for text, place in chunks:
        assert set(text.strip("\n").split("\n")) <= lines
        if text.startswith("| Arm number"):
            assert place.table_header == _HEADER
        if "Arm number" in text:
            assert _HEADER in f"{place.table_header}\n{text}"
            assert place.heading == ("Arms",)


def test_row_that_fills_more_than_half_a_chunk_is_not_cut() -> None:
    rows = [f"| {number} | {'word ' * 18}|" for number in range(8)]
    chunks = _cut("\n".join(["| A | B |", "| --- | --- |", *rows]))
    assert all(text.strip().endswith("|") and text.startswith("|") for text, _ in chunks)


def test_place_says_heading_path_and_page() -> None:
    text = "# Press\n\nIntro.\n\n## Limits\n\nNine bar.\n\n\f### Cold\n\nLess.\n\n## Care\n\n\fOil."
    structure = Structure(text)

    def place(word: str) -> Place:
        return structure.place(text.index(word), len(text), 200)

    assert place("Intro") == Place(("Press",), 1)
    assert place("Nine") == Place(("Press", "Limits"), 1)
    assert place("Less") == Place(("Press", "Limits", "Cold"), 2)
    assert place("Oil") == Place(("Press", "Care"), 3)
    assert place("# Press") == Place(("Press",), 1)
    assert place("## Care") == Place(("Press", "Care"), 2)


def test_headings_in_code_and_rules_are_none() -> None:
    text = "```\n# no\n```\n\nTitle\n===\n\n---\n\n| a |\n---\n\n## Yes *it* is ##\n"
    assert [(one.level, one.title) for one in headings_of(text)] == [(1, "Title"), (2, "Yes it is")]


@given(_TEXTS)
@settings(max_examples=200)
def test_spans_of_structured_text_cover_it_and_places_are_what_the_text_says(text: str) -> None:
    starts = np.array([match.start() for match in _TOKEN.finditer(text)], dtype=np.uint32)
    spans = chunk_spans(text, starts, _SETTINGS)
    structure = Structure(text)
    titles = {one.title for one in headings_of(text)}
    assert (spans[0].start, spans[-1].end) == (0, len(text))
    for one, other in pairwise(spans):
        assert one.start < other.start <= one.end < other.end
    for span in spans:
        place = structure.place(span.start, span.end, 200)
        assert set(place.heading) <= titles
        assert place.table_header in text
        if "\f" in text:
            visible = re.search(r"\S", text[span.start : span.end])
            at = span.start + (visible.start() if visible else 0)
            assert place.page == text.count("\f", 0, at) + 1
        else:
            assert place.page == 0


_TWO_PAGES = "# Pumps\n\nFirst page.\n\n## Limits\n\nTen bar.\n\f## Noise\n\nForty decibels.\n\n# Valves\n\nNine bar.\n"


@pytest.mark.parametrize(
    ("words", "heading", "page"),
    [
        ("First page", ("Pumps",), 3),
        ("Ten bar", ("Pumps", "Limits"), 3),
        ("Forty", ("Pumps", "Noise"), 4),
        ("Nine bar", ("Valves",), 4),
    ],
)
def test_place_within_a_chunk_is_that_of_its_words(words: str, heading: tuple[str, ...], page: int) -> None:
    found = place_within(Place(("Pumps",), 3), _TWO_PAGES, _TWO_PAGES.index(words))

    assert (found.heading, found.page) == (heading, page)


def test_place_within_a_chunk_without_headings_is_that_of_the_chunk() -> None:
    assert place_within(Place(("Pumps", "Limits"), 0), "Ten bar.\n\nNine bar.", 10) == Place(("Pumps", "Limits"), 0)


def test_place_within_a_chunk_stands_under_what_is_before_the_chunk() -> None:
    text = "At most ten bar.\n\n## Noise\n\nForty decibels."

    assert place_within(Place(("Pumps", "Limits")), text, text.index("Forty")).heading == ("Pumps", "Noise")


def test_document_of_a_single_page_has_its_place_on_that() -> None:
    assert Structure("One page.", has_pages=True).place(0, 9, 0).page == 1
    assert Structure("No pages.").place(0, 9, 0).page == 0
