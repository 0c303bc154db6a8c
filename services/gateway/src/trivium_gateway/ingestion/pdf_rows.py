"""Rows of tables whose rules are drawn on a PDF page: each cell whole, whatever it is wrapped onto."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from trivium_gateway.ingestion.pdf_grids import Cell, Grid
from trivium_gateway.ingestion.pdf_line_builder import Line, Row, Segment
from trivium_gateway.ingestion.pdf_wrapped import rows_of

__all__ = ["with_rows"]

_MOST_CELL_CHARACTERS = 1000
"""A grid with a longer cell lays out a page."""
_NARROW = 8.0
"""A column without text that is narrower, in points, is the room between two lines."""
_LEAST_COLUMNS = 2
_LEAST_ROWS = 3
"""So many rows are seen without rules between them."""
_MOST_OF_THEM = 0.7
_PROSE = 25
"""Cells whose lines have more characters on average are columns of text."""
_PADDING = 3.0
_WORD_GAP = 0.3


def with_rows(lines: Sequence[Line], grids: Sequence[Grid], *, from_right: bool) -> list[Line]:
    """Put the lines of each grid together into its rows, one line a row, where the first of them stands.

    Args:
        lines: The lines of a page.
        grids: The page's grids.
        from_right: Whether the page is read from right to left.
    """
    inside: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        if line.place is not None:
            inside[line.place[0]].append(line)
    found: list[Line] = []
    for line in lines:
        if line.place is None:
            found.append(line)
        elif (members := inside.pop(line.place[0], None)) is not None:
            found += _rows(line.place[0], grids[line.place[0]], members, from_right=from_right)
    return found


def _by_cell(lines: Sequence[Line]) -> dict[Cell, list[Line]]:
    found: dict[Cell, list[Line]] = defaultdict(list)
    for line in lines:
        if line.place is not None:
            found[line.place[1]].append(line)
    return {cell: _in_order(found[cell]) for cell in sorted(found, key=lambda cell: (cell.row, cell.column))}


def _in_order(lines: Sequence[Line]) -> list[Line]:
    """Put the lines of a cell into their order, whatever order the file has them in; what is on one height is one."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda each: -(each.bottom + each.top)):
        before = found[-1] if found else None
        if before is not None and line.top > (before.bottom + before.top) / 2:
            segments = sorted([*before.segments, *line.segments], key=lambda each: each.left)
            found[-1] = replace(before, segments=segments, bottom=min(before.bottom, line.bottom))
        else:
            found.append(line)
    return found


def _rows(number: int, grid: Grid, members: Sequence[Line], *, from_right: bool) -> list[Line]:
    last_row = _last_row(grid, members)
    inside = _by_cell(members)
    texts = {cell: " ".join(line.text for line in lines) for cell, lines in inside.items()}
    said = {cell.column for cell in inside}
    bounded = [text for cell, text in texts.items() if not last_row or cell.row + 1 < len(grid.cells)]
    if max(map(len, bounded), default=0) > _MOST_CELL_CHARACTERS or len(said) < _LEAST_COLUMNS:
        return [line for lines in inside.values() for line in lines]
    starts = sorted({cell.column for row in grid.cells for cell in row})
    columns = [at for at in starts if at in said or grid.xs[at + 1] - grid.xs[at] > _NARROW]
    if from_right:
        columns.reverse()
    lefts = tuple(grid.xs[at] for at in columns)
    found: list[Line] = []
    is_first = True
    for at, row in enumerate(grid.cells):
        own = [cell for cell in dict.fromkeys(row) if cell.row == at]
        heads = _heads(grid.cells[at:], columns) if is_first else 1
        whole = {cell: inside[cell] for cell in own if cell in inside}
        for part in last_row if last_row and at + 1 == len(grid.cells) else [whole] if whole else []:
            lines = [line for each in part.values() for line in each]
            if len(set(row)) == 1:  # across the whole table: a title above it, or the name of what comes
                cells = [texts[row[0]], *[""] * (len(columns) - 1)]
            else:
                said_here = {cell: " ".join(line.text for line in part.get(cell, ())) for cell in own}
                cells = [said_here.get(row[column], texts.get(row[column], "")) for column in columns]
            if cells[0].endswith(":"):
                heads = 0
            line = _line(lines)
            if not is_first or len(set(row)) > 1:
                line.row = Row(number, tuple(cells), lefts, heads)
                is_first = False
            found.append(line)
    return found


def _line(lines: Sequence[Line]) -> Line:
    segments = [Segment(line.text, line.left, line.right) for line in lines]
    return Line(segments, min(line.bottom for line in lines), max(line.top for line in lines), lines[0].size)


def _heads(rows: Sequence[Sequence[Cell]], columns: Sequence[int]) -> int:
    """Count the rows that name the columns: several if a name in the first stands above those of several columns."""
    if not rows:
        return 1
    first = rows[0]
    if all(cell.width == 1 for cell in first) or len(columns) < 3:
        return 1
    tallest = max(cell.height for cell in first)
    return min(max(2, tallest), len(rows) - 1) or 1


def _last_row(grid: Grid, members: Sequence[Line]) -> list[dict[Cell, list[Line]]]:
    """Part the only row of a grid, or the one below its names, into those that no rules are drawn between."""
    at = len(grid.cells) - 1
    if at > 1:
        return []
    lines = [line for line in members if line.place is not None and line.place[1].row == at]
    rows = rows_of(lines)
    if sum(len(row.cells) > 1 for row in rows) < _LEAST_ROWS or any(b.top > a.bottom + 1 for a, b in pairwise(rows)):
        return []
    if not any(row.is_written_by_cell for row in rows):
        inside = _by_cell(lines)
        unwrapped = [
            not line.text[0].islower() or _breaks_by_itself(before, line, grid.xs[cell.column + cell.width])
            for cell, each in inside.items()
            for before, line in pairwise(each)
        ]
        prose = [each for each in inside.values() if sum(len(line.text) for line in each) > _PROSE * len(each)]
        if len(prose) > 1 or sum(unwrapped) < _MOST_OF_THEM * len(unwrapped):
            return []
    return [_by_cell(row.lines) for row in rows]


def _breaks_by_itself(before: Line, line: Line, right: float) -> bool:
    """Whether a line's first word would have had room on the line before it, so that it was not wrapped."""
    text = line.text
    word = (line.right - line.left) * len(text.split(" ", 1)[0]) / len(text)
    return before.right + _WORD_GAP * line.size + word + _PADDING < right
