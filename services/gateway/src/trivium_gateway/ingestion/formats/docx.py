"""Word documents (Office Open XML)."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken
from trivium_gateway.ingestion.formats.drawings import add_drawings
from trivium_gateway.ingestion.formats.numerals import counted
from trivium_gateway.ingestion.formats.office_math import formula
from trivium_gateway.ingestion.formats.packages import Package, local_name, shown_in
from trivium_gateway.ingestion.formats.symbol_font import OF_SYMBOL_FONT
from trivium_gateway.ingestion.html_inline import inline_form
from trivium_gateway.ingestion.markdown_tables import cell_text

__all__ = ["read_docx"]

_WHAT = "Word document"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_VALUE = f"{_W}val"
_HEADING_STYLE = re.compile(r"heading\s*(\d)|(title)\Z", re.I)
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{4}")
_BULLETS = frozenset(("bullet", "none", ""))
_PASSED_THROUGH = frozenset(("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml", "hyperlink", "fldSimple"))
_MOST_DEPTH = 40


def read_docx(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a document: headings, paragraphs, numbered and other lists, tables, notes, text boxes, charts, diagrams.

    Headers and footers of pages, comments and what was deleted under tracked changes are left out.
    """
    package = Package(data, _WHAT)
    main = next((part for kind, part in package.related("").values() if kind == "officeDocument"), "word/document.xml")
    related = package.related(main)
    parts = dict(related.values())
    reader = _Document(package, related, parts, bounds)
    body = package.xml(main).find(f"{_W}body")
    if body is None:
        raise broken(_WHAT)
    reader.blocks_of(body)
    reader.notes(parts)
    return package.office_title() or reader.first_heading, reader.blocks.text()


@dataclass(slots=True)
class _Style:
    level: int = 0
    numbering: tuple[str, int] | None = None


@dataclass(slots=True)
class _Level:
    form: str
    pattern: str
    start: int


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def next_marker(self, depth: int) -> str:
        level = self.levels.get(depth, _Level("bullet", "", 1))
        if level.form in _BULLETS:
            return "-"
        self.counts[depth] = self.counts.get(depth, level.start - 1) + 1
        for deeper in [each for each in self.counts if each > depth]:
            del self.counts[deeper]
        if level.form == "decimal":
            return re.sub(r"%(\d)", lambda match: str(self._count(int(match[1]) - 1)), level.pattern) or "-"
        return re.sub(r"%\d", counted(self.counts[depth], level.form), level.pattern) or "-"

    def _count(self, depth: int) -> int:
        level = self.levels.get(depth)
        return self.counts.get(depth, level.start if level else 1)


