"""Rows of tables without rules on a PDF page whose cells are wrapped, where the page is written cell by cell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from trivium_gateway.ingestion.pdf_line_builder import Line, Row, Segment

__all__ = ["rows_of", "with_wrapped_rows"]

_SAME_EDGE = 2.0
_MOST_PITCH = 2.2
_LEAST_PITCH = 0.9
"""In sizes of the type: lines that are farther apart, or closer, are not of one cell."""
_SAME_PITCH = 1.15
_LEAST_ROWS = 2
_PROSE_CHARACTERS = 150
"""Columns whose cells have more on average are columns of text."""
_FAR_BELOW = 2.5
_OVERLAP = 1.0
_SAME_SIZE = 0.6
_MOST_PROSE = 2
_ENDS_SENTENCE = (".", "?", "!")


@dataclass(slots=True)
class _Cell:
    """Lines right below each other, as the file has them in a row."""

    segments: list[Segment]
    lines: list[Line]

    @property
    def left(self) -> float:
        return min(segment.left for segment in self.segments)

    @property
    def right(self) -> float:
        return max(segment.right for segment in self.segments)

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


@dataclass(slots=True)
class _Row:
    cells: list[_Cell]
    is_written_by_cell: bool = False
    """A cell begins beside or above the last line of the cell before it, which has several."""

    @property
    def bottom(self) -> float:
        return min(line.bottom for cell in self.cells for line in cell.lines)

    @property
    def top(self) -> float:
        return max(line.top for cell in self.cells for line in cell.lines)

    @property
    def lines(self) -> list[Line]:
        return list({id(line): line for cell in self.cells for line in cell.lines}.values())


@dataclass(slots=True)
class _Region:
    """Rows below each other whose cells stand in the same columns."""

    rows: list[_Row] = field(default_factory=list)
    places: list[list[int]] = field(default_factory=list)
    """The column of each cell of each row."""
    columns: list[tuple[float, float]] = field(default_factory=list)
    """Where each begins and ends."""
    gap: float = 0.0
    """The widest between two rows."""

    def takes(self, row: _Row) -> bool:
        """Add a row, if it goes on with the table."""
        size = row.cells[0].lines[0].size
        if self.rows:
            gap = self.rows[-1].bottom - row.top
            is_of_other_size = abs(self.rows[-1].cells[0].lines[0].size - size) > _SAME_SIZE
            most = max(_FAR_BELOW * size if len(self.rows) == 1 else 0, 2 * self.gap + size / 2)
            if not -_OVERLAP <= gap <= most or (len(row.cells) == 1 and is_of_other_size):
                return False
            self.gap = max(self.gap, gap)
        elif len(row.cells) < 2:
            return False
        found = _columns([*self.rows, row])
        if found is None:
            return False
        self.rows.append(row)
        self.columns, self.places = found
        return True

    def take_back(self) -> list[_Row]:
        """Take out rows at the end that have nothing but their first cell: what stands below a table does so, too."""
        kept = len(self.rows)
        while kept and self.places[kept - 1] == [0]:
            kept -= 1
        tail = self.rows[kept:]
        del self.rows[kept:], self.places[kept:]
        return tail

    def is_table(self) -> bool:
        """Whether it is surely one: written cell by cell, with names of columns, and no columns of text."""
        full = [row for row in self.rows if len(row.cells) > 1]
        if len(full) < _LEAST_ROWS or not any(row.is_written_by_cell for row in self.rows):
            return False
        if any(cell.text.endswith(_ENDS_SENTENCE) and len(cell.lines) > 1 for cell in self.rows[0].cells):
            return False
        texts: list[list[str]] = [[] for _ in self.columns]
        for row, places in zip(self.rows, self.places, strict=True):
            for cell, at in zip(row.cells, places, strict=True):
                texts[at].append(cell.text)
        return sum(sum(map(len, column)) > _PROSE_CHARACTERS * len(column) for column in texts) < _MOST_PROSE

    def written(self, number: int) -> Iterator[Line]:
        """Give its rows, one line each."""
        lefts = tuple(left for left, _ in self.columns)
        for row, places in zip(self.rows, self.places, strict=True):
            cells = [""] * len(lefts)
            for cell, at in zip(row.cells, places, strict=True):
                cells[at] = cell.text
            segments = [segment for cell in row.cells for segment in cell.segments]
            size = row.cells[0].lines[0].size
            yield Line(segments, row.bottom, row.top, size, row=Row(number, tuple(cells), lefts, 1))


def _columns(rows: Sequence[_Row]) -> tuple[list[tuple[float, float]], list[list[int]]] | None:
    """Find where the columns of rows begin and end, and in which each cell stands; None if they have none in common."""
    count = max(len(row.cells) for row in rows)
    full = [row.cells for row in rows if len(row.cells) == count]
    columns = [(min(cell.left for cell in each), max(cell.right for cell in each)) for each in zip(*full, strict=True)]
    places: list[list[int]] = []
    for row in rows:
        found = [*range(count)] if len(row.cells) == count else [_column_of(cell, columns) for cell in row.cells]
        if -1 in found or len(set(found)) < len(found):
            return None
        for cell, at in zip(row.cells, found, strict=True):
            columns[at] = min(columns[at][0], cell.left), max(columns[at][1], cell.right)
        places.append(found)
    if any(before[1] > after[0] + _OVERLAP for before, after in pairwise(columns)):
        return None
    return columns, places


def _column_of(cell: _Cell, columns: Sequence[tuple[float, float]]) -> int:
    over = [at for at, (left, right) in enumerate(columns) if cell.left < right and cell.right > left]
    return over[0] if len(over) == 1 else -1


def with_wrapped_rows(lines: Sequence[Line], first_number: int) -> list[Line]:
    """Put lines together that are rows of tables with wrapped cells; the others stay as they are.

    Which lines are of one cell is told by the order of the file, which has a cell's lines in a row, and goes up again
    to the next cell: text that stands in columns does so but once.

    Args:
        lines: The lines of a page.
        first_number: That of the first table that is found.
    """
    found: list[Line] = []
    number = first_number
    for is_loose, group in groupby(lines, key=lambda line: line.row is None):
        own = list(group)
        if not is_loose or not any(_goes_up(before, line) for before, line in pairwise(own)):
            found += own
            continue
        for region in _regions(rows_of(own)):
            tail = region.take_back()
            if region.is_table():
                found += region.written(number)
                number += 1
            else:
                found += [line for row in region.rows for line in row.lines]
            found += [line for row in tail for line in row.lines]
    return found


def _goes_up(before: Line, line: Line) -> bool:
    return line.bottom > before.bottom + 1 and line.segments[0].left > before.segments[0].left


def _regions(rows: Sequence[_Row]) -> Iterator[_Region]:
    region = _Region()
    for row in rows:
        if region.takes(row):
            continue
        if region.rows:
            yield region
        region = _Region()
        if not region.takes(row):
            yield _Region([row], [[0] * len(row.cells)])
    if region.rows:
        yield region


def rows_of(lines: Sequence[Line]) -> list[_Row]:
    """Part lines, in the order of the file, into cells, and put those beside each other together."""
    rows: list[_Row] = []
    for cell in _cells(lines):
        row = rows[-1] if rows else None
        last = row.cells[-1] if row else None
        if row is None or last is None or cell.left < last.right - _OVERLAP or not _are_beside(row, cell):
            rows.append(_Row([cell]))
            continue
        row.is_written_by_cell |= cell.segments[0].baseline > last.segments[-1].baseline + _OVERLAP
        row.cells.append(cell)
    return rows


def _cells(lines: Sequence[Line]) -> list[_Cell]:
    """Put lines right below each other together."""
    pitch = _SAME_PITCH * min((found for pair in pairwise(lines) if (found := _pitch(*pair))), default=0.0)
    cells: list[_Cell] = []
    before: Line | None = None
    for line in lines:
        for place, segment in enumerate(line.segments):
            if before is not None and not place and 0 < _pitch(before, line) <= pitch:
                cells[-1].segments.append(segment)
                cells[-1].lines.append(line)
            else:
                cells.append(_Cell([segment], [line]))
        before = line
    return cells


def _are_beside(row: _Row, cell: _Cell) -> bool:
    bottom, top = cell.lines[-1].bottom, cell.lines[0].top
    lowest = min(line.top - line.bottom for line in (cell.lines[0], row.cells[-1].lines[0]))
    return min(row.top, top) - max(row.bottom, bottom) >= lowest / 2


def _pitch(before: Line, line: Line) -> float:
    """How far a line stands below the last part of the one before, in sizes of its type; 0 if not in its cell."""
    last, first = before.segments[-1], line.segments[0]
    distance = (last.baseline - first.baseline) / line.size
    is_under = first.left < last.right and first.right > last.left and _LEAST_PITCH <= distance <= _MOST_PITCH
    edges = last.left - first.left, last.right - first.right, (last.left + last.right - first.left - first.right) / 2
    return distance if is_under and min(map(abs, edges)) <= _SAME_EDGE else 0.0
