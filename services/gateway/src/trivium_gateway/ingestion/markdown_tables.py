"""Tables as Markdown, the form in which stored text has them whatever they were read from."""

from collections.abc import Sequence

__all__ = ["MOST_INNER_CHARACTERS", "cell_text", "markdown_table", "table_in_cell"]

MOST_INNER_CHARACTERS = 300
"""A table within a cell of another that is longer follows as one of its own."""
_PAIR = 2


def markdown_table(rows: Sequence[Sequence[str]], *, header_rows: int = 1) -> str:
    """Write a table. An empty cell keeps its column, and each row is a line.

    Args:
        rows: The cells by row; rows may differ in length.
        header_rows: How many of the first rows name the columns; several become one, 0 leaves the names empty.

    Returns:
        The lines, without one at the end; empty if no cell says anything.
    """
    cells = [[_one_line(cell) for cell in row] for row in rows]
    width = max((len(row) for row in cells), default=0)
    padded = [row + [""] * (width - len(row)) for row in cells]
    header = [_joined([row[column] for row in padded[:header_rows]]) for column in range(width)]
    body = [row for row in padded[header_rows:] if any(row)]
    if not any(header) and not body:
        return ""
    return "\n".join([_line(header), _line(["---"] * width), *map(_line, body)])


def table_in_cell(rows: Sequence[Sequence[str]], *, header_rows: int = 0) -> str:
    """Write a table that stands in a cell of another as a line: its rows by `;`, of each cell the column's name.

    Args:
        rows: The cells by row.
        header_rows: How many of the first rows name the columns; without one the first of two cells names the second.
    """
    width = max(map(len, rows), default=0)
    padded = [[" ".join(cell.split()) for cell in row] + [""] * (width - len(row)) for row in rows]
    names = [_joined([row[column] for row in padded[:header_rows]]) for column in range(width)]
    said = []
    for row in padded[header_rows:]:
        if header_rows:
            told = [f"{name}: {cell}" if name else cell for name, cell in zip(names, row, strict=True) if cell]
            said.append(", ".join(told))
        else:
            told = [cell for cell in row if cell]
            said.append((": " if width == _PAIR else ", ").join(told))
    return "; ".join(filter(None, said)) or ", ".join(filter(None, names))


def cell_text(rows: list[list[str]], long: list[list[list[str]]]) -> str:
    """Give what a table within a cell says there, where nothing tells its names of columns; or add it to the long."""
    line = table_in_cell(rows, header_rows=int(max(map(len, rows), default=0) > _PAIR))
    if len(line) <= MOST_INNER_CHARACTERS:
        return line
    long.append(rows)
    return ""


def _one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _joined(names: Sequence[str]) -> str:
    """Put the names of a column together; one that spans rows counts once."""
    return " ".join(dict.fromkeys(name for name in names if name))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