class _Document:
    def __init__(
        self, package: Package, related: dict[str, tuple[str, str]], parts: dict[str, str], bounds: Bounds
    ) -> None:
        self.blocks = Blocks(bounds)
        self.first_heading = ""
        self._package = package
        self._related = related
        self._styles = self._read_styles(parts.get("styles", ""))
        self._lists = self._read_lists(parts.get("numbering", ""))

    def blocks_of(self, parent: Element, depth: int = 0) -> None:
        for element in _content(parent, depth):
            if element.tag == f"{_W}p":
                self._paragraph(element)
            elif element.tag == f"{_W}tbl":
                long: list[list[list[str]]] = []  # those within its cells that are too long for them
                for rows in [self._rows(element, depth, long), *long]:
                    self.blocks.table(rows)

    def notes(self, parts: dict[str, str]) -> None:
        for kind, mark in (("footnotes", ""), ("endnotes", "e")):
            if kind not in parts:
                continue
            for note in self._package.xml(parts[kind]):
                if note.get(f"{_W}type") in (None, "normal"):
                    text = " ".join(self._text(paragraph) for paragraph in note.iter(f"{_W}p")).strip()
                    if text:
                        self.blocks.paragraph(f"[^{mark}{note.get(f'{_W}id')}]: {text}")

    def _paragraph(self, element: Element) -> None:
        properties = element.find(f"{_W}pPr")
        style = self._styles.get(_value(properties, "pStyle"), _Style())
        outline = _value(properties, "outlineLvl")
        level = int(outline) + 1 if outline.isdigit() and int(outline) < 9 else style.level
        text = self._text(element)
        numbering = self._numbering(properties) or style.numbering
        marker, depth = "", 0
        if numbering is not None and text.strip():
            depth = numbering[1]
            marker = self._lists[numbering[0]].next_marker(depth)
        if level:
            self.first_heading = self.first_heading or text.strip()
            self.blocks.heading(level, f"{marker} {text}" if marker not in ("", "-") else text)
        elif marker:
            self.blocks.item(depth, marker, text)
        else:
            self.blocks.paragraph(text)
        add_drawings(shown_in(element), self._package, self._related, self.blocks)
        for box in _text_boxes(element):
            self.blocks_of(box, 1)

    def _text(self, paragraph: Element) -> str:
        pieces = ""
        for run in _runs(paragraph, 0):
            if local_name(run) == "oMath":
                pieces += formula(run)
                continue
            properties = run.find(f"{_W}rPr")
            if _is_on(properties, "vanish"):
                continue
            text = "".join(_run_text(run)).translate(OF_SYMBOL_FONT)
            raised = _value(properties, "vertAlign")
            if text.strip() and raised in ("superscript", "subscript"):
                is_note = text.startswith("[^")
                text = text if is_note else inline_form(raised[:3], text.strip(), pieces[-40:], is_link=False)
            pieces += text
        return pieces

    def _cell(self, cell: Element, depth: int, long: list[list[list[str]]]) -> str:
        texts: list[str] = []
        for element in _content(cell, depth):
            if element.tag == f"{_W}tbl" and depth < _MOST_DEPTH:
                texts.append(cell_text(self._rows(element, depth + 1, long), long))
            else:
                texts += [self._text(each) for each in element.iter(f"{_W}p")]
        return " ".join(filter(None, texts))

    def _rows(self, table: Element, depth: int, long: list[list[list[str]]]) -> list[list[str]]:
        rows: list[list[str]] = []
        above: dict[int, str] = {}
        for row in table.iter(f"{_W}tr") if depth > _MOST_DEPTH else _content(table, depth):
            if row.tag != f"{_W}tr":
                continue
            cells: list[str] = [""] * int(_value(row.find(f"{_W}trPr"), "gridBefore") or 0)
            for cell in _content(row, depth):
                if cell.tag != f"{_W}tc":
                    continue
                properties = cell.find(f"{_W}tcPr")
                merge = properties.find(f"{_W}vMerge") if properties is not None else None
                text = self._cell(cell, depth, long)
                if merge is not None and merge.get(_VALUE) != "restart":
                    text = above.get(len(cells), "")
                span = _value(properties, "gridSpan")
                column = len(cells)
                cells += [text] * min(int(span) if span.isdigit() else 1, 1000)
                above[column] = text
            rows.append(cells)
        return rows

    def _numbering(self, properties: Element | None) -> tuple[str, int] | None:
        numbering = properties.find(f"{_W}numPr") if properties is not None else None
        number, depth = _value(numbering, "numId"), _value(numbering, "ilvl")
        if number in ("", "0") or number not in self._lists:
            return None
        return number, int(depth) if depth.isdigit() else 0

    def _read_styles(self, part: str) -> dict[str, _Style]:
        styles: dict[str, _Style] = {}
        if part not in self._package.names:
            return styles
        for element in self._package.xml(part).iter(f"{_W}style"):
            name = _HEADING_STYLE.match(_value(element, "name"))
            properties = element.find(f"{_W}pPr")
            outline = _value(properties, "outlineLvl")
            based_on = styles.get(_value(element, "basedOn"), _Style())
            level = int(name[1] or 1) if name else int(outline) + 1 if outline.isdigit() else based_on.level
            numbering = properties.find(f"{_W}numPr") if properties is not None else None
            number, depth = _value(numbering, "numId"), _value(numbering, "ilvl")
            own = (number, int(depth) if depth.isdigit() else max(0, level - 1)) if number else based_on.numbering
            styles[element.get(f"{_W}styleId", "")] = _Style(level if level <= 9 else 0, own)
        return styles

    def _read_lists(self, part: str) -> dict[str, _List]:
        lists: dict[str, _List] = defaultdict(_List)
        if part not in self._package.names:
            return lists
        root = self._package.xml(part)
        shared: dict[str, dict[int, _Level]] = {}
        for definition in root.iter(f"{_W}abstractNum"):
            shared[definition.get(f"{_W}abstractNumId", "")] = _levels(definition)
        counts: dict[str, dict[int, int]] = defaultdict(dict)
        for number in root.iter(f"{_W}num"):
            base = _value(number, "abstractNumId")
            levels = dict(shared.get(base, {}))
            begins_anew = False
            for change in number.iter(f"{_W}lvlOverride"):
                depth, start = int(change.get(f"{_W}ilvl", "0")), _value(change, "startOverride")
                old = levels.get(depth, _Level("decimal", f"%{depth + 1}.", 1))
                levels[depth] = _Level(old.form, old.pattern, int(start) if start.isdigit() else old.start)
                begins_anew = begins_anew or bool(start)
            # Lists of one definition go on counting where the last one ended, unless one says where it begins.
            lists[number.get(f"{_W}numId", "")] = _List(levels, {} if begins_anew else counts[base])
        return lists


