"""What runs along the pages of a PDF: headers, footers and page numbers."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from trivium_gateway.ingestion.pdf_lines import Line
from trivium_gateway.ingestion.pdf_tables import follows, table_at

__all__ = ["without_running_lines"]

_EDGE_LINES = 3
"""So many lines at a page's top and bottom may be running ones."""
_LEAST_REPEATS = 3
_SAME_PLACE_POINTS = 6.0
_NUMBER = re.compile(r"\d{1,9}|\b[ivxl]+\b")
_MOST_PITCHES = 1.6
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}

_Key = tuple[str, int, int, int]


def without_running_lines(pages: Sequence[list[Line]]) -> list[list[Line]]:
    """Take out lines that stand at the same place of several pages.

    They are the same, or have a number that grows by one from page to page, as page numbers do: a row that is the first
    on its page and has the next number is none. Nor are rows of a table, such as its names of columns on each page.
    """
    places: Counter[_Key] = Counter()
    for number, lines in enumerate(pages):
        places.update({key for line in _edge_lines(lines) for key in _keys(line, number)})
    kept = []
    for number, lines in enumerate(pages):
        running = {
            id(line) for line in _edge_lines(lines) if max(places[key] for key in _keys(line, number)) >= _LEAST_REPEATS
        }
        if running:
            running -= _of_tables(lines, running)
        kept.append([line for line in lines if id(line) not in running])
    return kept


def _edge_lines(lines: Sequence[Line]) -> list[Line]:
    by_height = sorted(lines, key=lambda line: -line.top)
    return by_height if len(by_height) <= 2 * _EDGE_LINES else [*by_height[:_EDGE_LINES], *by_height[-_EDGE_LINES:]]


def _keys(line: Line, page: int) -> list[_Key]:
    """Give what a line has in common with its like on other pages, each at two places, for they may be a little off."""
    text = line.text.lower()
    numbers = [_value(found[0]) for found in _NUMBER.finditer(text)]
    pattern = _NUMBER.sub("#", text)
    place = int(line.bottom / _SAME_PLACE_POINTS)
    said = [(text, -1, 0), *((pattern, at, value - page) for at, value in enumerate(numbers))]
    return [(*one, at) for one in said for at in (place - 1, place)]


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    values = [_ROMAN[letter] for letter in number]
    return sum(-one if one < after else one for one, after in pairwise([*values, 0]))


def _of_tables(lines: Sequence[Line], running: set[int]) -> set[int]:
    """Tell which of the lines that look like running ones are rows of tables that have other rows, too."""
    found: set[int] = set()
    position = 0
    while position < len(lines):
        table = table_at(lines, position)
        members = [line for row in table.lines for line in row] if table is not None else []
        length = len(members)
        while len(members) > 1 and id(members[0]) in running and _is_apart(*members[:3]):
            members.pop(0)
        while len(members) > 1 and id(members[-1]) in running and _is_apart(*members[:-4:-1]):
            members.pop()
        if any(id(line) not in running for line in members):
            found.update(id(line) for line in members)
        position += max(1, length)
    return found


def _is_apart(line: Line, beside: Line, behind: Line | None = None) -> bool:
    """Whether a line at a table's edge is farther from the row beside it than that is from the row behind that."""
    if behind is None:
        upper, lower = (line, beside) if line.top > beside.top else (beside, line)
        return not follows(upper, lower)
    return abs(line.bottom - beside.bottom) > _MOST_PITCHES * abs(beside.bottom - behind.bottom)
