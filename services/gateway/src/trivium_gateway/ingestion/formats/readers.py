"""A reader for each format that is not text as it is. Imported only in the processes that read files."""

from collections.abc import Callable
from dataclasses import dataclass

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.html import html_text
from trivium_gateway.ingestion.pdf import pdf_text

__all__ = ["READERS", "Bounds", "Reader"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may come out of a file.

    Attributes:
        max_pages: Most pages, slides, sheets, chapters or messages.
        max_characters: Longest text.
    """

    max_pages: int
    max_characters: int


Reader = Callable[[bytes, Bounds], tuple[str, str]]
"""Takes a file; gives its own title, which may be empty, and its text as Markdown.

Raises InvalidField if it cannot be read, and TooLarge if it is over a bound.
"""


def _html(data: bytes, bounds: Bounds) -> tuple[str, str]:
    return html_text(decode(data))


def _pdf(data: bytes, bounds: Bounds) -> tuple[str, str]:
    return pdf_text(data, max_pages=bounds.max_pages, max_characters=bounds.max_characters)


READERS: dict[str, Reader] = {"html": _html, "pdf": _pdf}
"""By the name of the format."""
