"""A page of a PDF file as a picture, as a viewer shows it."""

import struct
import zlib
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw as pdfium

from trivium_gateway.ingestion.pdf import broken_pdf, opened_pdf

__all__ = ["MOST_SCALE", "PagePicture", "picture_of_page"]

MOST_SCALE = 4.0
_MOST_PIXELS_A_SIDE = 4_000
_GREY, _COLOUR = 0, 2


@dataclass(frozen=True, slots=True)
class PagePicture:
    """A page as a picture.

    Attributes:
        width: Of the page, in points.
        height: Of the page, in points.
        page_count: How many pages the file has.
        png: The picture; empty if the file has no such page.
    """

    width: float
    height: float
    page_count: int
    png: bytes


def picture_of_page(data: bytes, page: int, scale: float) -> PagePicture:
    """Draw a page.

    Args:
        data: The file.
        page: Which one, from 1.
        scale: Pixels for each point, fewer for a huge page.

    Raises:
        InvalidField: The file is encrypted (PDF_ENCRYPTED) or damaged (PDF_BROKEN).
    """
    document = opened_pdf(data)
    try:
        count = len(document)
        if not 1 <= page <= count:
            return PagePicture(0.0, 0.0, count, b"")
        document.init_forms()
        drawn = document[page - 1]
        width, height = drawn.get_size()
        fitting = min(scale, _MOST_PIXELS_A_SIDE / max(width, height, 1.0))
        bitmap = drawn.render(scale=fitting, rev_byteorder=True, force_bitmap_format=pdfium.FPDFBitmap_BGR)
        return PagePicture(width, height, count, _png(bitmap))
    except pypdfium2.PdfiumError as error:
        raise broken_pdf() from error
    finally:
        document.close()


def _png(bitmap: pypdfium2.PdfBitmap) -> bytes:
    """Write a picture down, without colours if it has none: most pages are a third of the bytes then."""
    pixels = bitmap.to_numpy()
    height, width = pixels.shape[:2]
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    is_grey = bool((red == green).all() and (green == blue).all())
    rows = (red if is_grey else pixels).reshape(height, -1)
    unfiltered = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, 8, _GREY if is_grey else _COLOUR, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(unfiltered, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
