"""The text of a PDF file."""

import re

import pypdfium2
import pypdfium2.raw as pdfium
from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.ingestion.pdf_layout import pages_text, without_running_lines
from trivium_gateway.ingestion.pdf_lines import Line, lines_of

__all__ = ["pdf_text"]

# What programs write where nobody gave a title.
_NO_TITLE = re.compile(
    r"(?:untitled(?: (?:document|spreadsheet|presentation))?|anonymous|unknown|document|presentation|title|slide|print|"
    r"powerpoint presentation|blank page|no title)? ?\d{0,9}\Z"
    r"|microsoft (?:word|excel|powerpoint) - "
    r"|[^.]{0,300}\.(?:docx?|xlsx?|pptx?|odt|ods|odp|indd|qxd|rtf|tex|dvi|ps|eps|pdf|html?|txt|tmp|md)\Z",
    re.I,
)
_FIRST_HEADING = re.compile(r"#{1,6} (.+)")
_SCANNED_PAGES = 20
"""So many pages are looked at for pictures."""


def pdf_text(data: bytes, *, max_pages: int, max_characters: int) -> tuple[str, str]:
    """Extract a file's title and text.

    Args:
        data: The file.
        max_pages: Most pages that it may have.
        max_characters: Longest text that may come out of it.

    Returns:
        The title, which may be empty, and the text as Markdown, its pages separated by form feeds.

    Raises:
        InvalidField: The file is encrypted (PDF_ENCRYPTED), damaged (PDF_BROKEN) or has no text (PDF_NO_TEXT).
        TooLarge: It has too many pages or too much text (DOCUMENT_TOO_LARGE).
    """
    document = _opened(data)
    try:
        count = len(document)
        if count > max_pages:
            raise TooLarge(
                f"The PDF has {count} pages; at most {max_pages} are allowed. Split it.", reason="DOCUMENT_TOO_LARGE"
            )
        document.init_forms()
        pages = _pages(document, max_characters)
        text = pages_text(without_running_lines(pages))
        if not text.strip():
            text = pages_text(pages)
        if not text.strip():
            raise InvalidField("data", _why_no_text(document), reason="PDF_NO_TEXT")
        return _title(document, text), text
    except pypdfium2.PdfiumError as error:
        raise _broken(error) from error
    finally:
        document.close()


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY):
            raise InvalidField(
                "data", "The PDF is encrypted. Save a copy without a password.", reason="PDF_ENCRYPTED"
            ) from None
        raise _broken(error) from error


def _broken(error: pypdfium2.PdfiumError) -> InvalidField:
    return InvalidField("data", f"The PDF is damaged: {error}", reason="PDF_BROKEN")


def _pages(document: pypdfium2.PdfDocument, max_characters: int) -> list[list[Line]]:
    pages: list[list[Line]] = []
    length = 0
    for index in range(len(document)):
        try:
            page = document[index]
        except pypdfium2.PdfiumError:  # one broken page is an empty one, so that the others keep their numbers
            pages.append([])
            continue
        lines = lines_of(document, page)
        page.close()
        length += sum(len(line.text) for line in lines)
        if length > max_characters:
            raise TooLarge(
                f"The PDF has more than {max_characters} characters of text. Split it.", reason="DOCUMENT_TOO_LARGE"
            )
        pages.append(lines)
    return pages


def _why_no_text(document: pypdfium2.PdfDocument) -> str:
    pages = [document[index] for index in range(min(len(document), _SCANNED_PAGES))]
    pictures = sum(any(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=2)) for page in pages)
    if pictures:
        return (
            f"The PDF is a scan: {pictures} of its first {len(pages)} pages are pictures, and none has text. "
            "Run text recognition (OCR) on it."
        )
    return "The PDF has no text: its pages are empty, or their letters are drawn. Run text recognition (OCR) on it."


def _title(document: pypdfium2.PdfDocument, text: str) -> str:
    title: str = document.get_metadata_value("Title").strip()
    if not _NO_TITLE.match(title.strip(" ()[]<>")):
        return title
    heading = _FIRST_HEADING.match(text)
    return heading[1] if heading else ""
