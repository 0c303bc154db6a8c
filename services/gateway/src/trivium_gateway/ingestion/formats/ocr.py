"""Text recognition (OCR) in pictures of pages: an extra, whose models come with its package.

Only the processes that read files load it.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.util import find_spec
from statistics import median
from typing import TYPE_CHECKING, Any

from trivium_gateway.ingestion.pdf_lines import Line, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["HOW_TO_INSTALL", "MOST_PIXELS_A_SIDE", "ocr_is_installed", "recognised_lines"]

HOW_TO_INSTALL = "To read it, install text recognition (`scripts/setup stack-ocr`)"

MOST_PIXELS_A_SIDE = 2_000
"""Larger pictures are made smaller: at 170 dots an inch for a page, letters are as well read as at more."""

_EXTRA_PACKAGES = ("rapidocr", "onnxruntime")
_LEAST_SCORE = 0.5
"""Of 1: what is less sure is more often a stain or a drawing than a word."""
_AROUND_LETTERS = 0.15
"""So much of a box's height above and below is white: found boxes are wider than the letters."""
_SIZE_OF_HEIGHT = 0.72
"""The size of type in heights of its box."""
_SAME_SIZE = (0.75, 1.3)
"""In medians: boxes are higher or lower by the letters in them, so that only what is clearly larger is a heading."""
_SAME_LINE = 0.5
"""In heights: boxes whose middles are nearer stand on one line."""
_MARGIN_PIXELS = 60
_LEAST_CONTRAST = 40
"""Of 255 to the page's usual grey: what is ink."""
_CELL_GAP = 1.2
"""In sizes of the type, as in text of a PDF."""


@cache
def ocr_is_installed() -> bool:
    """Whether pictures can be read here."""
    return all(find_spec(package) is not None for package in _EXTRA_PACKAGES)


def recognised_lines(picture: NDArray[np.uint8], points_per_pixel: float) -> list[Line]:
    """Read a picture.

    Args:
        picture: Rows of pixels, each blue, green and red.
        points_per_pixel: How large a pixel is on the page.

    Returns:
        Its lines from top to bottom, in points from its lower left corner.
    """
    upper, before, inked = _inked(picture)
    found = _engine()(inked)
    if found.boxes is None:
        return []
    height = picture.shape[0] - upper
    pieces = []
    for box, text in zip(found.boxes, found.txts, strict=True):
        (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
        left, right = left + before, right + before
        white = (bottom - top) * _AROUND_LETTERS
        pieces.append(
            _Piece(
                text.strip(),
                *(
                    float(edge) * points_per_pixel
                    for edge in (left, right, height - bottom + white, height - top - white)
                ),
            )
        )
    return _lines([piece for piece in pieces if piece.text])


def _inked(picture: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.uint8]]:
    """Cut empty margins off, and say how much at the top and on the left: on an empty page a short line is missed."""
    grey = picture.mean(axis=2)
    away = abs(grey - median(grey[::16, ::16].ravel().tolist())) > _LEAST_CONTRAST
    rows, columns = away.any(axis=1).nonzero()[0], away.any(axis=0).nonzero()[0]
    if not len(rows):
        return 0, 0, picture
    upper, before = max(0, int(rows[0]) - _MARGIN_PIXELS), max(0, int(columns[0]) - _MARGIN_PIXELS)
    part = picture[upper : rows[-1] + _MARGIN_PIXELS, before : columns[-1] + _MARGIN_PIXELS]
    return upper, before, part.copy()


class _Piece:
    """Some words in a row, as the recogniser found them; in points from the page's lower left corner."""

    __slots__ = ("bottom", "left", "right", "text", "top")

    def __init__(self, text: str, left: float, right: float, bottom: float, top: float) -> None:
        self.text, self.left, self.right, self.bottom, self.top = text, left, right, bottom, top

    @property
    def middle(self) -> float:
        return (self.bottom + self.top) / 2

    @property
    def size(self) -> float:
        return (self.top - self.bottom) / (1 - 2 * _AROUND_LETTERS) * _SIZE_OF_HEIGHT


def _lines(pieces: Sequence[_Piece]) -> list[Line]:
    if not pieces:
        return []
    usual = median(piece.size for piece in pieces)
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda each: -each.middle):
        row = rows[-1] if rows else []
        height = min([piece.top - piece.bottom, *(each.top - each.bottom for each in row)])
        if row and sum(each.middle for each in row) / len(row) - piece.middle <= _SAME_LINE * height:
            row.append(piece)
        else:
            rows.append([piece])
    return [_line(sorted(row, key=lambda each: each.left), usual) for row in rows]


def _line(row: Sequence[_Piece], usual: float) -> Line:
    size = max(piece.size for piece in row)
    least, most = _SAME_SIZE
    size = usual if least * usual <= size <= most * usual else size
    segments: list[Segment] = []
    for piece in row:
        if segments and piece.left - segments[-1].right <= _CELL_GAP * size:
            segments[-1].text += f" {piece.text}"
            segments[-1].right = max(segments[-1].right, piece.right)
        else:
            segments.append(Segment(piece.text, piece.left, piece.right))
    return Line(segments, min(piece.bottom for piece in row), max(piece.top for piece in row), size)


@cache
def _engine() -> Any:
    # One thread: files are read side by side in processes, and questions want cores, too.
    threads = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
    parameters = {f"EngineConfig.onnxruntime.{name}": value for name, value in threads.items()} | {
        "Global.text_score": _LEAST_SCORE,
        "Global.max_side_len": MOST_PIXELS_A_SIDE,
        "Global.log_level": "critical",
    }
    return importlib.import_module("rapidocr").RapidOCR(params=parameters)
