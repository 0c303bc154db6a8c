"""Puts Markdown together, block by block."""

from collections.abc import Sequence

from trivium_gateway.ingestion.formats.bounds import Bounds, too_much
from trivium_gateway.ingestion.markdown_tables import markdown_table

__all__ = ["Blocks"]

_MOST_LEVELS = 6


class Blocks:
    """The blocks of one document. Blank ones are left out.

    Args:
        bounds: How much there may be.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._pieces: list[str] = []
        self._length = 0
        self._after_item = False

    def heading(self, level: int, text: str) -> None:
        """Add a heading; levels deeper than Markdown has become its deepest."""
        if text := " ".join(text.split()):
            self._add(f"{'#' * max(1, min(level, _MOST_LEVELS))} {text}")

    def paragraph(self, text: str) -> None:
        """Add a paragraph, or Markdown that is ready."""
        self._add(text.strip("\n"))

    def end_list(self) -> None:
        """Let the next item begin a list of its own."""
        self._after_item = False

    def item(self, depth: int, marker: str, text: str) -> None:
        """Add a list's item, at a depth from 0."""
        if text.strip():
            indent = "    " * depth
            self._add(f"{indent}{marker} " + text.strip().replace("\n", f"\n{indent}  "), after_item=True)

    def code(self, text: str, language: str = "") -> None:
        """Add code."""
        if text.strip():
            fence = "`" * max(3, _longest_run(text, "`") + 1)
            self._add(f"{fence}{language}\n{text.strip(chr(10))}\n{fence}")

    def table(self, rows: Sequence[Sequence[str]], *, header_rows: int = 1) -> None:
        """Add a table."""
        self._add(markdown_table(rows, header_rows=header_rows))

    def text(self) -> str:
        """All blocks, separated by blank lines, those of a list by line ends."""
        return "".join(self._pieces)

    def _add(self, block: str, *, after_item: bool = False) -> None:
        if not block.strip():
            return
        if self._pieces:
            self._pieces.append("\n" if after_item and self._after_item else "\n\n")
        self._pieces.append(block)
        self._after_item = after_item
        self._length += len(block)
        if self._length > self._bounds.max_characters:
            raise too_much(f"more than {self._bounds.max_characters} characters of text")


def _longest_run(text: str, character: str) -> int:
    longest = current = 0
    for each in text:
        current = current + 1 if each == character else 0
        longest = max(longest, current)
    return longest
