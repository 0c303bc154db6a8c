"""Pictures of pages: PNG, JPEG, TIFF of one or several pages, BMP, WebP, GIF."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.formats.bounds import Bounds, broken, too_much
from trivium_gateway.ingestion.formats.ocr import MOST_PIXELS_A_SIDE, recognised_lines
from trivium_gateway.ingestion.formats.reading import Reading
from trivium_gateway.ingestion.pdf_layout import pages_reading

if TYPE_CHECKING:
    from trivium_gateway.ingestion.pdf_lines import Line

__all__ = ["read_picture"]

_KINDS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_MOST_PIXELS = 100_000_000
"""A page at 800 dots an inch has half of them. A small file may unpack to far more."""
_POINTS_PER_INCH = 72.0
_LEAST_DOTS_PER_INCH, _MOST_DOTS_PER_INCH = 50.0, 2_400.0
"""Where a file says less or more, or nothing, a dot is taken for a point."""


def read_picture(data: bytes, bounds: Bounds, *, recognises: bool) -> Reading:
    """Read a picture; without recognition only its pages are counted."""
    library: Any = importlib.import_module("PIL.Image")
    try:
        with library.open(io.BytesIO(data), formats=_KINDS) as picture:
            # Frames of a GIF move; those of a TIFF are pages.
            count = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
            bounds.check_pages(count, "pages")
            if not recognises:
                return Reading("", "", scans=count)
            pages, heights = [], []
            for index in range(count):
                picture.seek(index)
                lines, height = _page(picture)
                pages.append(lines)
                heights.append(height)
    except library.DecompressionBombError as error:
        raise too_much(f"more than {_MOST_PIXELS} pixels on a page") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise broken("picture") from error
    reading = pages_reading(pages, heights)
    if not reading.text.strip():
        raise InvalidField("data", "No text can be recognised in the picture.", reason="EMPTY_DOCUMENT")
    return reading


def _page(picture: Any) -> tuple[list[Line], float]:
    """Give a page's lines and its height in points."""
    if picture.width * picture.height > _MOST_PIXELS:
        raise too_much(f"more than {_MOST_PIXELS} pixels on a page")
    dots = float(picture.info.get("dpi", (0, 0))[1] or 0)
    points = _POINTS_PER_INCH / dots if _LEAST_DOTS_PER_INCH <= dots <= _MOST_DOTS_PER_INCH else 1.0
    points *= picture.width
    # Before it is read whole, because a JPEG is then read smaller at once; but what has no greys has to get some.
    small = picture if picture.format == "JPEG" else picture.convert("L") if picture.mode == "1" else picture.copy()
    small.thumbnail((MOST_PIXELS_A_SIDE, MOST_PIXELS_A_SIDE))
    points /= small.width
    upright = importlib.import_module("PIL.ImageOps").exif_transpose(small).convert("RGB")
    pixels = importlib.import_module("numpy").asarray(upright)[:, :, ::-1]
    return recognised_lines(pixels, points), upright.height * points
