"""Lines of PDF pages in scripts that are written from right to left, put in the order in which they are read."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Glyph", "is_mostly_right_to_left", "is_right_to_left", "reading_order"]

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_FOREIGN = re.compile("[^\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]+")
_OWN = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff](?:.*[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff])?")
_LETTER = re.compile(r"[^\W\d_]")
_BLANK_GAP = 0.15
"""In sizes of the type: a wider gap parts words. Files say where blanks are, but not always in their place."""
_OF_NUMBERS = "%°$€"
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


class Glyph(NamedTuple):
    """A character, and where it stands from left to right."""

    character: str
    left: float
    right: float


def is_right_to_left(text: str) -> bool:
    """Whether a line has letters of such a script."""
    return _RIGHT_TO_LEFT.search(text) is not None


def is_mostly_right_to_left(text: str) -> bool:
    """Whether most letters of a page are of such a script, so that its lines begin on the right."""
    return 2 * len(_RIGHT_TO_LEFT.findall(text)) > len(_LETTER.findall(text))


def reading_order(
    glyphs: Sequence[Glyph], size: float, cell_gap: float, *, from_right: bool
) -> list[tuple[str, float, float]]:
    """Put a line in the order in which it is read, by where its characters stand.

    What the order of a file is worth differs from program to program. Numbers, and words of other scripts, run from
    left to right within the line: a simple form of the Unicode bidirectional algorithm (UAX 9).

    Args:
        glyphs: The line's characters, without blanks, with all the room that each takes.
        size: The size of its type.
        cell_gap: In sizes of the type, a wider gap parts two cells.
        from_right: Whether its page is read from right to left.

    Returns:
        Its parts without a wide gap in them, as they are read: text, left and right edge.
    """
    parts = list(_parts(glyphs, size, cell_gap))
    if from_right:
        return [(_turned(text), left, right) for text, left, right in reversed(parts)]
    return [(_OWN.sub(lambda own: _turned(own[0]), text), left, right) for text, left, right in parts]


def _parts(glyphs: Sequence[Glyph], size: float, cell_gap: float) -> Iterator[tuple[str, float, float]]:
    """Give what is written from left to right, with blanks where there are gaps."""
    text, left, right = "", 0.0, 0.0
    for cluster in sorted(_clusters(glyphs), key=lambda each: each[1] + each[2]):
        gap = cluster[1] - right
        if text and gap > cell_gap * size:
            yield text, left, right
            text = ""
        if not text:
            left, right = cluster[1], cluster[2]
        elif gap > _BLANK_GAP * size:
            text += " "
        text += cluster[0]
        right = max(right, cluster[2])
    if text:
        yield text, left, right


def _clusters(glyphs: Sequence[Glyph]) -> list[tuple[str, float, float]]:
    """Give letters with their marks, and the letters of one ligature, as one; letters in the order of `_turned`."""
    clusters: list[tuple[str, float, float]] = []
    marks = []
    for glyph in glyphs:
        if unicodedata.combining(glyph.character):
            marks.append(glyph)
        elif clusters and (glyph.left, glyph.right) == clusters[-1][1:]:
            clusters[-1] = (glyph.character + clusters[-1][0], glyph.left, glyph.right)
        else:
            clusters.append((glyph.character, glyph.left, glyph.right))
    for mark in marks if clusters else ():
        middle = mark.left + mark.right
        nearest = min(range(len(clusters)), key=lambda at: abs(clusters[at][1] + clusters[at][2] - middle))
        clusters[nearest] = (mark.character + clusters[nearest][0], *clusters[nearest][1:])
    return clusters


def _turned(text: str) -> str:
    """Read from right to left what is written from left to right, but for what runs the other way in it."""
    return _FOREIGN.sub(_foreign, text[::-1])


def _foreign(found: re.Match[str]) -> str:
    """Turn numbers and words back; blanks and signs around them stay where they are."""
    before, word, after = _trimmed(found[0])
    if _LETTER.search(word):
        return before.translate(_MIRRORED) + word[::-1] + after.translate(_MIRRORED)
    return before.translate(_MIRRORED) + re.sub(r"\S+", lambda one: _number(one[0]), word) + after.translate(_MIRRORED)


def _number(text: str) -> str:
    before, word, after = _trimmed(text)
    return before + word[::-1] + after


def _trimmed(text: str) -> tuple[str, str, str]:
    first = next((at for at, each in enumerate(text) if each.isalnum() or each in _OF_NUMBERS), len(text))
    last = next(
        (at for at in range(len(text), first, -1) if text[at - 1].isalnum() or text[at - 1] in _OF_NUMBERS), first
    )
    return text[:first], text[first:last], text[last:]
