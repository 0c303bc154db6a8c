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
from trivium_gateway.ingestion.formats.picture import read_picture
from trivium_gateway.ingestion.formats.pptx import read_pptx
from trivium_gateway.ingestion.formats.reading import Reading
from trivium_gateway.ingestion.formats.records import read_json, read_json_lines, read_xml
from trivium_gateway.ingestion.formats.rtf import read_rtf
from trivium_gateway.ingestion.formats.sheets import read_sheets
from trivium_gateway.ingestion.formats.subtitles import read_subtitles
from trivium_gateway.ingestion.formats.tnef import read_tnef
from trivium_gateway.ingestion.html import html_text
from trivium_gateway.ingestion.pdf import read_pdf

__all__ = ["READABLE", "Reader", "read"]

Reader = Callable[[bytes, Bounds], tuple[str, str]]
"""Takes a file; gives its own title, which may be empty, and its text as Markdown.

Raises InvalidField if it cannot be read, and TooLarge if it is over a bound.
"""


def read(format_name: str, data: bytes, bounds: Bounds, *, recognises: bool = False) -> Reading:
    """Read a file.

    Args:
        format_name: One of `READABLE`.
        data: The file.
        bounds: How much may come out.
        recognises: Whether to recognise the text of pages that are pictures; else they are counted.

    Raises:
        InvalidField: It cannot be read.
        TooLarge: It is over a bound.
    """
    try:
        if format_name == "pdf":
            return read_pdf(data, bounds, recognises=recognises)
        if format_name == "picture":
            return read_picture(data, bounds, recognises=recognises)
        return Reading(*_READERS[format_name](data, bounds))
    except (TriviumError, MemoryError):
        raise
    except Exception as error:  # the edge to parsers, which raise anything on damaged files
        raise broken(format_name) from error


def _html(data: bytes, bounds: Bounds) -> tuple[str, str]:
    return html_text(decode(data))


_READERS: dict[str, Reader] = {
    "html": _html,
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
    "tnef": read_tnef,
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
READABLE = frozenset(("pdf", "picture", *_READERS))
"""The names of formats that have a reader."""
