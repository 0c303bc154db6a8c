"""What Office documents show beside their text: boxes, charts, diagrams, formulas; and what they hide."""

from __future__ import annotations

import io
import zipfile

import pytest
from documents.files import opendocument
from documents.known.office import office_file, pptx
from documents.known.word import docx
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read

_SCHEMAS = "http://schemas.openxmlformats.org"
_R = f'xmlns:r="{_SCHEMAS}/officeDocument/2006/relationships"'
_MC = f'xmlns:mc="{_SCHEMAS}/markup-compatibility/2006"'
_BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)

_CHART = (
    f'<c:chartSpace xmlns:c="{_SCHEMAS}/drawingml/2006/chart" xmlns:a="{_SCHEMAS}/drawingml/2006/main"><c:chart>'
    "<c:title><c:tx><c:rich><a:p><a:r><a:t>Sales by region</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea>"
    '<c:barChart><c:ser><c:tx><c:strRef><c:strCache><c:pt idx="0"><c:v>2024</c:v></c:pt></c:strCache></c:strRef></c:tx>'
    '<c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt><c:pt idx="1"><c:v>South</c:v></c:pt>'
    '</c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache><c:pt idx="0"><c:v>310</c:v></c:pt>'
    '<c:pt idx="1"><c:v>290</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:barChart><c:catAx><c:title><c:tx>'
    "<c:rich><a:p><a:r><a:t>Axis</a:t></a:r></a:p></c:rich></c:tx></c:title></c:catAx></c:plotArea></c:chart>"
    "</c:chartSpace>"
)
_DIAGRAM = (
    f'<dgm:dataModel xmlns:dgm="{_SCHEMAS}/drawingml/2006/diagram" xmlns:a="{_SCHEMAS}/drawingml/2006/main"><dgm:ptLst>'
    "<dgm:pt><dgm:t><a:p><a:r><a:t>Drain </a:t></a:r><a:r><a:t>it first.</a:t></a:r></a:p></dgm:t></dgm:pt>"
    "<dgm:pt><dgm:t><a:p><a:r><a:t>Then close it.</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"
)


def _text(kind: str, data: bytes) -> str:
    return read(kind, data, _BOUNDS).text


def _with_part(kind: str, shown: str, part: str) -> bytes:
    """A document or a presentation that shows what is kept in another part of it."""
    if kind == "docx":
        drawing = f'<wp:inline xmlns:wp="{_SCHEMAS}/drawingml/2006/wordprocessingDrawing">{shown}</wp:inline>'
        data = docx(f"<w:p><w:r><w:drawing>{drawing}</w:drawing></w:r></w:p>")
        folder, relations = "word", "word/_rels/document.xml.rels"
    else:
        properties = '<p:nvGraphicFramePr><p:cNvPr id="9" name="T"/></p:nvGraphicFramePr>'
        frame = f'<a:graphic><a:graphicData uri="x">{shown}</a:graphicData></a:graphic>'
        data = pptx(f"<p:graphicFrame>{properties}{frame}</p:graphicFrame>")
        folder, relations = "ppt/slides", "ppt/slides/_rels/slide2.xml.rels"
    out = io.BytesIO()
    relation = '<Relationship Id="r9" Type="x/kind" Target="more/part.xml"/></Relationships>'
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            content = before.read(name).decode()
            after.writestr(name, content.replace("</Relationships>", relation) if name == relations else content)
        after.writestr(f"{folder}/more/part.xml", part)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["docx", "pptx"])
def test_charts_are_read_as_tables_and_diagrams_as_lists(kind: str) -> None:
    chart = f'<c:chart xmlns:c="{_SCHEMAS}/drawingml/2006/chart" {_R} r:id="r9"/>'
    diagram = f'<dgm:relIds xmlns:dgm="{_SCHEMAS}/drawingml/2006/diagram" {_R} r:dm="r9"/>'

    table = "Sales by region\n\n|  | 2024 |\n| --- | --- |\n| North | 310 |\n| South | 290 |"
    assert table in _text(kind, _with_part(kind, chart, _CHART))
    assert "- Drain it first.\n- Then close it." in _text(kind, _with_part(kind, diagram, _DIAGRAM))


