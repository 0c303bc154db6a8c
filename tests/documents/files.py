"""Makes files of every format with known facts in known places, as the programs write them that people use."""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Maker(Protocol):
        """Makes a file."""

        def __call__(self) -> bytes: ...


_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
_P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
_R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
_M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_CORE = (
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Pump manual</dc:title></cp:coreProperties>'
)
_ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{value}:1.0"'
    for name, value in {
        "office": "office", "text": "text", "table": "table", "style": "style", "draw": "drawing",
        "presentation": "presentation", "meta": "meta",
    }.items()
)  # fmt: skip


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive; a part called mimetype is stored as it is, as OpenDocument and EPUB have it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            stored = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, compress_type=stored)
    return file.getvalue()


def _relations(targets: Mapping[str, str]) -> str:
    entries = "".join(
        f'<Relationship Id="r{number}" Type="{_RELATION}/{kind}" Target="{target}"/>'
        for number, (target, kind) in enumerate(targets.items(), 1)
    )
    return (
        f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{entries}</Relationships>'
    )


def _paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def _numbered(text: str, depth: int = 0) -> str:
    return _paragraph(text, f'<w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="1"/></w:numPr>')


def docx(body: str = "") -> bytes:
    """A Word document; without a body of its own, one with everything."""
    cell = "<w:tc><w:tcPr>{}</w:tcPr>{}</w:tc>"
    table = (
        "<w:tbl><w:tr>" + "".join(cell.format("", _paragraph(name)) for name in ("Model", "Head", "Flow")) + "</w:tr>"
        "<w:tr>"
        + cell.format('<w:vMerge w:val="restart"/>', _paragraph("P-100"))
        + cell.format("", _paragraph(""))
        + cell.format("", _paragraph("12 l/s"))
        + "</w:tr><w:tr>"
        + cell.format("<w:vMerge/>", _paragraph(""))
        + cell.format('<w:gridSpan w:val="2"/>', _paragraph("on request"))
        + "</w:tr></w:tbl>"
    )
    everything = (
        _paragraph("Limits", '<w:pStyle w:val="berschrift1"/>')
        + "<w:p><w:r><w:t>The casing stands 10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr>"
        "<w:t>6</w:t></w:r><w:r><w:t xml:space='preserve'> cycles.</w:t></w:r>"
        "<w:r><w:footnoteReference w:id='2'/></w:r></w:p>"
        + _numbered("Close the valve.")
        + _numbered("Drain the pump:")
        + _numbered("open the plug", 1)
        + _paragraph("Wait for a minute.")
        + _numbered("Open the valve.")
        + table
        + "<w:sdt><w:sdtContent>"
        + _paragraph("From a content control.")
        + "</w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>Inserted words.</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>Deleted words.</w:delText></w:r>"
        "</w:del></w:p>"
        "<w:p><m:oMath><m:f><m:num><m:r><m:t>p</m:t></m:r></m:num><m:den><m:sSup><m:e><m:r><m:t>v</m:t></m:r></m:e>"
        "<m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:den></m:f></m:oMath></w:p>"
    )
    levels = "".join(
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for depth, (form, text) in enumerate((("decimal", "%1."), ("lowerLetter", "%2)")))
    )
    return packed(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": _relations({"word/document.xml": "officeDocument"}),
            "docProps/core.xml": _CORE,
            "word/document.xml": f"<w:document {_W} {_M}><w:body>{body or everything}</w:body></w:document>",
            "word/_rels/document.xml.rels": _relations(
                {"styles.xml": "styles", "numbering.xml": "numbering", "footnotes.xml": "footnotes"}
            ),
            "word/styles.xml": f'<w:styles {_W}><w:style w:styleId="berschrift1">'
            '<w:name w:val="heading 1"/></w:style></w:styles>',
            "word/numbering.xml": f'<w:numbering {_W}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
            '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
            "word/footnotes.xml": f"<w:footnotes {_W}>"
            f'<w:footnote w:type="separator" w:id="0">{_paragraph("-")}</w:footnote>'
            f'<w:footnote w:id="2">{_paragraph("Tested at 60 °C.")}</w:footnote></w:footnotes>',
        }
    )


