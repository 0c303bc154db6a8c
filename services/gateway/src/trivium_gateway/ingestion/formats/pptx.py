"""PowerPoint presentations (Office Open XML)."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.drawings import add_drawings
from trivium_gateway.ingestion.formats.office_math import formula
from trivium_gateway.ingestion.formats.packages import Package, local_name, shown_in
from trivium_gateway.ingestion.html_inline import inline_form

__all__ = ["read_pptx"]

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TITLES = frozenset(("title", "ctrTitle"))
_AROUND = frozenset(("dt", "ftr", "sldNum", "hdr", "sldImg"))


def read_pptx(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a presentation: each slide under a heading with its number, its text, tables, charts, diagrams and notes.

    What repeats on each slide (date, footer, number) is left out; hidden slides are kept.
    """
    package = Package(data, "PowerPoint presentation")
    main = next(
        (part for kind, part in package.related("").values() if kind == "officeDocument"), "ppt/presentation.xml"
    )
    parts = package.related(main)
    slides = [parts[each.get(_R_ID, "")][1] for each in package.xml(main).iter(f"{_P}sldId")]
    bounds.check_pages(len(slides), "slides")
    blocks = Blocks(bounds)
    first_title = ""
    for number, part in enumerate(slides, 1):
        slide = package.xml(part)
        title = next((_text(shape) for shape in slide.iter(f"{_P}sp") if _placeholder(shape) in _TITLES), "")
        title = " ".join(title.split())
        first_title = first_title or title
        blocks.heading(2, f"Slide {number}: {title}" if title else f"Slide {number}")
        related = package.related(part)
        _add_shapes(slide, package, related, blocks)
        notes = next((name for kind, name in related.values() if kind == "notesSlide"), "")
        if notes:
            shapes = (each for each in package.xml(notes).iter(f"{_P}sp") if _placeholder(each) not in _AROUND)
            said = "\n".join(text for shape in shapes if (text := _text(shape)).strip())
            if said:
                blocks.heading(3, f"Notes to slide {number}")
                blocks.paragraph(said)
    return package.office_title() or first_title, blocks.text()


def _add_shapes(slide: Element, package: Package, related: dict[str, tuple[str, str]], blocks: Blocks) -> None:
    for shape in shown_in(slide):
        if shape.tag == f"{_P}sp" and _placeholder(shape) not in _TITLES | _AROUND:
            for depth, text in _paragraphs(shape):
                if depth or _placeholder(shape) not in ("", "subTitle"):
                    blocks.item(depth, "-", text)
                else:
                    blocks.paragraph(text)
        elif shape.tag == f"{_A}tbl":
            blocks.table(_rows(shape))
        elif shape.tag == f"{_P}pic":
            _add_description(shape, blocks)
        elif shape.tag == f"{_P}graphicFrame" and next(shape.iter(f"{_A}tbl"), None) is None:
            _add_description(shape, blocks)
            add_drawings(shape.iter(), package, related, blocks)


def _add_description(shape: Element, blocks: Blocks) -> None:
    about = next((each.get("descr", "") for each in shape.iter(f"{_P}cNvPr")), "")
    blocks.paragraph(f"[{about}]" if about else "")


def _rows(table: Element) -> list[list[str]]:
    """Give a table's cells; what is merged stands in each cell that it covers."""
    rows: list[list[str]] = []
    for row in table.iter(f"{_A}tr"):
        cells: list[str] = []
        for cell in row.iter(f"{_A}tc"):
            if cell.get("hMerge") in ("1", "true") and cells:
                cells.append(cells[-1])
            elif cell.get("vMerge") in ("1", "true") and rows and len(cells) < len(rows[-1]):
                cells.append(rows[-1][len(cells)])
            else:
                cells.append(_text(cell))
        rows.append(cells)
    return rows


def _placeholder(shape: Element) -> str:
    """Give what a shape is for: empty for one that is no placeholder, `body` for one that does not say."""
    found = next(shape.iter(f"{_P}ph"), None)
    return "" if found is None else found.get("type", "body")


def _text(shape: Element) -> str:
    return "\n".join(text for _, text in _paragraphs(shape))


def _paragraphs(shape: Element) -> Iterator[tuple[int, str]]:
    for paragraph in shape.iter(f"{_A}p"):
        properties = paragraph.find(f"{_A}pPr")
        depth = properties.get("lvl", "0") if properties is not None else "0"
        text = ""
        for run in paragraph:
            said = "".join(each.text or "" for each in run.iter(f"{_A}t"))
            if local_name(run) in ("AlternateContent", "m"):
                said = "".join(formula(each) for each in shown_in(run) if local_name(each) == "oMath")
            style = run.find(f"{_A}rPr")
            raised = int(style.get("baseline", "0")) if style is not None else 0
            if local_name(run) == "br":
                said = "\n"
            elif raised and said.strip():
                said = inline_form("sup" if raised > 0 else "sub", said.strip(), text[-40:], is_link=False)
            text += said
        if text.strip():
            yield int(depth), text