def _box(text: str) -> str:
    content = f"<w:txbxContent><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:txbxContent>"
    old = f"<w:pict><v:textbox>{content}</v:textbox></w:pict>"
    new = f"<mc:Choice><w:drawing>{content}</w:drawing></mc:Choice><mc:Fallback>{old}</mc:Fallback>"
    return f"<w:r><mc:AlternateContent {_MC}>{new}</mc:AlternateContent></w:r>"


def test_text_boxes_of_a_paragraph_are_all_read_and_each_once() -> None:
    text = _text("docx", docx(f"<w:p><w:r><w:t>Anchor.</w:t></w:r>{_box('First box.')}{_box('Second box.')}</w:p>"))

    assert "Anchor.\n\nFirst box.\n\nSecond box." in text
    assert text.count("box.") == 2


def test_shape_that_stands_there_again_for_old_readers_is_read_once() -> None:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="S"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody>'
        "<a:bodyPr/><a:p><a:r><a:t>Said once.</a:t></a:r></a:p></p:txBody></p:sp>"
    )
    both = f"<mc:Choice>{shape}</mc:Choice><mc:Fallback>{shape}</mc:Fallback>"

    assert _text("pptx", pptx(f"<mc:AlternateContent {_MC}>{both}</mc:AlternateContent>")).count("Said once.") == 1


def _math(inner: str) -> str:
    return f'<w:p xmlns:m="{_SCHEMAS}/officeDocument/2006/math"><m:oMath>{inner}</m:oMath></w:p>'


@pytest.mark.parametrize(
    ("inner", "written"),
    [
        (
            "<m:sSup><m:e><m:d><m:e><m:r><m:t>a+b</m:t></m:r></m:e></m:d></m:e>"
            "<m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>",
            "(a+b)^2",
        ),
        (
            '<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub><m:r><m:t>i=1</m:t></m:r></m:sub>'
            "<m:sup><m:r><m:t>n</m:t></m:r></m:sup><m:e><m:r><m:t>x</m:t></m:r></m:e></m:nary>",
            "∑_(i=1)^n x",
        ),
        (
            '<m:d><m:dPr><m:begChr m:val="["/><m:endChr m:val="]"/></m:dPr><m:e><m:r><m:t>0</m:t></m:r></m:e>'
            "<m:e><m:r><m:t>1</m:t></m:r></m:e></m:d>",
            "[0|1]",
        ),
    ],
)
def test_formula_keeps_what_holds_it_together(inner: str, written: str) -> None:
    assert written in _text("docx", docx(_math(inner)))


def test_word_with_its_reading_beside_it_is_that_word() -> None:
    def run(text: str) -> str:
        return f"<w:r><w:t>{text}</w:t></w:r>"

    ruby = f"<w:r><w:ruby><w:rt>{run('かん')}</w:rt><w:rubyBase>{run('漢')}</w:rubyBase></w:ruby></w:r>"

    assert "漢字" in _text("docx", docx(f"<w:p>{ruby}{run('字')}</w:p>"))


