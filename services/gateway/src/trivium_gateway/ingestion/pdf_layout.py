"""From the lines of pages to text: running headers and footers go, tables, headings and paragraphs are told apart."""

from collections import Counter
from collections.abc import Iterator, Sequence

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.ingestion.formats.reading import Reading
from trivium_gateway.ingestion.markdown_tables import markdown_table
from trivium_gateway.ingestion.pdf_lines import Line
from trivium_gateway.ingestion.pdf_running import without_running_lines
from trivium_gateway.ingestion.pdf_tables import LEAST_ROWS, Table, are_aligned, follows, row_under, table_at

__all__ = ["PAGE_BREAK", "pages_reading"]

PAGE_BREAK = "\f"
"""Stands between two pages, so that the page of a place in the text is known from the text."""

_LARGER = 1.15
_MOST_HEADING_CHARACTERS = 120
_DEEPEST_HEADING = 4
_MOST_COLUMNS = 4
_LEAST_COLUMN_LINES = 3
_LEAST_PROSE_CHARACTERS = 25
"""A column whose lines are longer on average is one of prose, where the others are, too."""
_ENDS_SENTENCE = (".", "!", "?", ":", "。", "！", "？", "：", "|", "\u201d", '"')


def pages_reading(pages: Sequence[list[Line]], heights: Sequence[float]) -> Reading:
    """Write pages as Markdown, without what runs along them, and with a page break between each two.

    Args:
        pages: The lines of each page.
        heights: How high each is, in points.

    Returns:
        The text, blank if there is none, and the box of each line.
    """
    text, written = _pages_text(without_running_lines(pages))
    if not text.strip():
        text, written = _pages_text(pages)
    boxes = [
        LineBox(start, page + 1, line.left, heights[page] - line.top, line.right, heights[page] - line.bottom)
        for start, page, line in written
    ]
    return Reading("", text, boxes)


def _pages_text(pages: Sequence[Sequence[Line]]) -> tuple[str, list[tuple[int, int, Line]]]:
    """Write pages; and say where in the text each line begins, and on which page it is, from 0."""
    pages = [_in_columns(lines) for lines in pages]
    levels = _heading_levels(pages)
    text = ""
    written: list[tuple[int, int, Line]] = []
    last: Table | None = None
    for number, lines in enumerate(pages):
        page, starts, last = _page_text(lines, levels, last)
        if number:
            torn = text and page and not text.endswith(_ENDS_SENTENCE) and page[0].islower()
            text += ("\n" if torn else "\n\n") + PAGE_BREAK
        written += [(len(text) + start, number, line) for start, line in starts]
        text += page
    return text, written


def _heading_levels(pages: Sequence[Sequence[Line]]) -> dict[float, int]:
    """Give the level of each size of type that is larger than that of most text."""
    characters: Counter[float] = Counter()
    for lines in pages:
        for line in lines:
            characters[_rounded(line.size)] += len(line.text)
    if not characters:
        return {}
    body = characters.most_common(1)[0][0]
    larger = sorted((size for size in characters if size >= body * _LARGER), reverse=True)
    return {size: min(level, _DEEPEST_HEADING) for level, size in enumerate(larger, start=1)}


def _rounded(size: float) -> float:
    return round(size * 2) / 2


def _page_text(
    lines: Sequence[Line], levels: dict[float, int], last: Table | None
) -> tuple[str, list[tuple[int, Line]], Table | None]:
    """Write a page; and say where in its text each line begins, and which table it ends with.

    Args:
        lines: The page.
        levels: The level of each size of type that headings have.
        last: The table that the page before ends with.
    """
    text = ""
    starts: list[tuple[int, Line]] = []
    position = 0
    previous: Line | None = None
    while position < len(lines):
        line = lines[position]
        table = table_at(lines, position)
        table = table and (table.going_on(last) or (table if len(table.rows) >= LEAST_ROWS else None))
        last = table
        if table is not None:
            text += "\n\n"
            written = markdown_table(table.rows, header_rows=table.heads)
            starts += _row_starts(len(text), written, table)
            text += written
            position += sum(map(len, table.lines))
            previous = None
            continue
        level = levels.get(_rounded(line.size), 0) if len(line.text) <= _MOST_HEADING_CHARACTERS else 0
        is_next = previous is not None and follows(previous, line)
        marks = ""
        if level and any(character.isalpha() for character in line.text):
            goes_on = is_next and previous is not None and _rounded(previous.size) == _rounded(line.size)
            text += " " if goes_on else "\n\n"
            marks = "" if goes_on else f"{'#' * level} "
        else:
            goes_on = is_next and previous is not None and not levels.get(_rounded(previous.size))
            text += "\n" if goes_on else "\n\n"
        starts.append((len(text), line))
        text += marks + line.text
        previous = line
        position += 1
    begin = len(text) - len(text.lstrip())
    return text.strip(), [(start - begin, line) for start, line in starts], last


def _row_starts(start: int, written: str, table: Table) -> Iterator[tuple[int, Line]]:
    """Say where the rows of a written table begin. Its second line has none."""
    for number, line in enumerate(written.split("\n")):
        rows = table.lines[: table.heads] if number == 0 else table.lines[table.heads + number - 2 :][: number > 1]
        for each in rows:
            yield from ((start, one) for one in each)
        start += len(line) + 1


def _in_columns(lines: Sequence[Line]) -> list[Line]:
    """Put prose that was written across columns, line by line, into the order in which it is read."""
    ordered: list[Line] = []
    position = 0
    while position < len(lines):
        columns = lines[position].segments
        rows = []
        for line in lines[position:] if 2 <= len(columns) <= _MOST_COLUMNS else ():
            row = row_under(columns, line.segments) if line.row is None else None
            if row is None:
                break
            rows.append(row)
        cells = [[row[at] for row in rows if row[at]] for at in range(len(columns))]
        if len(rows) >= _LEAST_COLUMN_LINES and all(
            sum(map(len, column)) > _LEAST_PROSE_CHARACTERS * len(column) for column in cells
        ):
            for column in columns:
                for line in lines[position : position + len(rows)]:
                    ordered += [
                        Line([segment], line.bottom, line.top, line.size)
                        for segment in line.segments
                        if are_aligned(column, segment)
                    ]
            position += len(rows)
        else:
            ordered.append(lines[position])
            position += 1
    return ordered
