"""Facts in the files of office programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from documents.files import opendocument, packed
from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_P = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument"
_STEP = "Which vent is opened to stop the {name} pump?"
_CYCLES = "How many cycles does the {name} pump stand?"
_STEPS = ("Close the outlet.", "Switch off the drive.", "Open the vent {}-V.", "Drain the casing.")


def office_file(main: str, parts: dict[str, tuple[str, str]], relations: dict[str, dict[str, str]]) -> bytes:
    """An Office Open XML file.

    Args:
        main: The name of its main part.
        parts: By name, the last words of the media type and the content.
        relations: By part, the targets with the last word of their kind; they are numbered `r1`, `r2`, ...
    """
    types = "".join(
        f'<Override PartName="/{name}" ContentType="{_TYPE}.{kind}+xml"/>' for name, (kind, _) in parts.items()
    )
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>'
    }
    for part, targets in {"": {main: "officeDocument"}, **relations}.items():
        folder, _, base = part.rpartition("/")
        files[f"{folder}/_rels/{base}.rels".lstrip("/")] = (
            f'<Relationships xmlns="{_PACKAGE}/relationships">'
            + "".join(
                f'<Relationship Id="r{number}" Type="{_RELATION}/{kind}" Target="{target}"/>'
                for number, (target, kind) in enumerate(targets.items(), 1)
            )
            + "</Relationships>"
        )
    declared = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return packed(files | {name: declared + content for name, (_, content) in parts.items()})


def _shape(text: str, placeholder: str = "", number: int = 2) -> str:
    kind = "" if placeholder else ' txBox="1"'
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="S{number}"/><p:cNvSpPr{kind}/><p:nvPr>{placeholder}</p:nvPr>'
        "</p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/>"
        + "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
        + "</p:txBody></p:sp>"
    )


def _slide(kind: str, shapes: str) -> str:
    return (
        f'<p:{kind} {_P}><p:cSld><p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/>'
        f"</p:nvGrpSpPr><p:grpSpPr/>{shapes}</p:spTree></p:cSld></p:{kind}>"
    )


def pptx(shapes: str, notes: str = "Speak slowly.") -> bytes:
    """A presentation whose second slide has these shapes and notes."""
    title = _shape("Limits", '<p:ph type="title"/>')
    slides = {1: _shape("Opening", '<p:ph type="title"/>') + _shape("Welcome", "", 3), 2: title + shapes}
    kind = "presentationml"
    parts = {
        "ppt/presentation.xml": (
            f"{kind}.presentation.main",
            f'<p:presentation {_P}><p:sldIdLst><p:sldId id="256" r:id="r1"/><p:sldId id="257" r:id="r2"/>'
            '</p:sldIdLst><p:sldSz cx="9144000" cy="6858000"/></p:presentation>',
        ),
        "ppt/notesSlides/notesSlide2.xml": (
            f"{kind}.notesSlide",
            _slide("notes", _shape(notes, '<p:ph type="body" idx="1"/>')),
        ),
    }
    for number, shown in slides.items():
        parts[f"ppt/slides/slide{number}.xml"] = (f"{kind}.slide", _slide("sld", shown))
    master, layout = "slideMasters/slideMaster1.xml", "slideLayouts/slideLayout1.xml"
    parts[f"ppt/{master}"] = (f"{kind}.slideMaster", _slide("sldMaster", ""))
    parts[f"ppt/{layout}"] = (f"{kind}.slideLayout", _slide("sldLayout", _shape("", '<p:ph type="title"/>')))
    return office_file(
        "ppt/presentation.xml",
        parts,
        {
            "ppt/presentation.xml": {"slides/slide1.xml": "slide", "slides/slide2.xml": "slide", master: "slideMaster"},
            f"ppt/{master}": {f"../{layout}": "slideLayout"},
            f"ppt/{layout}": {f"../{master}": "slideMaster"},
            "ppt/slides/slide1.xml": {f"../{layout}": "slideLayout"},
            "ppt/slides/slide2.xml": {
                f"../{layout}": "slideLayout",
                "../notesSlides/notesSlide2.xml": "notesSlide",
            },
            "ppt/notesSlides/notesSlide2.xml": {"../slides/slide2.xml": "slide"},
        },
    )


def _pptx_table(subject: Subject) -> bytes:
    rows = "".join(
        '<a:tr h="1">' + "".join(f"<a:tc><a:txBody><a:bodyPr/><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:txBody></a:tc>"
                                 for cell in row) + "</a:tr>"
        for row in subject.rows()
    )  # fmt: skip
    frame = (
        '<p:nvGraphicFramePr><p:cNvPr id="9" name="T"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><p:xfrm/>'
    )
    uri = "http://schemas.openxmlformats.org/drawingml/2006/table"
    table = f"<a:tbl><a:tblGrid>{'<a:gridCol w=' + chr(34) + '1' + chr(34) + '/>'}</a:tblGrid>{rows}</a:tbl>"
    return pptx(
        f'<p:graphicFrame>{frame}<a:graphic><a:graphicData uri="{uri}">{table}</a:graphicData></a:graphic>'
        "</p:graphicFrame>"
    )


def _pptx_group(subject: Subject) -> bytes:
    group = '<p:nvGrpSpPr><p:cNvPr id="7" name="G"/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
    return pptx(f"<p:grpSp>{group}{_shape(subject.sentence, '', 8)}</p:grpSp>")


def _pptx_picture(subject: Subject) -> bytes:
    about = f'<p:nvPicPr><p:cNvPr id="5" name="P" descr="{subject.sentence}"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr>'
    return pptx(f"<p:pic>{about}<p:blipFill/><p:spPr/></p:pic>")


def xlsx(*sheets: list[list[str]], merged: str = "") -> bytes:
    """A workbook whose sheets are called Sheet 1, Limits, ..."""
    parts: dict[str, tuple[str, str]] = {}
    names = ["Limits", "Second", "Third"][: len(sheets)]
    for number, rows in enumerate(sheets, 1):
        cells = "".join(
            f'<row r="{at}">'
            + "".join(
                f'<c r="{column}{at}" t="inlineStr"><is><t>{value}</t></is></c>'
                for column, value in zip("ABCDEF", row, strict=False)
                if value
            )
            + "</row>"
            for at, row in enumerate(rows, 1)
        )
        merges = f'<mergeCells count="1"><mergeCell ref="{merged}"/></mergeCells>' if merged else ""
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            "spreadsheetml.worksheet",
            f'<worksheet xmlns="{_MAIN}"><sheetData>{cells}</sheetData>{merges}</worksheet>',
        )
    shown = "".join(f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"/>' for at, name in enumerate(names, 1))
    book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets>{shown}</sheets></workbook>'
    targets = {part.removeprefix("xl/"): "worksheet" for part in parts}
    kind = "spreadsheetml.sheet.main"
    return office_file("xl/workbook.xml", {"xl/workbook.xml": (kind, book), **parts}, {"xl/workbook.xml": targets})


def _merged_rows(subject: Subject) -> list[list[str]]:
    return [
        ["Pump", "Setting", "Flow"],
        [subject.name, "low", "3 l/s"],
        ["", "high", subject.flow],
        ["Quill", "low", "1"],
    ]


def _odt(body: str) -> bytes:
    styles = (
        '<style:style style:name="up" style:family="text"><style:text-properties style:text-position="super 58%"/>'
        '</style:style><text:list-style style:name="L">'
        '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/></text:list-style>'
    )
    return opendocument("text", f'<text:h text:outline-level="1">Limits</text:h>{body}', styles)


def _od_table(rows: list[list[str]], name: str = "Limits") -> str:
    cells = (
        "".join(
            f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
            if cell
            else "<table:table-cell/>"
            for cell in row
        )
        for row in rows
    )
    return (
        f'<table:table table:name="{name}"><table:table-column/>'
        + "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
        + "</table:table>"
    )


def _od_merged(subject: Subject) -> str:
    spanning = (
        f'<table:table-cell table:number-rows-spanned="2" office:value-type="string"><text:p>{subject.name}</text:p>'
    )
    table = _od_table(
        [["Pump", "Setting", "Flow"], ["Quill", "low", "1 l/s"], ["@", "low", "3 l/s"], ["%", "high", "!"]]
    )
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    return (
        table.replace(cell.format("@"), f"{spanning}</table:table-cell>")
        .replace(cell.format("%"), "<table:covered-table-cell/>")
        .replace(cell.format("!"), cell.format(subject.flow))
    )


def _od_numbered(subject: Subject) -> str:
    items = [f"<text:list-item><text:p>{step.format(subject.name)}</text:p></text:list-item>" for step in _STEPS]
    return (
        f'<text:p>To stop the {subject.name} pump:</text:p><text:list text:style-name="L">{"".join(items)}</text:list>'
    )


def _od_note(subject: Subject) -> str:
    return (
        '<text:p>They are tested.<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation>'
        f"<text:note-body><text:p>{subject.sentence}</text:p></text:note-body></text:note></text:p>"
    )


def _odp(body: str, notes: str = "Speak slowly.") -> bytes:
    box = "<draw:frame{}><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    title = box.format(' presentation:class="title"', "Limits")
    return opendocument(
        "presentation",
        f"<draw:page>{title}{body}<presentation:notes>{box.format('', notes)}</presentation:notes></draw:page>",
    )


def _rtf(body: str) -> bytes:
    return (
        r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Helvetica;}}{\info{\title Pumps}}{\header Confidential}"
        r"\pard\outlinelevel0 Limits\par\pard " + body + r"\pard End.\par}"
    ).encode()


def _rtf_table(rows: list[list[str]]) -> str:
    cells = "".join(f"\\cellx{at}" for at in (1000, 2000, 3000))
    return "".join(f"\\trowd{cells}" + "".join(f" {cell}\\intbl\\cell" for cell in row) + "\\row\n" for row in rows)


def _rtf_numbered(subject: Subject) -> str:
    steps = "".join(
        rf"{{\listtext {at}.\tab}}\ls1 {step.format(subject.name)}\par " for at, step in enumerate(_STEPS, 1)
    )
    return rf"To stop the {subject.name} pump:\par {steps}"


_FLOW = "Flow: {flow}"
_VENT = "Open the vent {name}-V"
_RAISED = "10^{power}"
_HIGH = "What is the flow of the {name} pump at the setting high?"

RECIPES = [
    Recipe(".pptx", "text", lambda s: pptx(_shape(s.sentence)), heading="Limits"),
    Recipe(".pptx", "table cell", _pptx_table, said=_FLOW, heading="Limits"),
    Recipe(".pptx", "notes", lambda s: pptx(_shape("See the notes."), s.sentence), heading="Notes to slide 2"),
    Recipe(".pptx", "picture's description", _pptx_picture, heading="Limits"),
    Recipe(".pptx", "group", _pptx_group, heading="Limits"),
    Recipe(".xlsx", "beside an empty cell", lambda s: xlsx(s.rows()), said=_FLOW, heading="Limits"),
    Recipe(
        ".xlsx", "merged cell", lambda s: xlsx(_merged_rows(s), merged="A2:A3"), _HIGH, said=_FLOW, heading="Limits"
    ),
    Recipe(
        ".xlsx",
        "second sheet",
        lambda s: xlsx([["Nothing", "here"], ["a", "b"]], s.rows()),
        said="Flow: {flow}",
        heading="Second",
    ),
    Recipe(".xlsx", "row 100", lambda s: xlsx(s.rows(140, at=100)), said=_FLOW, heading="Limits"),
    Recipe(".xlsx", "under a caption", lambda s: xlsx([["All pumps"], [], *s.rows()]), said=_FLOW, heading="Limits"),
    Recipe(".odt", "table cell", lambda s: _odt(_od_table(s.rows())), said=_FLOW, heading="Limits"),
    Recipe(".odt", "merged cell", lambda s: _odt(_od_merged(s)), _HIGH, said=_FLOW, heading="Limits"),
    Recipe(".odt", "footnote", lambda s: _odt(_od_note(s))),
    Recipe(
        ".odt",
        "numbered step",
        lambda s: _odt(_od_numbered(s)),
        question=_STEP,
        said=_VENT,
        cited="3. Open the vent",
        heading="Limits",
    ),
    Recipe(
        ".odt",
        "exponent",
        lambda s: _odt(
            f'<text:p>The {s.name} pump stands 10<text:span text:style-name="up">{s.power}</text:span> cycles.</text:p>'
        ),
        question=_CYCLES,
        said=_RAISED,
        heading="Limits",
    ),
    Recipe(
        ".ods",
        "beside an empty cell",
        lambda s: opendocument("spreadsheet", _od_table(s.rows())),
        said=_FLOW,
        heading="Limits",
    ),
    Recipe(
        ".ods", "merged cell", lambda s: opendocument("spreadsheet", _od_merged(s)), _HIGH, said=_FLOW, heading="Limits"
    ),
    Recipe(
        ".ods",
        "second sheet",
        lambda s: opendocument("spreadsheet", _od_table([["a", "b"], ["c", "d"]], "One") + _od_table(s.rows(), "Two")),
        said="Flow: {flow}",
        heading="Two",
    ),
    Recipe(
        ".odp",
        "text",
        lambda s: _odp(f"<draw:frame><draw:text-box><text:p>{s.sentence}</text:p></draw:text-box></draw:frame>"),
        heading="Limits",
    ),
    Recipe(".odp", "notes", lambda s: _odp("", s.sentence), heading="Notes to slide 1"),
    Recipe(
        ".odp",
        "table cell",
        lambda s: _odp(f"<draw:frame>{_od_table(s.rows())}</draw:frame>"),
        said=_FLOW,
        heading="Limits",
    ),
    Recipe(
        ".rtf",
        "paragraph",
        lambda s: _rtf("".join(rf"{each}\par " for each in [*s.prose(3), s.sentence])),
        heading="Limits",
    ),
    Recipe(".rtf", "table cell", lambda s: _rtf(_rtf_table(s.rows())), said=_FLOW, heading="Limits"),
    Recipe(".rtf", "footnote", lambda s: _rtf(rf"They are tested.{{\footnote {s.sentence}}}\par ")),
    Recipe(
        ".rtf",
        "numbered step",
        lambda s: _rtf(_rtf_numbered(s)),
        question=_STEP,
        said=_VENT,
        cited="3. Open the vent",
        heading="Limits",
    ),
    Recipe(
        ".rtf",
        "exponent",
        lambda s: _rtf(rf"The {s.name} pump stands 10{{\super {s.power}}} cycles.\par "),
        question=_CYCLES,
        said=_RAISED,
        heading="Limits",
    ),
]
