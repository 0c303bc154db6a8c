"""Rows of tables among the lines of a PDF page."""

from collections.abc import Sequence
from itertools import pairwise

from trivium_gateway.ingestion.pdf_lines import Line, Segment

__all__ = ["are_aligned", "follows", "row_under", "table_at"]

_PARAGRAPH_GAP = 0.75
"""In heights of a line: a larger gap between two lines parts paragraphs."""
_ALIGNED_POINTS = 4.0
_LEAST_ROWS = 2


def follows(before: Line, line: Line) -> bool:
    """Tell whether a line belongs to the paragraph of the one before it."""
    gap = before.bottom - line.top
    height = max(before.top - before.bottom, line.top - line.bottom, before.size * 0.7)
    return -height <= gap <= _PARAGRAPH_GAP * max(height, before.size)


def table_at(lines: Sequence[Line], position: int) -> tuple[list[list[str]], list[list[Line]]]:
    """Find the rows of a table that begins at a line, and the lines that each is made of; none if none does.

    The first row has something in each column; the cells of the others stand under them. A line with one cell alone,
    and not the first, goes on with that cell of the row above.
    """
    columns = lines[position].segments
    rows = [[segment.text for segment in columns]] if len(columns) > 1 else []
    row_lines = [[lines[position]]]
    for before, line in pairwise(lines[position:] if rows else ()):
        row = row_under(columns, line.segments)
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
    return (rows, row_lines) if len(rows) >= _LEAST_ROWS else ([], [])


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