def _levels(definition: Element) -> dict[int, _Level]:
    levels = {}
    for level in definition.iter(f"{_W}lvl"):
        start = _value(level, "start")
        levels[int(level.get(f"{_W}ilvl", "0"))] = _Level(
            _value(level, "numFmt"), _value(level, "lvlText"), int(start) if start.isdigit() else 1
        )
    return levels


def _content(parent: Element, depth: int) -> Iterator[Element]:
    """Give what stands in a part, also in what only encloses it: content controls, insertions."""
    for element in parent:
        if local_name(element) in _PASSED_THROUGH and depth < _MOST_DEPTH:
            yield from _content(element, depth + 1)
        else:
            yield element


def _text_boxes(parent: Element) -> Iterator[Element]:
    """Give the text boxes in a paragraph, but not those in them, nor the same once more for old readers."""
    for element in parent:
        if element.tag == f"{_W}txbxContent":
            yield element
        elif local_name(element) != "Fallback":
            yield from _text_boxes(element)


def _runs(paragraph: Element, depth: int) -> Iterator[Element]:
    for element in _content(paragraph, depth):
        if element.tag == f"{_W}r" or local_name(element) == "oMath":
            yield element
        elif local_name(element) == "oMathPara":
            yield from (each for each in element if local_name(each) == "oMath")


def _run_text(run: Element) -> Iterator[str]:
    for element in run:
        match local_name(element):
            case "t":
                yield element.text or ""
            case "tab":
                yield "\t"
            case "br" | "cr":
                yield "\n"
            case "noBreakHyphen":
                yield "-"
            case "rubyBase" | "ruby":  # what is read aloud stands beside it
                yield from (text for part in element if local_name(part) != "rt" for text in _run_text(part))
            case "r":
                yield from _run_text(element)
            case "sym" if (code := element.get(f"{_W}char", "")) and _HEXADECIMAL.fullmatch(code):
                yield chr(int(code, 16))
            case "footnoteReference":
                yield f"[^{element.get(f'{_W}id')}]"
            case "endnoteReference":
                yield f"[^e{element.get(f'{_W}id')}]"
            case "drawing":
                about = next((each.get("descr", "") for each in element.iter() if local_name(each) == "docPr"), "")
                yield f"[{about}]" if about else ""


def _is_on(properties: Element | None, name: str) -> bool:
    element = properties.find(f"{_W}{name}") if properties is not None else None
    return element is not None and element.get(_VALUE, "") not in ("0", "false", "off")


def _value(parent: Element | None, name: str) -> str:
    element = parent.find(f"{_W}{name}") if parent is not None else None
    return element.get(_VALUE, "") if element is not None else ""
