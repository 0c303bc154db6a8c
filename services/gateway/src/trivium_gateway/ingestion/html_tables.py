"""Tables of HTML pages: merged cells, rows that name the columns, and tables that only lay out a page."""

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from trivium_gateway.ingestion.markdown_tables import MOST_INNER_CHARACTERS, markdown_table, table_in_cell

__all__ = ["HtmlTable"]

_MOST_COLUMNS = 200
_MOST_MERGED_CELLS = 100_000
"""Beyond so many cells that merged ones fill, they are no longer filled: a page may claim any number."""
_MOST_CELL_CHARACTERS = 1000
"""A table with a longer cell lays out a page."""
_INNER = re.compile("\0(\\d+)\0")
_LEAST_TOLD = 2 / 3


@dataclass(slots=True)
class _Cell:
    text: str
    is_header: bool


@dataclass(slots=True)
class HtmlTable:
    """A table as it is read, cell by cell.

    Attributes:
        is_layout: It lays out a page, so that its cells are blocks of text one after the other.
        caption: Its caption; may be empty.
    """

    is_layout: bool = False
    caption: str = ""
    _inner: list[tuple[str, str]] = field(default_factory=list)
    """The tables within its cells, each as blocks and as a line."""
    _rows: list[list[_Cell | None]] = field(default_factory=list)
    _below: dict[int, tuple[int, _Cell]] = field(default_factory=dict)
    """By column, the cell that reaches down into the next rows, and into how many."""
    _head_rows: int = 0
    _merged_count: int = 0

    def begin_row(self, *, in_head: bool) -> None:
        """Begin a row, with what reaches into it from above."""
        self._head_rows += in_head and self._head_rows == len(self._rows)
        row: list[_Cell | None] = []
        for column, (count, cell) in sorted(self._below.items()):
            row += [None] * (column - len(row))
            row.append(cell)
            if count > 1:
                self._below[column] = (count - 1, cell)
            else:
                del self._below[column]
        self._rows.append(row)

    def add_cell(self, node: LexborNode, text: str) -> None:
        """Add a cell to the row that was begun."""
        if not self._rows:
            self.begin_row(in_head=False)
        row = self._rows[-1]
        if len(text) > _MOST_CELL_CHARACTERS:
            self.is_layout = True
        cell = _Cell(text, node.tag == "th" or self._head_rows == len(self._rows))
        column = next((place for place, taken in enumerate(row) if taken is None), len(row))
        width, height = _span(node, "colspan"), _span(node, "rowspan")
        if self._merged_count + width * height > _MOST_MERGED_CELLS:
            width = height = 1
        self._merged_count += width * height - 1
        for place in range(column, min(column + width, _MOST_COLUMNS)):
            if place == len(row):
                row.append(cell)
            elif row[place] is None:
                row[place] = cell
            if height > 1:
                self._below[place] = (height - 1, cell)

    def add_inner(self, inner: "HtmlTable") -> str:
        """Add a table within the cell that comes next; gives what stands for it in the cell's text."""
        self._inner.append((inner.text(), inner.line()))
        return f"\0{len(self._inner) - 1}\0"

    def text(self) -> str:
        """Give the table as Markdown, or the blocks of one that lays out a page."""
        width = self._width()
        if self.is_layout or width < 2 or (self._inner and not self._is_data(width)):
            cells = {id(cell): cell.text for row in self._rows for cell in row if cell is not None}
            blocks = [self.caption, *(self._with_inner(text, None) for text in cells.values())]
            return "\n\n".join(filter(None, blocks))
        rows = self._written_rows(width)
        table = markdown_table(rows, header_rows=self._header_rows(width))
        long = [text for text, line in self._inner if len(line) > MOST_INNER_CHARACTERS]
        return "\n\n".join(filter(None, [self.caption, table, *long]))

    def line(self) -> str:
        """Give the table as a line, as it stands in a cell of another."""
        width = self._width()
        rows = self._written_rows(width, most_inner=_MOST_CELL_CHARACTERS * _MOST_COLUMNS)
        line = table_in_cell(rows, header_rows=self._header_rows(width))
        return f"{self.caption}: {line}" if self.caption else line

    def _width(self) -> int:
        return max(map(len, self._rows), default=0)

    def _written_rows(self, width: int, most_inner: int = MOST_INNER_CHARACTERS) -> list[list[str]]:
        return [[self._with_inner(text, most_inner) for text in _texts(row, width)] for row in self._rows]

    def _with_inner(self, text: str, most: int | None) -> str:
        """Put the tables within a cell into its text: those that are no longer than this as lines, or all as blocks."""

        def written(found: re.Match[str]) -> str:
            blocks, line = self._inner[int(found[1])]
            return blocks if most is None else line if len(line) <= most else ""

        return _INNER.sub(written, text) if self._inner else text

    def _is_data(self, width: int) -> bool:
        """Whether a table with tables in it is one of data: its columns have names, or most cells say something."""
        cells = {id(cell): cell.text for row in self._rows for cell in row if cell is not None}.values()
        told = sum(bool(text) and "\0" not in text for text in cells)
        return self._header_rows(width) > 0 or (len(self._rows) > 1 and told >= _LEAST_TOLD * len(cells))

    def _header_rows(self, width: int) -> int:
        """Count the rows that name the columns: those said to, else a first row that looks like it."""
        if self._head_rows:
            return self._head_rows
        count = 0
        for row in self._rows[:-1]:
            if not all(cell is None or cell.is_header for cell in row):
                break
            count += 1
        if count or width < 3 or len(self._rows) < 2:
            return count
        first = [cell.text if cell else "" for cell in self._rows[0]]
        return int(all(first[1:]) and not any(character.isdigit() for text in first for character in text))


def _texts(row: list[_Cell | None], width: int) -> list[str]:
    """Give a row's texts; a single cell across the whole table is said once."""
    texts = [cell.text if cell else "" for cell in row]
    if len(row) == width and len({id(cell) for cell in row}) == 1:
        return texts[:1]
    return texts


def _span(node: LexborNode, name: str) -> int:
    value = (node.attributes.get(name) or "").strip()
    if not value.isascii() or not value.isdigit():
        return 1
    number = int(value[:6])
    if name == "rowspan":
        return number or _MOST_MERGED_CELLS // _MOST_COLUMNS  # 0: down to the end
    return max(1, min(number, _MOST_COLUMNS))
