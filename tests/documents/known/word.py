"""Facts in Word documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from documents.known.office import office_file
from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_W = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)
_STEP = "Which vent is opened to stop the {name} pump?"
_CYCLES = "How many cycles does the {name} pump stand?"
_STEPS = ("Close the outlet.", "Switch off the drive.", "Open the vent {}-V.", "Drain the casing.")


def _p(text: str, properties: str = "") -> str:
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def _cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{_p(text)}</w:tc>"


def _table(rows: list[str], columns: int = 3) -> str:
    grid = f"<w:tblGrid>{'<w:gridCol/>' * columns}</w:tblGrid>"
    return f"<w:tbl><w:tblPr/>{grid}{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>"


def docx(body: str, notes: str = "", kind: str = "footnote") -> bytes:
    """A Word document with a heading, the body under it, and one note."""
    levels = '<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>'
    heading = _p("Limits", '<w:pStyle w:val="Heading1"/>')
    last = _p("Storage", '<w:pStyle w:val="Heading1"/>') + _p("Keep them dry.")
    return office_file(
        "word/document.xml",
        {
            "word/document.xml": (
                "wordprocessingml.document.main",
                f"<w:document {_W}><w:body>{heading}{body}{last}<w:sectPr/></w:body></w:document>",
            ),
            "word/styles.xml": (
                "wordprocessingml.styles",
                f'<w:styles {_W}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/>'
                "</w:style></w:styles>",
            ),
            "word/numbering.xml": (
                "wordprocessingml.numbering",
                f'<w:numbering {_W}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
                '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
            ),
            f"word/{kind}s.xml": (
                f"wordprocessingml.{kind}s",
                f'<w:{kind}s {_W}><w:{kind} w:type="separator" w:id="0">{_p("")}</w:{kind}>'
                f'<w:{kind} w:id="2">{_p(notes)}</w:{kind}></w:{kind}s>',
            ),
        },
        {"word/document.xml": {"styles.xml": "styles", "numbering.xml": "numbering", f"{kind}s.xml": f"{kind}s"}},
    )


def docx_table(subject: Subject) -> bytes:
    """A Word document with the subject's table."""
    return docx(_table(["".join(map(_cell, row)) for row in subject.rows()]))


def _docx_merged(subject: Subject) -> bytes:
    begin, goes_on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    rows = [
        "".join(map(_cell, ("Pump", "Setting", "Flow"))),
        _cell("Quill", begin) + _cell("low") + _cell("1 l/s"),
        _cell("", goes_on) + _cell("high") + _cell("2 l/s"),
        _cell(subject.name, begin) + _cell("low") + _cell("3 l/s"),
        _cell("", goes_on) + _cell("high") + _cell(subject.flow),
    ]
    return docx(_table(rows))


def _docx_numbered(subject: Subject) -> bytes:
    numbered = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    steps = [_p(step.format(subject.name), numbered) for step in _STEPS]
    return docx(_p(f"To stop the {subject.name} pump:") + "".join([*steps[:2], _p("Wait."), *steps[2:]]))


def _docx_raised(subject: Subject) -> bytes:
    return docx(
        f'<w:p><w:r><w:t xml:space="preserve">The {subject.name} pump stands 10</w:t></w:r><w:r><w:rPr>'
        f'<w:vertAlign w:val="superscript"/></w:rPr><w:t>{subject.power}</w:t></w:r>'
        '<w:r><w:t xml:space="preserve"> cycles.</w:t></w:r></w:p>'
    )


def _docx_formula(subject: Subject) -> bytes:
    formula = (
        f"<m:oMath><m:sSup><m:e><m:r><m:t>10</m:t></m:r></m:e><m:sup><m:r><m:t>{subject.power}</m:t></m:r></m:sup>"
        "</m:sSup></m:oMath>"
    )
    return docx(
        f'<w:p><w:r><w:t xml:space="preserve">The {subject.name} pump stands </w:t></w:r>{formula}'
        '<w:r><w:t xml:space="preserve"> cycles.</w:t></w:r></w:p>'
    )


def _docx_box(subject: Subject) -> bytes:
    box = f"<w:pict><v:shape><v:textbox><w:txbxContent>{_p(subject.sentence)}</w:txbxContent></v:textbox></v:shape>"
    return docx(_p(subject.prose(1)[0]) + f"<w:p><w:r>{box}</w:pict></w:r></w:p>")


def _noted(kind: str) -> str:
    return f'<w:p><w:r><w:t>They are tested.</w:t></w:r><w:r><w:{kind}Reference w:id="2"/></w:r></w:p>'


_FLOW = "Flow: {flow}"
_VENT = "Open the vent {name}-V"
_RAISED = "10^{power}"
_HIGH = "What is the flow of the {name} pump at the setting high?"

RECIPES = [
    Recipe(".docx", "paragraph", lambda s: docx("".join(map(_p, [*s.prose(3), s.sentence]))), heading="Limits"),
    Recipe(".docx", "table cell", docx_table, said=_FLOW, heading="Limits"),
    Recipe(".docx", "merged cell", _docx_merged, _HIGH, said=_FLOW, heading="Limits"),
    Recipe(".docx", "footnote", lambda s: docx(_noted("footnote"), s.sentence)),
    Recipe(".docx", "endnote", lambda s: docx(_noted("endnote"), s.sentence, "endnote")),
    Recipe(
        ".docx", "numbered step", _docx_numbered, question=_STEP, said=_VENT, cited="3. Open the vent", heading="Limits"
    ),
    Recipe(".docx", "exponent", _docx_raised, question=_CYCLES, said=_RAISED, heading="Limits"),
    Recipe(".docx", "formula", _docx_formula, question=_CYCLES, said=_RAISED, heading="Limits"),
    Recipe(".docx", "text box", _docx_box, heading="Limits"),
    Recipe(".docx", "inserted text", lambda s: docx(_p(s.prose(1)[0]) + f'<w:ins w:id="9">{_p(s.sentence)}</w:ins>')),
]