def _shape(text: str, placeholder: str = "") -> str:
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def pptx(slide_count: int = 2) -> bytes:
    """A presentation: the second slide comes first in the file, and has a table and notes."""
    cells = [["Site", "Pumps"], ["Graz", "7"]]
    rows = "".join(
        "<a:tr>" + "".join(f"<a:tc><a:txBody><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:txBody></a:tc>" for cell in row)
        + "</a:tr>" for row in cells
    )  # fmt: skip
    first = _shape("Opening", '<p:ph type="title"/>') + _shape("Welcome\nto all", '<p:ph idx="1"/>')
    last = (
        _shape("Where we stand", '<p:ph type="title"/>')
        + f"<p:graphicFrame><a:graphic><a:graphicData><a:tbl>{rows}</a:tbl></a:graphicData></a:graphic>"
        + "</p:graphicFrame>"
        + _shape("Confidential footer", '<p:ph type="ftr"/>')
    )
    notes = _shape("Say that Graz grows.", '<p:ph type="body"/>') + _shape("2", '<p:ph type="sldNum"/>')
    order = [f"slides/slide{number}.xml" for number in (2, 1)] + [
        f"slides/slide{n}.xml" for n in range(3, slide_count + 1)
    ]
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _relations({"ppt/presentation.xml": "officeDocument"}),
        "ppt/presentation.xml": f"<p:presentation {_P} {_R}><p:sldIdLst>"
        + "".join(f'<p:sldId id="{number + 255}" r:id="r{number}"/>' for number in range(1, slide_count + 1))
        + "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relations(dict.fromkeys(order, "slide")),
        "ppt/slides/slide2.xml": f"<p:sld {_P} {_A}><p:cSld><p:spTree>{first}</p:spTree></p:cSld></p:sld>",
        "ppt/slides/slide1.xml": f"<p:sld {_P} {_A}><p:cSld><p:spTree>{last}</p:spTree></p:cSld></p:sld>",
        "ppt/slides/_rels/slide1.xml.rels": _relations({"../notesSlides/notesSlide1.xml": "notesSlide"}),
        "ppt/notesSlides/notesSlide1.xml": f"<p:notes {_P} {_A}><p:cSld><p:spTree>{notes}</p:spTree></p:cSld>"
        "</p:notes>",
    }
    for number in range(3, slide_count + 1):
        parts[f"ppt/slides/slide{number}.xml"] = f"<p:sld {_P} {_A}/>"
    return packed(parts)


def xlsx(rows: list[list[str | float | None]] | None = None, *, sheet_count: int = 1, merged: str = "A3:A4") -> bytes:
    """A workbook whose sheets all have the same rows."""
    rows = rows or [["Spare parts", None, None], ["Part", "Price", "Stock"], ["Seal", 12.5, None], [None, 13.0, 4.0]]
    cells = ""
    for number, row in enumerate(rows, 1):
        cells += f'<row r="{number}">'
        for column, value in zip("ABCDEFGH", row, strict=False):
            at = f'r="{column}{number}"'
            if isinstance(value, str):
                cells += f'<c {at} t="inlineStr"><is><t>{value}</t></is></c>'
            elif value is not None:
                cells += f"<c {at}><v>{value}</v></c>"
        cells += "</row>"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    numbers = range(1, sheet_count + 1)
    sheet = (
        f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData>'
        f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells></worksheet>'
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _relations({"xl/workbook.xml": "officeDocument"}),
        "xl/workbook.xml": f'<workbook xmlns="{main}" {_R}><sheets>'
        + "".join(f'<sheet name="Stock {number}" sheetId="{number}" r:id="r{number}"/>' for number in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations({f"worksheets/sheet{number}.xml": "worksheet" for number in numbers}),
    }
    return packed(parts | {f"xl/worksheets/sheet{number}.xml": sheet for number in numbers})


def opendocument(kind: str, body: str, styles: str = "") -> bytes:
    """An OpenDocument file: `text`, `spreadsheet` or `presentation`."""
    return packed(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {_ODF}>"
            f"<office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>",
        }
    )


