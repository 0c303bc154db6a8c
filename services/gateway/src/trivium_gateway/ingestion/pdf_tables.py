"""Tables among the lines of a PDF page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile

from trivium_gateway.ingestion.pdf_lines import Line, Segment

__all__ = ["LEAST_ROWS", "Table", "are_aligned", "follows", "row_under", "table_at"]

_PARAGRAPH_GAP = 0.75
"""In heights of a line: a larger gap between two lines parts paragraphs."""
_ALIGNED_POINTS = 4.0
_SAME_EDGE_POINTS = 4.0
LEAST_ROWS = 2
"""So many rows are a table, but where one goes on from the page before."""


def follows(before: Line, line: Line) -> bool:
    """Tell whether a line belongs to the paragraph of the one before it."""
    gap = before.bottom - line.top
    height = max(before.top - before.bottom, line.top - line.bottom, before.size * 0.7)
    return -height <= gap <= _PARAGRAPH_GAP * max(height, before.size)


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        rows: Its cells by row.
        lines: The lines that each row is made of.
        heads: How many of the first rows name the columns.
        lefts: Where its columns begin, in points, if that is known.
    """

    rows: list[list[str]]
    lines: list[list[Line]]
    heads: int = 1
    lefts: tuple[float, ...] = ()

    def going_on(self, before: "Table | None") -> "Table | None":
        """Give the table with the names of its columns, if it goes on with one from the page before; else None."""
        if before is None or not self.lefts or len(self.lefts) != len(before.lefts):
            return None
        if any(abs(own - other) > _SAME_EDGE_POINTS for own, other in zip(self.lefts, before.lefts, strict=True)):
            return None
        names = before.rows[: before.heads]
        if self.rows[: before.heads] == names:
            return replace(self, heads=before.heads)
        return Table([*names, *self.rows], [*([] for _ in names), *self.lines], before.heads, self.lefts)


def table_at(lines: Sequence[Line], position: int) -> Table | None:
    """Find the table that begins at a line; None if none does.

    Where lines are known to be rows, these are it; it may be a single one. Else the first row has something in each
    column; the cells of the others stand under them. A line with one cell alone, and not the first, goes on with that
    cell of the row above.
    """
    if (first := lines[position].row) is not None:
        own = list(takewhile(lambda line: line.row is not None and line.row.table == first.table, lines[position:]))
        rows = [list(line.row.cells) for line in own if line.row is not None]
        return Table(rows, [[line] for line in own], first.heads, first.lefts)
    columns = lines[position].segments
    rows = [[segment.text for segment in columns]] if len(columns) > 1 else []
    row_lines = [[lines[position]]]
    for before, line in pairwise(lines[position:] if rows else ()):
        row = row_under(columns, line.segments) if line.row is None else None
        if row is None:
            break
        if len(line.segments) > 1:
            rows.append(row)
            row_lines.append([line])
        elif not row[0] and follows(before, line):
            at = next(place for place, cell in enumerate(row) if cell)
            rows[-1][at] = f"{rows[-1][at]} {row[at]}".strip()
            row_lines[-1].append(line)
        else:
            break
    return Table(rows, row_lines) if len(rows) >= LEAST_ROWS else None


def row_under(columns: Sequence[Segment], segments: Sequence[Segment]) -> list[str] | None:
    row = [""] * len(columns)
    for segment in segments:
        at = next((place for place, column in enumerate(columns) if are_aligned(column, segment)), None)
        if at is None or row[at]:
            return None
        row[at] = segment.text
    return row


def are_aligned(column: Segment, segment: Segment) -> bool:
    middle, other = (column.left + column.right) / 2, (segment.left + segment.right) / 2
    return (
        min(abs(column.left - segment.left), abs(column.right - segment.right), abs(middle - other)) <= _ALIGNED_POINTS
    )
