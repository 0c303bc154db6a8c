"""Tables as Markdown, the form in which stored text has them whatever they were read from."""

from collections.abc import Sequence

__all__ = ["markdown_table"]


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


def _one_line(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _joined(names: Sequence[str]) -> str:
    """Put the names of a column together; one that spans rows counts once."""
    return " ".join(dict.fromkeys(name for name in names if name))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
