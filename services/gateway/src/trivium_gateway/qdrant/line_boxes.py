"""Boxes of lines, as a chunk's payload keeps them: a string, since a payload has no bytes, of 19 characters a line."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING

from trivium_gateway.domain.chunks import LineBox

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["packed_boxes", "unpacked_boxes"]

_LINE = struct.Struct(">IH4H")
"""Where the line begins in the chunk, its page, and its edges in tenths of a point."""
_TENTHS = 10
_MOST_TENTHS = 0xFFFF
"""91 inches: what stands beyond is said to end there."""


def packed_boxes(boxes: Sequence[LineBox], chunk_start: int) -> str:
    """Pack the boxes of a chunk's lines.

    Args:
        boxes: The boxes.
        chunk_start: Where the chunk begins in its document.
    """
    packed = b"".join(
        _LINE.pack(
            max(0, box.start - chunk_start),
            min(box.page, _MOST_TENTHS),
            *(min(max(0, round(edge * _TENTHS)), _MOST_TENTHS) for edge in (box.x0, box.y0, box.x1, box.y1)),
        )
        for box in boxes
    )
    return base64.b64encode(packed).decode()


def unpacked_boxes(packed: str, chunk_start: int) -> tuple[LineBox, ...]:
    """Unpack what `packed_boxes` packed."""
    lines = _LINE.iter_unpack(base64.b64decode(packed))
    return tuple(LineBox(chunk_start + at, page, *(edge / _TENTHS for edge in edges)) for at, page, *edges in lines)