def _workbook(cells: str, hidden: str = "") -> bytes:
    """A workbook with a sheet of cells, and one that is hidden; its styles show durations, and five digits."""
    main = f"{_SCHEMAS}/spreadsheetml/2006/main"
    states = {"Shown": "", "Secret": f' state="{hidden}"' if hidden else ""}
    sheets = "".join(
        f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"{state}/>'
        for at, (name, state) in enumerate(states.items(), 1)
    )
    secret = '<row r="1"><c r="A1" t="inlineStr"><is><t>Salary</t></is></c><c r="B1"><v>99</v></c></row>'
    styles = (
        '<numFmts><numFmt numFmtId="164" formatCode="00000"/></numFmts><fonts><font/></fonts><fills><fill/></fills>'
        '<borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="46"/>'
        '<xf numFmtId="164"/></cellXfs>'
    )
    parts = {
        "xl/workbook.xml": (
            "spreadsheetml.sheet.main",
            f'<workbook xmlns="{main}" {_R}><sheets>{sheets}</sheets></workbook>',
        ),
        "xl/styles.xml": ("spreadsheetml.styles", f'<styleSheet xmlns="{main}">{styles}</styleSheet>'),
    }
    for at, rows in enumerate((cells, secret), 1):
        sheet = f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>'
        parts[f"xl/worksheets/sheet{at}.xml"] = ("spreadsheetml.worksheet", sheet)
    related = {f"worksheets/sheet{at}.xml": "worksheet" for at in (1, 2)} | {"styles.xml": "styles"}
    return office_file("xl/workbook.xml", parts, {"xl/workbook.xml": related})


def _row(at: int, name: str, value: float, style: int = 0) -> str:
    named = f'<c r="A{at}" t="inlineStr"><is><t>{name}</t></is></c>'
    return f'<row r="{at}">{named}<c r="B{at}" s="{style}"><v>{value}</v></c></row>'


@pytest.mark.parametrize("hidden", ["hidden", "veryHidden"])
def test_hidden_sheet_is_left_out(hidden: str) -> None:
    cells = _row(1, "Nut", 7)

    assert "Salary" not in _text("xlsx", _workbook(cells, hidden))
    assert "Nut" in _text("xlsx", _workbook(cells, hidden))
    assert "Salary" in _text("xlsx", _workbook(cells))


def test_durations_and_numbers_of_so_many_digits_are_read_as_they_are_shown() -> None:
    text = _text("xlsx", _workbook(_row(1, "Kind", 1) + _row(2, "Run", 1.5, 1) + _row(3, "Code", 1069, 2)))

    assert "| Run | 36:00:00 |" in text
    assert "| Code | 01069 |" in text


def test_table_within_a_cell_of_word_stays_in_it() -> None:
    def table(*rows: tuple[str, ...]) -> str:
        cells = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
        return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"

    def said(*texts: str) -> tuple[str, ...]:
        return tuple(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in texts)

    short = table(said("Head", "3 m"), said("Flow", "20 l/s"))
    long = table(
        said("No", "Head", "Flow"), *(said(str(at), f"{at} metres", "as much as there is") for at in range(12))
    )
    body = table(said("Pump", "Limits"), (*said("Wren"), short), (*said("Tarn"), long))

    text = read("docx", docx(body), _BOUNDS).text

    assert "| Pump | Limits |\n| --- | --- |\n| Wren | Head: 3 m; Flow: 20 l/s |\n| Tarn |  |\n\n| No | Head |" in text
    assert "| 11 | 11 metres | as much as there is |\n" in text


def test_table_within_a_cell_of_an_opendocument_text_stays_in_it() -> None:
    def table(*rows: tuple[str, ...]) -> str:
        cells = ("".join(f"<table:table-cell>{cell}</table:table-cell>" for cell in row) for row in rows)
        return f"<table:table>{''.join(f'<table:table-row>{row}</table:table-row>' for row in cells)}</table:table>"

    def said(*texts: str) -> tuple[str, ...]:
        return tuple(f"<text:p>{text}</text:p>" for text in texts)

    inner = table(said("Pump", "Head", "Flow"), said("Wren", "", "20 l/s"))
    body = table(said("Maker", "Pumps", "Since"), (*said("Acme"), inner, *said("1990")))

    assert read("odt", opendocument("text", body), _BOUNDS).text.endswith("| Acme | Pump: Wren, Flow: 20 l/s | 1990 |")
