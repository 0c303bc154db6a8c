"""Where the sentences, rows and items of a stored text stand in it, so that a citation can point at the very one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_evidence.inline import strip_inline
from trivium_evidence.sentences import sentence_ends

if TYPE_CHECKING:
    from collections.abc import Iterator

# What stands alone on its line: rows of tables, items of lists, headings; and marks of quotations before a line.
_ALONE = re.compile(r"\s*(?:\||#{1,6}\s|[-*+•·‣▪◦●]\s|\(?\d{1,3}[.)]\s)")
_MIN_CHARS = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, a row of a table, an item of a list or a heading.

    Attributes:
        start: Where it begins in the text, in code points.
        end: Where it ends, exclusive.
        text: Itself, on one line and without inline markup.
    """

    start: int
    end: int
    text: str

    @property
    def is_row(self) -> bool:
        """Whether it is the row of a table."""
        return self.text.startswith("|")


def pieces(text: str) -> list[Piece]:
    """The pieces of a text, in order. A sentence may go over lines; what stands alone on a line stays alone."""
    found: list[Piece] = []
    for start, end in _stretches(text):
        place = start
        for stop in [*(start + one for one in sentence_ends(text[start:end])), end]:
            piece = _piece(text, place, stop)
            if piece is not None:
                found.append(piece)
            place = stop
    return found


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Lines that stand alone, and paragraphs."""
    begin: int | None = None
    place = 0
    for line in text.splitlines(keepends=True):
        alone = _ALONE.match(line) is not None
        if begin is not None and (alone or not line.strip()):
            yield begin, place
            begin = None
        if alone:
            yield place, place + len(line)
        elif begin is None and line.strip() and not alone:
            begin = place
        place += len(line)
    if begin is not None:
        yield begin, place


def _piece(text: str, start: int, end: int) -> Piece | None:
    raw = text[start:end]
    start += len(raw) - len(raw.lstrip())
    end -= len(raw) - len(raw.rstrip())
    if end - start < _MIN_CHARS or not any(char.isalnum() for char in text[start:end]):
        return None
    return Piece(start, end, strip_inline(text[start:end]))