def odt() -> bytes:
    """An OpenDocument text with everything."""
    styles = (
        '<style:style style:name="up"><style:text-properties style:text-position="super 58%"/></style:style>'
        '<text:list-style style:name="L">'
        '<text:list-level-style-number text:level="1" style:num-suffix="."/></text:list-style>'
    )
    item = "<text:list-item><text:p>{}</text:p></text:list-item>"
    cell = "<table:table-cell{}><text:p>{}</text:p></table:table-cell>"
    body = (
        '<text:h text:outline-level="1">Limits</text:h>'
        '<text:p>It stands 10<text:span text:style-name="up">6</text:span> cycles.'
        "<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>Tested at 60 °C.</text:p></text:note-body>"
        "</text:note></text:p>"
        f'<text:list text:style-name="L">{item.format("Close the valve.")}{item.format("Drain the pump.")}</text:list>'
        "<table:table><table:table-header-rows><table:table-row>"
        f"{cell.format('', 'Model')}{cell.format('', 'Head')}{cell.format('', 'Flow')}"
        "</table:table-row></table:table-header-rows>"
        f"<table:table-row>{cell.format(' table:number-rows-spanned=' + chr(34) + '2' + chr(34), 'P-100')}"
        f"<table:table-cell/>{cell.format('', '12 l/s')}</table:table-row>"
        "<table:table-row><table:covered-table-cell/>"
        f"{cell.format('', '9 m')}{cell.format('', '14 l/s')}</table:table-row>"
        "</table:table>"
    )
    return opendocument("text", body, styles)


def odp() -> bytes:
    """An OpenDocument presentation of one slide with notes."""
    box = "<draw:frame{}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    return opendocument(
        "presentation",
        f"<draw:page>{box.format(' presentation:class=' + chr(34) + 'title' + chr(34), 'Where we stand')}"
        f"{box.format('', 'Graz has seven pumps.')}"
        f"<presentation:notes>{box.format('', 'Say that Graz grows.')}</presentation:notes></draw:page>",
    )


def ods() -> bytes:
    """An OpenDocument spreadsheet."""
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    number = '<table:table-cell office:value-type="float" office:value="{0}"><text:p>{0}</text:p></table:table-cell>'
    return opendocument(
        "spreadsheet",
        '<table:table table:name="Stock"><table:table-row>' + "".join(map(cell.format, ("Part", "Price", "Stock")))
        + "</table:table-row><table:table-row>" + cell.format("Seal") + "<table:table-cell/>" + number.format("4")
        + "</table:table-row></table:table>",
    )  # fmt: skip


RTF = (
    rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Helvetica;}}{\*\generator Writer 1;}{\info{\title Pump manual}}"
    rb"{\header Confidential}\pard\outlinelevel0 Limits\par\pard It stands 10{\super 6} cycles."
    rb"{\footnote Tested hot.}\par "
    rb"Pr\'fcfung \u8364?30 \u-10179?\u-8704?\par\trowd\cellx1\cellx2 Model\intbl\cell Head\intbl\cell\row"
    rb"\trowd P-100\intbl\cell\intbl\cell\row\pard End.\par}"
)


def epub() -> bytes:
    """A book whose chapters are not in the order of their names."""
    page = "<html xmlns='http://www.w3.org/1999/xhtml'><body><h1>{}</h1><p>{}</p></body></html>"
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<metadata><dc:title>Of pumps</dc:title></metadata><manifest>"
            '<item id="b" href="text/a%20b.xhtml"/><item id="a" href="text/z.xhtml"/></manifest>'
            '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>',
            "OPS/text/z.xhtml": page.format("First", "Of seals."),
            "OPS/text/a b.xhtml": page.format("Second", "Of valves."),
        }
    )


def mail(*attachments: tuple[str, str, bytes], subject: str = "Prüfung", html: str = "") -> bytes:
    """A mail with attachments: name, media type, content."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Jo <jo@example.org>", "ed@example.org"
    message["Date"] = "Mon, 02 Nov 2026 10:00:00 +0000"
    message["Message-ID"] = "<1@example.org>"
    message.set_content("Die Prüfung dauert fünf Minuten.", cte="base64")
    if html:
        message.add_alternative(html, subtype="html")
    for name, media_type, content in attachments:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def notebook() -> bytes:
    """A notebook with an output and a picture."""
    cells = [
        {"cell_type": "markdown", "source": ["# Flow\n", "The flow is measured."]},
        {
            "cell_type": "code",
            "source": ["print(flow)"],
            "outputs": [{"output_type": "stream", "text": ["12.5\n"]}, {"data": {"image/png": "aGVsbG8" * 999}}],
        },
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode()
