"""Grids that drawn lines make on a PDF page, and their cells: the tables whose rules are drawn."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trivium_gateway.ingestion.pdf_rules import Rule

__all__ = ["Cell", "Grid", "Place", "grids_of", "place_in"]

_SAME_PLACE = 3.0
"""In points: what is drawn closer is one line, as the two of a double one are, or the borders of two cells beside each
other."""
_TOUCHING = 1.5
_OPEN_END = 6.0
_MOST_RULES = 150
"""A page with more of them in one direction has a drawing on it."""
_SHORTEST = 5.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its first row and column from the upper left one, and how many it takes of each."""

    row: int
    column: int
    height: int = 1
    width: int = 1


Place = tuple[int, Cell]
"""A cell, and the number of its grid on the page."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's rules.

    Attributes:
        xs: Where columns begin, and where the last one ends, in points from the left.
        ys: Where rows end, from the lowest upwards, and where the first one begins.
        cells: The cell at each column of each row, from the upper one.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    cells: Sequence[Sequence[Cell]]

    def cell_at(self, x: float, y: float) -> Cell | None:
        """Find the cell that a place is in; None outside."""
        column, row = bisect_right(self.xs, x) - 1, len(self.ys) - 1 - bisect_right(self.ys, y)
        if 0 <= column < len(self.xs) - 1 and 0 <= row < len(self.ys) - 1:
            return self.cells[row][column]
        return None


def grids_of(across: Sequence[Rule], upwards: Sequence[Rule]) -> list[Grid]:
    """Find the grids of two rows or columns and more that a page's lines make."""
    if not across or not upwards:
        return []
    rows, columns = _merged(across), _merged(upwards)
    if max(len(rows), len(columns)) > _MOST_RULES:
        return []
    grids = (_grid(lying, standing) for lying, standing in _connected(rows, columns))
    return [grid for grid in grids if grid is not None]


def place_in(grids: Sequence[Grid], x: float, y: float) -> Place | None:
    """Find the cell that a place of the page is in; None if it is in none."""
    for number, grid in enumerate(grids):
        if (cell := grid.cell_at(x, y)) is not None:
            return number, cell
    return None


def _merged(rules: Sequence[Rule]) -> list[Rule]:
    """Put together what goes on at the same place."""
    places = _places([rule.at for rule in rules])
    at_place: dict[float, list[Rule]] = defaultdict(list)
    for rule in rules:
        at_place[_nearest(places, rule.at)].append(rule)
    found: list[Rule] = []
    for place, parts in at_place.items():
        start, end = None, 0.0
        for part in sorted(parts, key=lambda each: each.start):
            if start is not None and part.start <= end + _SAME_PLACE:
                end = max(end, part.end)
                continue
            if start is not None and end - start >= _SHORTEST:
                found.append(Rule(place, start, end))
            start, end = part.start, part.end
        if start is not None and end - start >= _SHORTEST:
            found.append(Rule(place, start, end))
    return found


def _places(values: Sequence[float]) -> list[float]:
    """Give the places that values stand for; those that are close to each other are one."""
    groups: list[list[float]] = []
    for value in sorted(values):
        if groups and value - groups[-1][0] <= _SAME_PLACE:
            groups[-1].append(value)
        else:
            groups.append([value])
    return [(group[0] + group[-1]) / 2 for group in groups]


def _nearest(places: Sequence[float], value: float) -> float:
    at = bisect_right(places, value)
    return min(places[max(0, at - 1) : at + 1], key=lambda place: abs(place - value))


def _connected(rows: Sequence[Rule], columns: Sequence[Rule]) -> Iterator[tuple[list[Rule], list[Rule]]]:
    """Give the lines that hang together, those that run across and those that run upwards."""
    waiting_rows, waiting_columns = set(rows), set(columns)
    while waiting_rows:
        lying, standing = [waiting_rows.pop()], list[Rule]()
        fresh: list[Rule] = [*lying]
        while fresh:
            crossing = {column for column in waiting_columns if any(_touch(row, column) for row in fresh)}
            waiting_columns -= crossing
            standing += crossing
            fresh = [row for row in waiting_rows if any(_touch(row, column) for column in crossing)]
            waiting_rows.difference_update(fresh)
            lying += fresh
        yield lying, standing


def _touch(row: Rule, column: Rule) -> bool:
    return (
        row.start - _TOUCHING <= column.at <= row.end + _TOUCHING
        and column.start - _TOUCHING <= row.at <= column.end + _TOUCHING
    )


def _grid(lying: Sequence[Rule], standing: Sequence[Rule]) -> Grid | None:
    if not standing:
        return None
    xs = _edges(standing, lying)
    ys = _edges(lying, standing)
    row_count, column_count = len(ys) - 1, len(xs) - 1
    if row_count < 1 or column_count < 1 or row_count * column_count < 2:
        return None
    ends_below = _drawn(lying, ys, xs)
    ends_right = _drawn(standing, xs, ys)
    parents = list(range(row_count * column_count))

    def root(at: int) -> int:
        while parents[at] != at:
            at = parents[at] = parents[parents[at]]
        return at

    for row in range(row_count):
        low = row_count - 1 - row
        for column in range(column_count):
            at = row * column_count + column
            if column + 1 < column_count and (column + 1, low) not in ends_right:
                parents[root(at + 1)] = root(at)
            if row + 1 < row_count and (low, column) not in ends_below:
                parents[root(at + column_count)] = root(at)
    members: dict[int, list[int]] = defaultdict(list)
    for at in range(len(parents)):
        members[root(at)].append(at)
    cells = [[Cell(0, 0)] * column_count for _ in range(row_count)]
    for group in members.values():
        rows, columns = [at // column_count for at in group], [at % column_count for at in group]
        top, left = min(rows), min(columns)
        cell = Cell(top, left, max(rows) - top + 1, max(columns) - left + 1)
        for row, column in zip(rows, columns, strict=True):
            cells[row][column] = cell
    return Grid(xs, ys, cells) if len(members) > 1 else None


def _edges(rules: Sequence[Rule], across: Sequence[Rule]) -> list[float]:
    """Give the places of lines, and where those across them go on beyond the outermost: tables may have open sides."""
    places = _places([rule.at for rule in rules])
    first, last = min(rule.start for rule in across), max(rule.end for rule in across)
    before = [first] if first < places[0] - _OPEN_END else []
    return [*before, *places, *([last] if last > places[-1] + _OPEN_END else [])]


def _drawn(rules: Sequence[Rule], places: Sequence[float], steps: Sequence[float]) -> set[tuple[int, int]]:
    """Tell at which places lines are drawn, from which step to the next: underlines do not reach that far."""
    found = set()
    for rule in rules:
        place = places.index(_nearest(places, rule.at))
        for step in range(len(steps) - 1):
            shared = min(rule.end, steps[step + 1]) - max(rule.start, steps[step])
            if shared >= steps[step + 1] - steps[step] - _SAME_PLACE:
                found.add((place, step))
    return found
