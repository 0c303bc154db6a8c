"""What a reader gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.chunks import LineBox

__all__ = ["Reading"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What came out of a file.

    Attributes:
        title: Its own title; may be empty.
        text: Its text as Markdown.
        boxes: Where the lines of the text stand on its pages, in the text's order; empty for formats without pages.
        scans: How many of its pages are pictures that were not read, but can be.
    """

    title: str
    text: str
    boxes: Sequence[LineBox] = ()
    scans: int = 0
