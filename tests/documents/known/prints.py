"""Facts in PDFs, and in pictures of pages."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pypdfium2
from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_LEFT, _TOP, _LINE = 72.0, 720.0, 16.0


@dataclass
class Page:
    """What is printed on a page: size of type, place, words; the fields of a form: place, name, value; and lines."""

    words: list[tuple[float, float, float, str]] = field(default_factory=list)
    fields: list[tuple[float, float, str, str]] = field(default_factory=list)
    rules: list[tuple[float, float, float, float]] = field(default_factory=list)

    def lines(self, *lines: str, x: float = _LEFT, y: float = _TOP, size: float = 11) -> Page:
        """Print lines below each other; long ones are broken."""
        for line in lines:
            for piece in _broken(line, int(900 / size)):
                self.words.append((size, x, y, piece))
                y -= _LINE
            y -= _LINE / 2
        return self

    def table(self, rows: list[list[str]], y: float = _TOP) -> Page:
        """Print a table without rules."""
        for row in rows:
            self.words += [(11, _LEFT + 150 * at, y, cell) for at, cell in enumerate(row) if cell]
            y -= _LINE
        return self


def _broken(line: str, most: int) -> list[str]:
    pieces = [""]
    for word in line.split():
        if len(pieces[-1]) + len(word) > most:
            pieces.append(word)
        else:
            pieces[-1] = f"{pieces[-1]} {word}".strip()
    return pieces


def pdf(*pages: Page) -> bytes:
    """A PDF of these pages."""
    objects: list[bytes] = []

    def add(content: str | bytes) -> int:
        objects.append(content if isinstance(content, bytes) else content.encode("latin-1"))
        return len(objects)

    font = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    root, tree = add(""), add("")
    kids, widgets = [], []
    for page in pages:
        words = [(*place, text.replace("(", "\\(").replace(")", "\\)")) for *place, text in page.words]
        shown = "\n".join(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({text}) Tj ET" for size, x, y, text in words)
        shown += "".join(f"\n{x0} {y0} m {x1} {y1} l S" for x0, y0, x1, y1 in page.rules)
        stream = add(f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream")
        own = [
            add(
                f"<< /Type /Annot /Subtype /Widget /FT /Tx /T ({name}) /V ({value}) "
                f"/Rect [{x} {y - 3} {x + 200} {y + 12}] >>"
            )
            for x, y, name, value in page.fields
        ]
        widgets += own
        kids.append(
            add(
                f"<< /Type /Page /Parent {tree} 0 R /MediaBox [0 0 612 792] /Contents {stream} 0 R /Annots "
                f"[{' '.join(f'{each} 0 R' for each in own)}] /Resources << /Font << /F1 {font} 0 R >> >> >>"
            )
        )
    form = f"/AcroForm << /Fields [{' '.join(f'{each} 0 R' for each in widgets)}] >>" if widgets else ""
    objects[root - 1] = f"<< /Type /Catalog /Pages {tree} 0 R {form} >>".encode()
    listed = " ".join(f"{each} 0 R" for each in kids)
    objects[tree - 1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{listed}] >>".encode()
    return _file(objects, root)


def _file(objects: list[bytes], root: int) -> bytes:
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(
        b"%010d 00000 n \n" % at for at in places
    )
    return (
        out
        + table
        + b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, len(out))
    )


def _pixels(page: bytes, scale: float = 2.5) -> tuple[int, int, bytes]:
    """Draw a PDF's first page: width, height and a byte for each dot."""
    document = pypdfium2.PdfDocument(page)
    bitmap = document[0].render(scale=scale, grayscale=True)
    dots, stride = bytes(bitmap.buffer), bitmap.stride
    rows = [dots[at * stride : at * stride + bitmap.width] for at in range(bitmap.height)]
    return bitmap.width, bitmap.height, b"".join(rows)


def png(page: bytes) -> bytes:
    """A picture of a PDF's first page."""
    width, height, dots = _pixels(page)
    rows = b"".join(b"\0" + dots[at * width : (at + 1) * width] for at in range(height))
    file = io.BytesIO(b"")
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))
    return file.getvalue()


