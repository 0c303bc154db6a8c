"""How fast files of each format are read, each with about the same prose and tables: processor time, best of three.

.venv/bin/python bench/documents/throughput.py
"""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.ocr import ocr_is_installed
from trivium_gateway.ingestion.formats.readers import read

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from documents.files import epub, mail, opendocument, pptx
from documents.known.office import xlsx
from documents.known.prints import Page, pdf, scanned
from documents.known.recipe import Subject
from documents.known.web import html, html_table
from documents.known.word import docx, docx_table

if TYPE_CHECKING:
    from collections.abc import Callable

_SUBJECT = Subject("Almont", "20.5 l/s", "30 m", 6)
_PARAGRAPHS = [" ".join(_SUBJECT.prose(5)) for _ in range(400)]
_ROWS = _SUBJECT.rows(2_000)


def _word() -> bytes:
    return docx("".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in _PARAGRAPHS))


def _open_text() -> bytes:
    return opendocument("text", "".join(f"<text:p>{text}</text:p>" for text in _PARAGRAPHS))


def _rich_text() -> bytes:
    return ("{\\rtf1\\ansi " + "".join(f"\\pard {text}\\par\n" for text in _PARAGRAPHS) + "}").encode()


def _pages(count: int) -> list[bytes]:
    return [pdf(Page().lines(*_SUBJECT.prose(12))) for _ in range(count)]


def _comma_separated() -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(_ROWS)
    return file.getvalue().encode()


def _records() -> list[dict[str, str]]:
    return [dict(zip(_ROWS[0], row, strict=True)) for row in _ROWS[1:]]


def _markup() -> bytes:
    rows = "".join(f"<pump>{''.join(f'<{key}>{one[key]}</{key}>' for key in one)}</pump>" for one in _records())
    return f"<pumps>{rows}</pumps>".encode()


FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "HTML, prose": ("html", lambda: html("".join(f"<p>{text}</p>" for text in _PARAGRAPHS))),
    "HTML, 2,000 rows": ("html", lambda: html(html_table(_ROWS))),
    "PDF, 60 pages of prose": ("pdf", lambda: pdf(*[Page().lines(*_SUBJECT.prose(24)) for _ in range(60)])),
    "PDF, 60 pages of tables": ("pdf", lambda: pdf(*[Page().table(_SUBJECT.rows(38)) for _ in range(60)])),
    "Word, prose": ("docx", _word),
    "Word, a small table": ("docx", lambda: docx_table(_SUBJECT)),
    "PowerPoint, 100 slides": ("pptx", lambda: pptx(100)),
    "Excel, 2,000 rows": ("xlsx", lambda: xlsx(_ROWS)),
    "OpenDocument, prose": ("odt", _open_text),
    "RTF, prose": ("rtf", _rich_text),
    "EPUB, small": ("epub", epub),
    "mail, small": ("mail", mail),
    "CSV, 2,000 rows": ("csv", _comma_separated),
    "JSON, 2,000 records": ("json", lambda: json.dumps(_records()).encode()),
    "XML, 2,000 records": ("xml", _markup),
    "scan, 5 pages": ("pdf", lambda: scanned(*_pages(5))),
}


def main() -> None:
    """Run."""
    print("| File | Size | Text | Processor time | Text a second |\n|---|---|---|---|---|")
    for name, (format_name, make) in FILES.items():
        is_scan = name.startswith("scan")
        if is_scan and not ocr_is_installed():
            continue
        data = make()
        bounds = Bounds(5_000, 10_000_000)
        read(format_name, data, bounds, recognises=is_scan)  # what is loaded once
        seconds = []
        for _ in range(3):
            begin = time.process_time()
            text = read(format_name, data, bounds, recognises=is_scan).text
            seconds.append(time.process_time() - begin)
        best = min(seconds)
        print(
            f"| {name} | {len(data) / 1000:.0f} kB | {len(text) / 1000:.0f} kB | {best * 1000:.1f} ms "
            f"| {len(text) / best / 1e6:.3g} MB |"
        )


if __name__ == "__main__":
    main()
