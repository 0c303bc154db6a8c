"""Tables of PDFs whose cells are wrapped come out as rows with whole cells, whether rules are drawn or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from documents.known.prints import Page, pdf
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.pdf import read_pdf
from trivium_gateway.ingestion.pdf_grids import Cell, grids_of
from trivium_gateway.ingestion.pdf_rules import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEFT, _TOP, _PITCH, _PADDING = 60.0, 720.0, 13.0, 4.0
_WIDTHS = (110.0, 190.0, 100.0)
_Row = tuple[list[str], ...]
_HEAD: _Row = (["Fluid"], ["What it is for and", "where it goes"], ["Capacity"])
_COOLANT: _Row = (
    ["Coolant of the", "first circuit"],
    ["behind the front wheel,", "to be filled slowly,", "else air remains"],
    ["17.6 l"],
)
_OIL: _Row = (["Oil"], [], ["5.7 l with a new", "filter, else 5.2 l"])
_BRAKE: _Row = (["Brake fluid"], ["holds it"], [])
_ROWS = [_HEAD, _COOLANT, _OIL, _BRAKE]
_WRITTEN = [
    "| Fluid | What it is for and where it goes | Capacity |",
    "| --- | --- | --- |",
    "| Coolant of the first circuit | behind the front wheel, to be filled slowly, else air remains | 17.6 l |",
    "| Oil |  | 5.7 l with a new filter, else 5.2 l |",
    "| Brake fluid | holds it |  |",
]


def _edges(rows: Sequence[_Row], top: float) -> list[float]:
    edges = [top]
    for row in rows:
        edges.append(edges[-1] - _PITCH * max(map(len, row)) - 2 * _PADDING)
    return edges


def _table(
    rows: Sequence[_Row] = _ROWS, top: float = _TOP, *, across: str = "all", upwards: str = "all", middle: bool = False
) -> Page:
    """A table, written cell by cell, with lines across and upwards: all, inner ones alone, or none."""
    page, ys = Page(), _edges(rows, top)
    xs = [_LEFT + sum(_WIDTHS[:at]) for at in range(len(_WIDTHS) + 1)]
    for at, row in enumerate(rows):
        for column, lines in enumerate(row):
            y = ys[at] - _PADDING - 10
            if middle:
                y -= (ys[at] - ys[at + 1] - 2 * _PADDING - _PITCH * len(lines)) / 2
            page.words += [(11, xs[column] + _PADDING, y - _PITCH * place, line) for place, line in enumerate(lines)]
    inner = slice(1, -1)
    page.rules = [(xs[0], y, xs[-1], y) for y in {"all": ys, "inner": ys[inner], "first": ys[:2], "none": []}[across]]
    page.rules += [(x, ys[-1], x, ys[0]) for x in {"all": xs, "inner": xs[inner], "none": []}[upwards]]
    return page


def _text(*pages: Page) -> str:
    return read_pdf(pdf(*pages), Bounds(max_pages=100, max_characters=1_000_000)).text


@pytest.mark.parametrize("middle", [False, True], ids=["top", "middle"])
@pytest.mark.parametrize(
    ("across", "upwards"), [("all", "all"), ("inner", "inner"), ("none", "none"), ("inner", "none"), ("first", "inner")]
)
def test_row_with_wrapped_cells_is_one_row(across: str, upwards: str, middle: bool) -> None:
    assert _text(_table(across=across, upwards=upwards, middle=middle)) == "\n".join(_WRITTEN)


def test_row_is_one_box_that_holds_all_its_lines() -> None:
    reading = read_pdf(pdf(_table()), Bounds(max_pages=9, max_characters=9999))
    ys = _edges(_ROWS, _TOP)

    row = next(box for box in reading.boxes if reading.text[box.start :].startswith("| Coolant"))

    assert len(reading.boxes) == len(_ROWS)
    assert 792 - ys[1] < row.y0 < row.y1 < 792 - ys[2]
    assert row.y1 - row.y0 > 2 * _PITCH


def test_merged_cells_say_it_in_each_row_and_column_and_names_of_two_lines_are_one() -> None:
    page = _table(
        [
            (["Pump"], ["Limits"], []),
            ([], ["Head"], ["Flow"]),
            (["Wren"], ["3 m"], ["20 l/s"]),
            ([], ["4 m"], ["30 l/s"]),
        ]
    )
    ys, right = _edges([(["x"],)] * 4, _TOP), _LEFT + sum(_WIDTHS)
    page.rules = [(_LEFT, y, right, y) for y in (ys[0], ys[2], ys[4])]
    page.rules += [(_LEFT + _WIDTHS[0], y, right, y) for y in (ys[1], ys[3])]
    page.rules += [(x, ys[4], x, ys[0]) for x in (_LEFT, _LEFT + _WIDTHS[0], right)]
    page.rules.append((right - _WIDTHS[2], ys[4], right - _WIDTHS[2], ys[1]))

    assert _text(page).splitlines() == [
        "| Pump | Limits Head | Limits Flow |",
        "| --- | --- | --- |",
        "| Wren | 3 m | 20 l/s |",
        "| Wren | 4 m | 30 l/s |",
    ]


@pytest.mark.parametrize("names_again", [False, True], ids=["without names", "with names"])
def test_table_that_goes_on_over_a_page_keeps_the_names_of_its_columns(names_again: bool) -> None:
    pages = _table([_HEAD, _COOLANT]), _table([_HEAD, _OIL] if names_again else [_OIL])

    assert _text(*pages) == "\n".join([*_WRITTEN[:3], "", f"\f{_WRITTEN[0]}", _WRITTEN[1], _WRITTEN[3]])


def test_other_table_on_the_next_page_has_names_of_its_own() -> None:
    other = _table([(["Part"], ["Use"], []), (["Seal"], ["closes"], [])])
    other.rules = [(min(x0, 360), y0, min(x1, 360), y1) for x0, y0, x1, y1 in other.rules]

    assert _text(_table(), other).endswith("\f| Part | Use |\n| --- | --- |\n| Seal | closes |")


def test_rows_between_which_no_rules_are_drawn_are_rows() -> None:
    body = [([f"Pump {at}"], [f"{at} m"], [f"{at}0 l/s"] if at % 2 else []) for at in range(5)]
    page = _table([(["Pump"], ["Head"], ["Flow"]), *body], across="first")

    assert "| Pump 3 | 3 m | 30 l/s |\n| Pump 4 | 4 m |  |" in _text(page)


def test_underlined_words_in_a_cell_do_not_part_it() -> None:
    page = _table()
    y = _edges(_ROWS, _TOP)[1] - _PADDING - 12
    page.rules += [(64.0, y - _PITCH * at, 140.0, y - _PITCH * at) for at in range(2)]

    assert _text(page) == "\n".join(_WRITTEN)


def test_words_that_reach_out_of_their_cell_stay_whole() -> None:
    page = _table(
        [
            (["No"], ["Code"], ["Use"]),
            (["a name that is too long for it"], [], ["goes out of the table, too, as it is long"]),
        ]
    )

    assert _text(page).endswith("| a name that is too long for it |  | goes out of the table, too, as it is long |")


def test_value_of_a_form_stands_in_its_cell() -> None:
    page = _table([(["Inspector:"], [], []), (["Result:"], ["Passed with a remark", "about the belt"], [])])
    page.fields = [(180, 705, "who", "Jo Winter")]

    assert _text(page).splitlines()[-2:] == [
        "| Inspector: | Jo Winter |  |",
        "| Result: | Passed with a remark about the belt |  |",
    ]


def test_frame_around_a_page_is_no_table() -> None:
    page = Page().lines("The valve opens at nine bar.", "The pump stops after ten seconds.")
    page.rules = [(40, 40, 570, 40), (40, 760, 570, 760), (40, 40, 40, 760), (570, 40, 570, 760)]

    assert "|" not in _text(page)


_PROSE = [
    [
        "The press was built in the north and",
        "it has been used by many hands since",
        "then, as the books of the house tell.",
    ],
    [
        "It must be cleaned each week, with care,",
        "and oiled where the drawing says so.",
        "Nobody has ever done it otherwise.",
    ],
]


@pytest.mark.parametrize("framed", [False, True], ids=["plain", "framed"])
@pytest.mark.parametrize("by_column", [False, True], ids=["by line", "by column"])
def test_two_columns_of_text_are_read_one_after_the_other(by_column: bool, framed: bool) -> None:
    left = [(11, 60, 700 - _PITCH * at, line) for at, line in enumerate(_PROSE[0] * 4)]
    right = [(11, 320, 700 - _PITCH * at, line) for at, line in enumerate(_PROSE[1] * 4)]
    page = Page([*left, *right] if by_column else [word for pair in zip(left, right, strict=True) for word in pair])
    if framed:
        page.rules += [(50, y, 560, y) for y in (500, 720)]
        page.rules += [(x, 500, x, 720) for x in (50, 310, 560)]

    assert _text(page).split() == " ".join(_PROSE[0] * 4 + _PROSE[1] * 4).split()


def test_page_with_more_lines_than_tables_have_is_read_without_them() -> None:
    page = _table(across="none", upwards="none")
    page.rules += [(x, 30, x, 760) for x in range(20, 600)]
    page.rules += [(20, y, 600, y) for y in range(30, 760)]

    assert _text(page) == "\n".join(_WRITTEN)


def test_grids_are_told_from_double_lines_and_gaps() -> None:
    across = [Rule(y, x, x + 48) for y in (0, 1.5, 20, 21.5, 40) for x in (0, 50)]
    upwards = [Rule(x, y, y + 18.5) for x in (0, 48, 50, 98) for y in (0, 21)]

    (grid,) = grids_of(across, upwards)

    assert [[(cell.row, cell.column) for cell in row] for row in grid.cells] == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]
    assert grid.cell_at(10, 30) == Cell(0, 0)
    assert grid.cell_at(60, 10) == Cell(1, 1)
    assert grid.cell_at(200, 10) is None