def scanned(*pages: bytes) -> bytes:
    """A PDF whose pages are pictures of the first pages of these PDFs."""
    objects = [b"", b""]
    kids = []
    for page in pages:
        width, height, dots = _pixels(page)
        packed = zlib.compress(dots)
        objects.append(
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8 "
            b"/Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream" % (width, height, len(packed), packed)
        )
        objects.append(b"<< /Length 33 >>\nstream\nq 612 0 0 792 0 0 cm /I1 Do Q   \nendstream")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /XObject << /I1 %d 0 R >> >> >>" % (len(objects), len(objects) - 1)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(kids), b" ".join(kids))
    return _file(objects, 1)


def _third_page(subject: Subject) -> bytes:
    # The same words at the same place of each page would be a running header.
    titles = ("Opening", "Setting up", "Limits", "Storage")
    pages = [Page().lines(title, size=18).lines(*subject.prose(3), y=680) for title in titles]
    pages[2].lines(subject.sentence, y=400)
    return pdf(*pages)


def _running(subject: Subject) -> bytes:
    pages = []
    for number in range(1, 5):
        page = Page().lines(f"Northwind Service Manual Rev. F Page {number}", y=760, size=9)
        page.lines(*subject.prose(2), y=700)
        page.lines("Confidential", y=40, size=9)
        pages.append(page)
    pages[1].lines(subject.sentence, y=500)
    return pdf(*pages)


def _single_words(subject: Subject) -> bytes:
    page = Page()
    for y, line in zip((700, 660, 620), [subject.prose(1)[0], subject.sentence, "Keep it dry."], strict=True):
        x = _LEFT
        for word in line.split():
            page.words.append((11, x, y, word))
            x += 6.6 * len(word) + 3
    return pdf(page)


def _columns(subject: Subject) -> bytes:
    left = [*subject.prose(3), "The left column ends here and says nothing more about it."]
    right = [subject.sentence, *subject.prose(2), "The right column ends here, too, and says nothing more."]
    page = Page()
    for x, texts in ((60.0, left), (330.0, right)):
        pieces = [piece for text in texts for piece in _broken(text, 38)][:14]
        page.words += [(11, x, 700 - at * 14, piece) for at, piece in enumerate(pieces)]
    page.words.sort(key=lambda word: -word[2])
    return pdf(page)


def _form(subject: Subject) -> bytes:
    page = Page().lines("Acceptance", size=18).lines(f"Flow of the {subject.name} pump:", "Head:", y=680)
    page.fields = [(260, 680, "flow", subject.flow), (260, 656, "head", subject.head)]
    return pdf(page)


def _note(subject: Subject) -> bytes:
    page = Page().lines("They are tested by hand, every one of them. 1)", *subject.prose(2))
    return pdf(Page().lines(*subject.prose(2)), page.lines(f"1) {subject.sentence}", y=80, size=8))


def _simple(subject: Subject) -> bytes:
    return pdf(Page().lines("Limits", size=18).lines(*subject.prose(2), subject.sentence, "Keep it dry.", y=680))


RECIPES = [
    Recipe(".pdf", "third page", _third_page, page=3, heading="Limits"),
    Recipe(
        ".pdf",
        "table cell",
        lambda s: pdf(Page().lines(*s.prose(1)), Page().table(s.rows())),
        said="Flow: {flow}",
        page=2,
    ),
    Recipe(".pdf", "under a heading", _simple, page=1, heading="Limits"),
    Recipe(".pdf", "form", _form, page=1, heading="Acceptance"),
    Recipe(".pdf", "two columns", _columns, page=1),
    Recipe(".pdf", "words placed singly", _single_words, page=1),
    Recipe(".pdf", "footnote", _note, page=2),
    Recipe(".pdf", "between running lines", _running, page=2),
    Recipe(
        ".pdf",
        "table over two pages",
        lambda s: pdf(Page().table(s.rows(39, at=30)[:20]), Page().table([s.rows(39)[0], *s.rows(39, at=30)[20:]])),
        said="Flow: {flow}",
        page=2,
    ),
    Recipe(".pdf", "scanned page", lambda s: scanned(pdf(Page().lines("Cover", size=30)), _simple(s)), page=2),
    Recipe(".png", "picture of a page", lambda s: png(_simple(s)), page=1),
]
