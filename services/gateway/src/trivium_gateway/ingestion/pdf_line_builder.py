"""A line of a PDF page, made of characters where the page has them."""

from collections.abc import Sequence
from dataclasses import dataclass

from trivium_gateway.ingestion.html_inline import inline_form
from trivium_gateway.ingestion.pdf_grids import Place

__all__ = ["CELL_GAP", "ODD", "Line", "LineBuilder", "Row", "Segment", "character_of", "joined"]

CELL_GAP = 1.2
"""In sizes of the type: a wider gap within a line parts two cells or columns."""
# The first two stand for hyphens that a line's end made: pdfium puts what they part on one line.
ODD = {0xFFFE: "", 2: "", 0xAD: "", 0xFFFF: "", 0xA0: " "}
_RAISED = "0123456789-\u2212+"
"""What exponents and marks of notes are made of."""
_LEAST_RAISED = 0.3
_MOST_RAISED_HEIGHT = 0.85
_DIGIT_HEIGHT = 0.72
"""In sizes of the type."""
_BEFORE_CHARACTERS = 40
_BLANK_GAP = 0.15
_WORD_GAP = 0.6


@dataclass(slots=True)
class Segment:
    """A part of a line without a wide gap in it; in points from the lower left corner of the page as it is shown.

    Attributes:
        text: What it says.
        left: Where it begins.
        right: Where it ends.
        baseline: On which its end stands, if that is known.
    """

    text: str
    left: float
    right: float
    baseline: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, told by how the page is drawn or written.

    Attributes:
        table: The number of the table on its page.
        cells: What each cell says; one that is merged says it in each of its columns.
        lefts: Where each column begins, in points.
        heads: How many rows from this one name the columns, if it is the table's first.
    """

    table: int
    cells: tuple[str, ...]
    lefts: tuple[float, ...]
    heads: int


@dataclass(slots=True)
class Line:
    """Text on one baseline, or a row of a table.

    Attributes:
        segments: Its parts in the order in which they are read.
        bottom: Where it begins, in points from the page's lower edge.
        top: Where it ends.
        size: The size of its type in points.
        place: The cell of a grid that it stands in; it reaches into no other.
        row: The row that it is, if that is known.
    """

    segments: list[Segment]
    bottom: float
    top: float
    size: float
    place: Place | None = None
    row: Row | None = None

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def left(self) -> float:
        return min(segment.left for segment in self.segments)

    @property
    def right(self) -> float:
        return max(segment.right for segment in self.segments)


def character_of(code: int) -> str:
    """Give a character by its code; empty for what is none."""
    return chr(code) if 0 < code < 0xD800 or 0xDFFF < code < 0x110000 else ""


class LineBuilder:
    """Puts the characters of a line together, in their order."""

    def __init__(self) -> None:
        self.line = Line([], 0.0, 0.0, 0.0)
        self._blank = False
        self._before = (0.0, 0.0)
        self._right = 0.0
        self._raised = ""

    def add(
        self, code: int, left: float, right: float, bottom: float, top: float, size: float = 0.0, baseline: float = 0.0
    ) -> None:
        """Add a character; without size and baseline it has those of the one before it."""
        character = character_of(code)
        if self._raised and not (character and character in _RAISED and self._is_raised(bottom, top)):
            self._end_raised()
        if not character or character.isspace():
            self._blank = self._blank or bool(character)
            return
        line = self.line
        if not line.segments:
            line.bottom, line.top, line.size = bottom, top, max(size, top - bottom, 1.0)
            line.segments.append(Segment(character, left, right, baseline))
        else:
            last = line.segments[-1]
            if left - last.right > CELL_GAP * line.size:
                line.segments.append(Segment(character, left, right, baseline))
            elif character in _RAISED and not self._blank and (self._raised or self._is_raised(bottom, top)):
                self._raised += character
                last.right = max(last.right, right)
                line.top = max(line.top, top)
                return
            else:
                last.text += f" {character}" if self._blank else character
                last.right = max(last.right, right)
                last.baseline = baseline or last.baseline
        line.bottom, line.top = min(line.bottom, bottom), max(line.top, top)
        self._blank = False
        self._before, self._right = (bottom, top), right

    def begins(self, left: float, top: float) -> bool:
        """Whether a character begins a part of a line, or goes on below with a word that a hyphen parts."""
        line = self.line
        if not line.segments or top < self._before[0]:
            return True
        return left - line.segments[-1].right > CELL_GAP * line.size

    def is_left_by(self, left: float, top: float) -> bool:
        """Whether a character stands lower and far to the left, where the next row of a table begins."""
        if not self.line.segments:
            return False
        return top < self._before[0] and left < self.line.segments[-1].left - self.line.size

    def is_right_behind(self, left: float, bottom: float, *, is_of_same: bool) -> bool:
        """Whether a character goes on with a word, or with words that are written as one."""
        gap = left - self._right
        most = _WORD_GAP if is_of_same else 0.0 if self._blank else _BLANK_GAP
        return bottom < self._before[1] and -1 <= gap <= most * self.line.size

    def _is_raised(self, bottom: float, top: float) -> bool:
        """Whether a character is smaller and stands higher than the one before, as exponents and marks of notes do."""
        below, above = self._before
        height = above - below
        if not self.line.segments or not self.line.segments[-1].text[-1].isalnum():  # what is flat tells no height
            height = _DIGIT_HEIGHT * self.line.size
        return height > 0 and bottom - below >= _LEAST_RAISED * height and top - bottom <= _MOST_RAISED_HEIGHT * height

    def _end_raised(self) -> None:
        last = self.line.segments[-1]
        last.text += inline_form("sup", self._raised, last.text[-_BEFORE_CHARACTERS:], is_link=False)
        self._raised = ""

    def take(self) -> Line:
        """Give the line, and begin the next."""
        if self._raised:
            self._end_raised()
        line, self.line = self.line, Line([], 0.0, 0.0, 0.0)
        self._blank = False
        for segment in line.segments:
            segment.text = segment.text.translate(ODD)
        line.segments = [segment for segment in line.segments if segment.text.strip()]
        return line


def joined(lines: Sequence[Line]) -> list[Line]:
    """Put together what stands right behind each other on one height: what is raised may have parted it."""
    found: list[Line] = []
    for line in lines:
        before = found[-1] if found else None
        if before is None or not _goes_on(before, line):
            found.append(line)
            continue
        last, first = before.segments[-1], line.segments[0]
        last.text += f" {first.text}" if first.left - last.right > _BLANK_GAP * before.size else first.text
        last.right = first.right
        before.segments += line.segments[1:]
        before.bottom, before.top = min(before.bottom, line.bottom), max(before.top, line.top)
    return found


def _goes_on(before: Line, line: Line) -> bool:
    if before.place != line.place:
        return False
    shared = min(before.top, line.top) - max(before.bottom, line.bottom)
    lower = min(before.top - before.bottom, line.top - line.bottom)
    gap = line.segments[0].left - before.segments[-1].right
    return shared >= lower / 2 and -1 <= gap <= CELL_GAP * before.size
