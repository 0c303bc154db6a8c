"""Tables as text: values separated by commas, semicolons, tabs, or what else programs take."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Literal

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds

__all__ = ["read_csv", "read_tsv"]

_DELIMITERS = ",;\t|"
_RARE_DELIMITERS = "^~¦§\x01\x1e\x1f:"
"""What is taken only if each line has it equally often, and none of the others does that."""
_QUOTED = re.compile(r'"[^"]*"')
_NO_DELIMITER = re.compile(r":(?=[\s/\\])|(?<=\d):(?=\d)")
"""Behind a name, in an address, in a time of day."""
_DECLARED = re.compile(r"sep=([^\w\s]|\t)\r?\n", re.I)
"""How Excel is told the delimiter."""
_SAMPLED_LINES = 20
_MOST_CELL_CHARACTERS = 1_000_000


def read_csv(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a table whose delimiter is the one that the most of the first lines have equally often outside of quotes."""
    text = decode(data)
    if declared := _DECLARED.match(text):
        return _read(text[declared.end() :], declared[1], bounds)
    return _read(text, _delimiter_of(text), bounds)


def read_tsv(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a table with tabs between its values."""
    return _read(decode(data), "\t", bounds)


def _delimiter_of(text: str) -> str:
    sample = "\n".join(text.splitlines()[: 2 * _SAMPLED_LINES])
    lines = [line for line in _QUOTED.sub("", sample).splitlines()[:_SAMPLED_LINES] if line.strip()]
    best = max(_DELIMITERS, key=lambda each: _agreement(lines, each))
    agreed, count = _agreement(lines, best)
    if count and agreed == len(lines):
        return best
    plain = [_NO_DELIMITER.sub("", line) for line in lines]
    rare = max(_RARE_DELIMITERS, key=lambda each: _agreement(plain, each))
    agreed, count = _agreement(plain, rare)
    return rare if count and agreed == len(lines) > 1 else best


def _agreement(lines: list[str], delimiter: str) -> tuple[int, int]:
    counts = [line.count(delimiter) for line in lines]
    most = max(set(counts), key=lambda count: (count > 0, counts.count(count)), default=0)
    return (counts.count(most) if most else 0, most)


def _read(text: str, delimiter: str, bounds: Bounds) -> tuple[str, str]:
    csv.field_size_limit(_MOST_CELL_CHARACTERS)
    rows = [row for row in _rows(text, delimiter) if any(cell.strip() for cell in row)]
    blocks = Blocks(bounds)
    # Reports have lines with a single value, such as their title, before the table.
    while len(rows) > 2 and _filled(rows[0]) == 1 and any(_filled(row) > 1 for row in rows[:_SAMPLED_LINES]):
        blocks.paragraph(next(cell for cell in rows.pop(0) if cell.strip()))
    blocks.table(rows)
    return "", blocks.text()


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    if text.count('"') % 2 == 0:
        yield from csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
        return
    # A quote that is never closed, such as that of inches, would take the rest of the file into its cell.
    for line in io.StringIO(text, newline=None):
        quoting: Literal[0, 3] = csv.QUOTE_NONE if line.count('"') % 2 else csv.QUOTE_MINIMAL
        yield from csv.reader([line], delimiter=delimiter, quoting=quoting)


def _filled(row: list[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)
