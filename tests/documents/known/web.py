"""Facts in pages of the web, books and saved pages."""

from __future__ import annotations

from email.message import EmailMessage
from typing import TYPE_CHECKING

from documents.files import packed
from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject


def html_table(rows: list[list[str]]) -> str:
    """A table as browsers have it."""
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:])
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html(body: str, charset: str = "utf-8") -> bytes:
    """A page with navigation around its content."""
    return (
        f'<!doctype html><html><head><meta charset="{charset}"><title>Pumps</title></head><body><nav><a href="/">Home'
        f"</a></nav><main><h1>Pumps</h1><h2>Limits</h2>{body}</main><footer>Imprint</footer></body></html>"
    ).encode(charset)


def _prose(subject: Subject) -> str:
    return "".join(f"<p>{each}</p>" for each in [*subject.prose(3), subject.sentence, *subject.prose(2)])


def _merged(subject: Subject) -> str:
    return (
        "<table><tr><th>Pump</th><th>Setting</th><th>Flow</th></tr>"
        "<tr><td rowspan=2>Quill</td><td>low</td><td>1 l/s</td></tr><tr><td>high</td><td>2 l/s</td></tr>"
        f"<tr><td rowspan=2>{subject.name}</td><td>low</td><td>3 l/s</td></tr>"
        f"<tr><td>high</td><td>{subject.flow}</td></tr></table>"
    )


def _steps(subject: Subject) -> str:
    return (
        f"<p>To stop the {subject.name} pump:</p><ol><li>Close the outlet.</li><li>Switch off the drive.</li></ol>"
        f'<p>Wait.</p><ol start="3"><li>Open the vent {subject.name}-V.</li><li>Drain the casing.</li></ol>'
    )


def _epub(chapter: str) -> bytes:
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>c</title></head><body>{}</body></html>'
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="OPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
            "</container>",
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Of pumps</dc:title></metadata><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
            "OPS/a.xhtml": page.format("<h1>Opening</h1><p>Pumps move water.</p>"),
            "OPS/b.xhtml": page.format(f"<h1>Limits</h1>{chapter}"),
        }
    )


def _mhtml(body: str) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["MIME-Version"] = "Pumps", "<Saved by Blink>", "1.0"
    message.set_content("x")
    message.clear_content()
    message.make_related()
    message.add_related(html(body).decode(), subtype="html", cte="quoted-printable")
    message.add_related(b"\x89PNG\r\n" * 40, "image", "png", filename="a.png")
    return message.as_bytes()


_CYCLES = "How many cycles does the {name} pump stand?"

RECIPES = [
    Recipe(".html", "table cell", lambda s: html(html_table(s.rows())), said="Flow: {flow}", heading="Limits"),
    Recipe(
        ".html",
        "merged cell",
        lambda s: html(_merged(s)),
        "What is the flow of the {name} pump at the setting high?",
        "Flow: {flow}",
        heading="Limits",
    ),
    Recipe(
        ".html",
        "exponent",
        lambda s: html(f"<p>The {s.name} pump stands 10<sup>{s.power}</sup> cycles.</p>"),
        _CYCLES,
        "10^{power}",
        heading="Limits",
    ),
    Recipe(
        ".html",
        "numbered step",
        lambda s: html(_steps(s)),
        "Which vent is opened to stop the {name} pump?",
        "Open the vent {name}-V",
        "3. Open the vent",
        heading="Limits",
    ),
    Recipe(
        ".html",
        "definition list",
        lambda s: html(
            f"<dl><dt>Flow of the Quill pump</dt><dd>7 l/s</dd><dt>Flow of the {s.name} pump</dt><dd>{s.flow}</dd></dl>"
        ),
        heading="Limits",
    ),
    Recipe(
        ".html",
        "declared encoding",
        lambda s: html("<p>Größen für Prüfer</p>" + _prose(s), "windows-1252"),
        heading="Limits",
    ),
    Recipe(".epub", "second chapter", lambda s: _epub(_prose(s)), heading="Limits"),
    Recipe(".epub", "table cell", lambda s: _epub(html_table(s.rows())), said="Flow: {flow}", heading="Limits"),
    Recipe(
        ".epub",
        "exponent",
        lambda s: _epub(f"<p>The {s.name} pump stands 10<sup>{s.power}</sup> cycles.</p>"),
        _CYCLES,
        "10^{power}",
        heading="Limits",
    ),
    Recipe(".mhtml", "paragraph", lambda s: _mhtml(_prose(s)), heading="Limits"),
    Recipe(".mhtml", "table cell", lambda s: _mhtml(html_table(s.rows())), said="Flow: {flow}", heading="Limits"),
]
