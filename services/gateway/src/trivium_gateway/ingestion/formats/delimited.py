"""Tables as text: values separated by commas, semicolons or tabs."""

import csv
import io
import re

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds

__all__ = ["read_csv", "read_tsv"]

_DELIMITERS = ",;\t|"
_DECLARED = re.compile(r"sep=([^\w\s]|\t)\r?\n", re.I)
"""How Excel is told the delimiter."""
_SAMPLED_LINES = 20
_MOST_CELL_CHARACTERS = 1_000_000


def read_csv(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a table whose delimiter is the one that the most of the first lines have equally often."""
    text = decode(data)
    if declared := _DECLARED.match(text):
        return _read(text[declared.end() :], declared[1], bounds)
    lines = [line for line in text.splitlines()[:_SAMPLED_LINES] if line.strip()]
    delimiter = max(_DELIMITERS, key=lambda each: _agreement(lines, each))
    return _read(text, delimiter, bounds)


def read_tsv(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a table with tabs between its values."""
    return _read(decode(data), "\t", bounds)


def _agreement(lines: list[str], delimiter: str) -> tuple[int, int]:
    counts = [line.count(delimiter) for line in lines]
    most = max(set(counts), key=lambda count: (count > 0, counts.count(count)), default=0)
    return (counts.count(most) if most else 0, most)


def _read(text: str, delimiter: str, bounds: Bounds) -> tuple[str, str]:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    rows = [
        row
        for row in csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
        if any(cell.strip() for cell in row)
    ]
    blocks = Blocks(bounds)
    # Reports have lines with a single value, such as their title, before the table.
    while len(rows) > 2 and _filled(rows[0]) == 1 and any(_filled(row) > 1 for row in rows[:_SAMPLED_LINES]):
        blocks.paragraph(next(cell for cell in rows.pop(0) if cell.strip()))
    blocks.table(rows)
    return "", blocks.text()


def _filled(row: list[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)
