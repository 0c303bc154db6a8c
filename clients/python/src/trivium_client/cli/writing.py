"""Text that appears piece by piece, broken between words where the terminal's line ends."""

import re

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_CITATION = re.compile(r"\[\d+\]")
_PIECE = re.compile(r"\n|[^\S\n]+|\S+")


class Writing:
    """Prints a text that arrives in pieces. Where there is no terminal, it is printed as it comes.

    A word is printed when the next one begins, so that it can begin a line if there is no room left on this one.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._column = 0
        self._word = ""

    def write(self, text: str) -> None:
        """Prints more text."""
        if not self._console.is_terminal:
            self._print(text)
            return
        for piece in _PIECE.findall(text):
            if not piece.isspace():
                self._word += piece
                continue
            self._finish_word()
            if piece == "\n":
                self._print("\n")
                self._column = 0
            elif self._column:  # a line does not begin with the space between two words
                self._print(piece)
                self._column += cell_len(piece)

    def end(self) -> None:
        """Prints what is left."""
        self._finish_word()

    def _finish_word(self) -> None:
        width, length = self._console.width, cell_len(self._word)
        if self._column and self._column + length > width and length <= width:
            self._print("\n")
            self._column = 0
        self._print(self._word)
        self._column = (self._column + length) % width
        self._word = ""

    def _print(self, text: str) -> None:
        if text:
            shown = Text(text)
            shown.highlight_regex(_CITATION, "bold cyan")
            self._console.print(shown, end="", soft_wrap=True)
