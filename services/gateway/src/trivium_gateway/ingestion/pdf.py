"""The text of a PDF file."""

import re
from dataclasses import replace

import pypdfium2
import pypdfium2.raw as pdfium
from trivium_serving.errors import InvalidField

from trivium_gateway.domain.counting import counted
from trivium_gateway.ingestion.formats.bounds import Bounds, too_much
from trivium_gateway.ingestion.formats.ocr import (
    HOW_TO_INSTALL,
    MOST_PIXELS_A_SIDE,
    ocr_is_installed,
    recognised_lines,
)
from trivium_gateway.ingestion.formats.reading import Reading
from trivium_gateway.ingestion.pdf_layout import pages_reading
from trivium_gateway.ingestion.pdf_lines import Line, lines_of

__all__ = ["broken_pdf", "opened_pdf", "read_pdf"]

# What programs write where nobody gave a title.
_NO_TITLE = re.compile(
    r"(?:untitled(?: (?:document|spreadsheet|presentation))?|anonymous|unknown|document|presentation|title|slide|print|"
    r"powerpoint presentation|blank page|no title)? ?\d{0,9}\Z"
    r"|microsoft (?:word|excel|powerpoint) - "
    r"|[^.]{0,300}\.(?:docx?|xlsx?|pptx?|odt|ods|odp|indd|qxd|rtf|tex|dvi|ps|eps|pdf|html?|txt|tmp|md)\Z",
    re.I,
)
_FIRST_HEADING = re.compile(r"#{1,6} (.+)")
_CAPTION_CHARACTERS = 100
_PICTURE_SHARE = 0.5
"""A page is a scan if pictures take more than this, and if it has less text than that: a stamp or a number."""


def read_pdf(data: bytes, bounds: Bounds, *, recognises: bool = False) -> Reading:
    """Read a file; its pages are separated by form feeds.

    Args:
        data: The file.
        bounds: How much it may have.
        recognises: Whether to read pages that are pictures, too; else they are counted, if they can be read here.

    Raises:
        InvalidField: The file is encrypted (PDF_ENCRYPTED), damaged (PDF_BROKEN) or has no text (PDF_NO_TEXT).
        TooLarge: It has too many pages or too much text (DOCUMENT_TOO_LARGE).
    """
    document = opened_pdf(data)
    try:
        bounds.check_pages(len(document), "pages")
        document.init_forms()
        pages, heights, scans = _pages(document, bounds.max_characters)
        if recognises:
            for index in scans:
                pages[index] = _recognised(document[index])
        reading = pages_reading(pages, heights)
        unread = len(scans) if ocr_is_installed() and not recognises else 0
        if not reading.text.strip() and not unread:
            raise InvalidField("data", _why_no_text(len(scans), len(pages), recognises), reason="PDF_NO_TEXT")
        return replace(reading, title=_title(document, reading.text), scans=unread)
    except pypdfium2.PdfiumError as error:
        raise broken_pdf() from error
    finally:
        document.close()


def opened_pdf(data: bytes) -> pypdfium2.PdfDocument:
    """Open a file.

    Raises:
        InvalidField: It is encrypted (PDF_ENCRYPTED) or damaged (PDF_BROKEN).
    """
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise InvalidField(
                "data", "The PDF is encrypted. Save a copy without a password.", reason="PDF_ENCRYPTED"
            ) from None
        raise broken_pdf() from error


def broken_pdf() -> InvalidField:
    """Say that a file is damaged."""
    return InvalidField("data", "The PDF is damaged. Open it in a viewer, and save it anew.", reason="PDF_BROKEN")


def _pages(document: pypdfium2.PdfDocument, max_characters: int) -> tuple[list[list[Line]], list[float], list[int]]:
    """Give each page's lines and height, and which pages are pictures."""
    pages: list[list[Line]] = []
    heights: list[float] = []
    scans: list[int] = []
    length = 0
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:  # one broken page is an empty one, so that the others keep their numbers
            pages.append([])
            heights.append(0.0)
            continue
        lines = lines_of(document, page)
        characters = sum(len(line.text) for line in lines)
        if characters < _CAPTION_CHARACTERS and _is_picture(page, has_text=characters > 0):
            scans.append(index)
        heights.append(page.get_height())
        page.close()
        length += characters
        if length > max_characters:
            raise too_much(f"more than {max_characters} characters of text")
        pages.append(lines)
    return pages, heights, scans


def _is_picture(page: pypdfium2.PdfPage, *, has_text: bool) -> bool:
    """Whether a page shows a picture, and if it has text: one that takes most of it, as a scan with a stamp."""
    covered = 0.0
    for picture in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2):
        if not has_text:
            return True
        left, bottom, right, top = picture.get_bounds()
        covered += abs(right - left) * abs(top - bottom)
    width, height = page.get_size()
    return bool(covered > _PICTURE_SHARE * width * height)


def _recognised(page: pypdfium2.PdfPage) -> list[Line]:
    width, height = page.get_size()
    scale = MOST_PIXELS_A_SIDE / max(width, height, 1.0)
    picture = page.render(scale=scale, rev_byteorder=False, force_bitmap_format=pdfium.FPDFBitmap_BGR).to_numpy()
    page.close()
    return recognised_lines(picture, 1 / scale)


def _why_no_text(scan_count: int, page_count: int, is_recognised: bool) -> str:
    if is_recognised:
        return "The PDF is a scan in which no text can be recognised. Scan it anew, upright and sharp."
    if scan_count:
        pictures = f"{scan_count} of its {counted(page_count, 'page')}"
        return (
            f"The PDF is a scan: {pictures} must be read as pictures, and none has text. "
            f"{HOW_TO_INSTALL}, or run OCR on the file."
        )
    return "The PDF has no text: its pages are empty, or their letters are drawn. Run text recognition (OCR) on it."


def _title(document: pypdfium2.PdfDocument, text: str) -> str:
    title: str = document.get_metadata_value("Title").strip()
    if not _NO_TITLE.match(title.strip(" ()[]<>")):
        return title
    heading = _FIRST_HEADING.match(text)
    return heading[1] if heading else ""
