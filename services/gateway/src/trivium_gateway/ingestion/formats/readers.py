"""A reader for each format that is not text as it is. Imported only in the processes that read files."""

from collections.abc import Callable

from trivium_serving.errors import TriviumError

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.archives import read_archive
from trivium_gateway.ingestion.formats.bounds import Bounds, broken
from trivium_gateway.ingestion.formats.delimited import read_csv, read_tsv
from trivium_gateway.ingestion.formats.docx import read_docx
from trivium_gateway.ingestion.formats.epub import read_epub
from trivium_gateway.ingestion.formats.mail import read_mail, read_mailbox, read_mhtml
from trivium_gateway.ingestion.formats.markup import read_latex, read_org, read_restructured_text
from trivium_gateway.ingestion.formats.notebook import read_notebook
from trivium_gateway.ingestion.formats.opendocument import read_odp, read_odt
from trivium_gateway.ingestion.formats.outlook import read_outlook
from trivium_gateway.ingestion.formats.pptx import read_pptx
from trivium_gateway.ingestion.formats.records import read_json, read_json_lines, read_xml
from trivium_gateway.ingestion.formats.rtf import read_rtf
from trivium_gateway.ingestion.formats.sheets import read_sheets
from trivium_gateway.ingestion.formats.subtitles import read_subtitles
from trivium_gateway.ingestion.html import html_text
from trivium_gateway.ingestion.pdf import pdf_text

__all__ = ["READERS", "Reader", "read"]

Reader = Callable[[bytes, Bounds], tuple[str, str]]
"""Takes a file; gives its own title, which may be empty, and its text as Markdown.

Raises InvalidField if it cannot be read, and TooLarge if it is over a bound.
"""


def read(format_name: str, data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a file.

    Args:
        format_name: One of `READERS`.
        data: The file.
        bounds: How much may come out.

    Returns:
        Its own title, which may be empty, and its text as Markdown.

    Raises:
        InvalidField: It cannot be read.
        TooLarge: It is over a bound.
    """
    try:
        return READERS[format_name](data, bounds)
    except (TriviumError, MemoryError):
        raise
    except Exception as error:  # the edge to parsers, which raise anything on damaged files
        raise broken(format_name, error) from error


def _html(data: bytes, bounds: Bounds) -> tuple[str, str]:
    return html_text(decode(data))


def _pdf(data: bytes, bounds: Bounds) -> tuple[str, str]:
    return pdf_text(data, max_pages=bounds.max_pages, max_characters=bounds.max_characters)


READERS: dict[str, Reader] = {
    "html": _html,
    "pdf": _pdf,
    "docx": read_docx,
    "pptx": read_pptx,
    "xlsx": read_sheets,
    "odt": read_odt,
    "ods": read_sheets,
    "odp": read_odp,
    "rtf": read_rtf,
    "epub": read_epub,
    "mail": read_mail,
    "mailbox": read_mailbox,
    "outlook": read_outlook,
    "archive": read_archive,
    "mhtml": read_mhtml,
    "notebook": read_notebook,
    "csv": read_csv,
    "tsv": read_tsv,
    "json": read_json,
    "jsonl": read_json_lines,
    "xml": read_xml,
    "subtitles": read_subtitles,
    "rst": read_restructured_text,
    "org": read_org,
    "latex": read_latex,
}
"""By the name of the format."""
