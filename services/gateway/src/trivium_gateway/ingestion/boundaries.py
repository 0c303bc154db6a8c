"""Where a text may be cut, and how well: from sections to words, in English and Chinese."""

import re
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from trivium_gateway.ingestion.structure import code_blocks, tables_of

__all__ = ["Boundary", "boundary_qualities"]


class Boundary(IntEnum):
    """How good a place is to end a chunk."""

    NONE = 0
    WORD = 1
    CLAUSE = 2
    LINE = 3
    SENTENCE = 4
    PARAGRAPH = 5
    SECTION = 6


_PATTERNS = (
    (Boundary.CLAUSE, re.compile(r"[,;:]\s+|[\uff0c\u3001\uff1a\uff1b]\s*")),
    (Boundary.LINE, re.compile(r"\n[ \t]*")),
    (Boundary.SENTENCE, re.compile(r"[\u3002\uff01\uff1f\u2026]+[\"'\u201d\u2019\u300d\u300f\uff09\u3011]*\s*")),
    (Boundary.SENTENCE, re.compile(r"(?<=[\u3040-\u30ff\u3400-\u9fff])[.!?]+\s*")),
    (Boundary.SENTENCE, re.compile(r"\n(?=[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t])[ \t]*")),
    (Boundary.PARAGRAPH, re.compile(r"\n[ \t]*\n\s*")),
    (Boundary.SECTION, re.compile(r"\n[ \t\f]*(?=#{1,6}[ \t]+\S)")),
)
# The second look at the first stop keeps a long row of stops from being tried from each of them.
_STOP = re.compile(r"""[.!?](?<![.!?]{2})[.!?]*+["'\u201d\u2019)\]]*+\s+""")
# After a capital, a list's number or an abbreviation a stop does not end a sentence: J. Smith, 3. third, e.g. this.
_NO_SENTENCE_BEFORE = re.compile(r"(?:[A-Z]|(?:^|\n)\d{1,2}|\b(?:e\.g|i\.e|cf|Mr|Dr|vs|No|Fig))\Z")
_LOOK_BACK_CHARACTERS = 4
_HEADING_LINE = re.compile(r"^[ \t\f]{0,3}#{1,6}[ \t]+\S.*\n\s*", re.M)
_ROW_END = re.compile(r"\n[ \t]*(?=\|)")
_CODE_LINE_END = re.compile(r"\n\s*")

_IS_SPACE = np.zeros(0x3002, dtype=np.bool_)
"""By code point; the last entry stands for all that are higher."""
_IS_SPACE[[9, 10, 11, 12, 13, 32, 0x85, 0xA0, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x3000]] = True
_IDEOGRAPHIC_RANGES = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def boundary_qualities(text: str, positions: NDArray[np.int64]) -> NDArray[np.int8]:
    """Judge some places of a text.

    Args:
        text: The text.
        positions: Offsets in code points, strictly ascending from 0.

    Returns:
        For each position, how good it is to cut before it: a `Boundary`.
    """
    qualities = _word_boundaries(text, positions)
    for quality, pattern in _PATTERNS:
        _raise_to(qualities, _indices_of(_ends_of(pattern, text), positions), quality)
    _raise_to(qualities, _indices_of(_sentence_ends(text), positions), Boundary.SENTENCE)
    # A heading stays with what it is the heading of.
    following = _indices_of(_ends_of(_HEADING_LINE, text), positions)
    qualities[following[qualities[following] < Boundary.SECTION]] = Boundary.NONE
    # Code is cut between its lines, and nothing else in it that looks like a boundary is one.
    code = code_blocks(text)
    for begin, end in code:
        first, last = np.searchsorted(positions, (begin + 1, end))
        qualities[first:last] = Boundary.NONE
        _raise_to(qualities, _indices_of(_ends_of(_CODE_LINE_END, text, begin, end), positions), Boundary.LINE)
    # A table is cut between its rows, each of which says something by itself, and not below its names of columns, if
    # there is a choice.
    for table in tables_of(text, code):
        first, last = np.searchsorted(positions, (table.start + 1, table.end))
        qualities[first:last] = Boundary.NONE
        row_ends = _ends_of(_ROW_END, text, table.rows, table.end)
        _raise_to(qualities, _indices_of(row_ends, positions), Boundary.SENTENCE)
        _raise_to(qualities, _indices_of(np.array([table.rows]), positions), Boundary.LINE)
    return qualities


def _word_boundaries(text: str, positions: NDArray[np.int64]) -> NDArray[np.int8]:
    """Mark where a blank or an ideograph is on the one side, or an ideograph on the other."""
    characters = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype="<u4")
    before = characters[np.maximum(positions - 1, 0)]
    at_word = (
        _IS_SPACE[np.minimum(before, len(_IS_SPACE) - 1)] | _ideographic(before) | _ideographic(characters[positions])
    )
    return np.where(at_word, Boundary.WORD, Boundary.NONE).astype(np.int8)


def _ideographic(characters: NDArray[np.uint32]) -> NDArray[np.bool_]:
    within = np.zeros(len(characters), dtype=np.bool_)
    for low, high in _IDEOGRAPHIC_RANGES:
        within |= (characters >= low) & (characters <= high)
    return within


def _ends_of(pattern: re.Pattern[str], text: str, begin: int = 0, end: int | None = None) -> NDArray[np.int64]:
    matches = pattern.finditer(text, begin, len(text) if end is None else end)
    return np.array([match.end() for match in matches], dtype=np.int64)


def _sentence_ends(text: str) -> NDArray[np.int64]:
    ends = [
        match.end()
        for match in _STOP.finditer(text)
        if not _NO_SENTENCE_BEFORE.search(text, max(0, match.start() - _LOOK_BACK_CHARACTERS), match.start())
    ]
    return np.array(ends, dtype=np.int64)


def _indices_of(offsets: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the indices of those offsets that are positions."""
    indices = np.searchsorted(positions, offsets)
    inside = indices < len(positions)
    indices, offsets = indices[inside], offsets[inside]
    found: NDArray[np.int64] = indices[positions[indices] == offsets]
    return found


def _raise_to(qualities: NDArray[np.int8], indices: NDArray[np.int64], quality: Boundary) -> None:
    qualities[indices] = np.maximum(qualities[indices], quality)
