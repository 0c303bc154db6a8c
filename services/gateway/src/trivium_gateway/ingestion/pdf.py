"""The text of a PDF file."""

import io

from pypdf import PdfReader
from pypdf.errors import DependencyError, PyPdfError
from trivium_serving.errors import InvalidField, TooLarge

__all__ = ["pdf_text"]


def pdf_text(data: bytes, *, max_pages: int, max_characters: int) -> tuple[str, str]:
    """Extract a file's title and text.

    Args:
        data: The file.
        max_pages: Most pages that it may have.
        max_characters: Longest text that may come out of it.

    Returns:
        The title, which may be empty, and the text, its pages separated by blank lines.

    Raises:
        InvalidField: The file is encrypted (PDF_ENCRYPTED), damaged (PDF_BROKEN) or has no text (PDF_NO_TEXT).
        TooLarge: It has too many pages or too much text (DOCUMENT_TOO_LARGE).
    """
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not _opens_without_password(reader):
            raise InvalidField("data", "The PDF is encrypted. Save a copy without a password.", reason="PDF_ENCRYPTED")
        if len(reader.pages) > max_pages:
            raise TooLarge(
                f"The PDF has {len(reader.pages)} pages; at most {max_pages} are allowed. Split it.",
                reason="DOCUMENT_TOO_LARGE",
            )
        text = _text_of_pages(reader, max_characters)
        title = str(reader.metadata.title or "") if reader.metadata else ""
    except (InvalidField, TooLarge, MemoryError):
        raise
    except Exception as error:
        # pypdf raises anything on a damaged file: its own errors, and KeyError, TypeError, RecursionError and more.
        raise InvalidField("data", f"The PDF is damaged: {type(error).__name__}.", reason="PDF_BROKEN") from error
    if not text.strip():
        raise InvalidField(
            "data", "The PDF has no text; it may be a scan. Run text recognition (OCR) on it.", reason="PDF_NO_TEXT"
        )
    return title, text


def _opens_without_password(reader: PdfReader) -> bool:
    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError, PyPdfError):
        return False


def _text_of_pages(reader: PdfReader, max_characters: int) -> str:
    pages: list[str] = []
    length = 0
    for page in reader.pages:
        # Fonts without a map to Unicode leave halves of surrogate pairs and NULs behind.
        text = page.extract_text().encode(errors="replace").decode().replace("\0", "")
        length += len(text)
        if length > max_characters:
            raise TooLarge(
                f"The PDF has more than {max_characters} characters of text. Split it.", reason="DOCUMENT_TOO_LARGE"
            )
        pages.append(text.strip())
    return "\n\n".join(page for page in pages if page)
