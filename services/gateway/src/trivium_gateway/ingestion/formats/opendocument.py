"""OpenDocument texts and presentations."""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken, encrypted
from trivium_gateway.ingestion.formats.cell_forms import UNIT_BREAK
from trivium_gateway.ingestion.formats.packages import Package, local_name, parse_xml
from trivium_gateway.ingestion.html_inline import inline_form
from trivium_gateway.ingestion.markdown_tables import cell_text

__all__ = ["cell_forms_of", "merged_ranges", "read_odp", "read_odt"]

_WHAT = "OpenDocument file"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DROPPED = frozenset(("tracked-changes", "sequence-decls", "annotation", "table-of-content", "forms", "settings"))
_ROW_GROUPS = frozenset(("table-header-rows", "table-rows", "table-row-group"))
_MOST_REPEATS = 1000
_MOST_FORMS = 100_000
_HAS_FORMS = re.compile(rb'value-type="(?:percentage|currency)"')
_AROUND = re.compile(r"([^\d-]{0,20})-?\d[\d.,'\s]{0,40}?([^\d.,']{0,20})")
_MOST_DEPTH = 60


def read_odt(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a text: headings, paragraphs, lists with their numbers, tables, notes."""
    file = _File(data, bounds)
    body = file.body("text")
    file.blocks_of(body, 0)
    file.add_notes()
    return file.title(), file.blocks.text()


def read_odp(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a presentation: each slide under a heading with its number, its text, tables and notes."""
    file = _File(data, bounds)
    slides = list(file.body("presentation").iter(f"{_DRAW}page"))
    bounds.check_pages(len(slides), "slides")
    for number, slide in enumerate(slides, 1):
        frames = [each for each in slide.iter() if each.get(f"{_PRESENTATION}class") == "title"]
        title = " ".join(file.text(each) for frame in frames for each in frame.iter(f"{_TEXT}p"))
        file.blocks.heading(2, f"Slide {number}: {title}" if title.strip() else f"Slide {number}")
        for part in slide:
            if part.tag == f"{_PRESENTATION}notes":
                said = "\n".join(file.text(each) for each in part.iter(f"{_TEXT}p")).strip()
                if said:
                    file.blocks.heading(3, f"Notes to slide {number}")
                    file.blocks.paragraph(said)
            elif part not in frames:
                file.blocks_of(part, 0)
    file.add_notes()
    return file.title(), file.blocks.text()


class _File:
    def __init__(self, data: bytes, bounds: Bounds) -> None:
        self._package = Package(data, _WHAT)
        if "META-INF/manifest.xml" in self._package.names and b"encryption-data" in self._package.read(
            "META-INF/manifest.xml"
        ):
            raise encrypted()
        self._content = self._package.xml("content.xml")
        self.blocks = Blocks(bounds)
        self._first_heading = ""
        self._notes: list[str] = []
        roots = [self._content]
        if "styles.xml" in self._package.names:
            roots.append(self._package.xml("styles.xml"))
        self._numbered, self._raised = _list_styles(roots), _raised_styles(roots)

    def body(self, kind: str) -> Element:
        found = next(self._content.iter(f"{_OFFICE}{kind}"), None)
        if found is None:
            raise broken(_WHAT)
        return found

    def title(self) -> str:
        own = ""
        if "meta.xml" in self._package.names:
            titles = (each for each in self._package.xml("meta.xml").iter() if local_name(each) == "title")
            own = next((each.text or "" for each in titles), "")
        return own or self._first_heading

    def blocks_of(self, parent: Element, depth: int) -> None:
        for element in parent if depth < _MOST_DEPTH else ():
            name = local_name(element)
            if element.tag == f"{_TEXT}h":
                text = self.text(element)
                self._first_heading = self._first_heading or text.strip()
                level = element.get(f"{_TEXT}outline-level", "1")
                self.blocks.heading(int(level) if level.isdigit() else 1, text)
            elif element.tag == f"{_TEXT}p":
                self.blocks.paragraph(self.text(element))
                for box in element.iter(f"{_DRAW}text-box"):
                    self.blocks_of(box, depth + 1)
            elif name == "list":
                self._list(element, 0, element.get(f"{_TEXT}style-name", ""), {})
            elif name == "table":
                self._table(element, depth)
            elif name not in _DROPPED:
                self.blocks_of(element, depth + 1)

    def add_notes(self) -> None:
        for note in self._notes:
            self.blocks.paragraph(note)

    def text(self, element: Element) -> str:
        return "".join(self._pieces(element, ""))

    def _pieces(self, element: Element, before: str) -> Iterator[str]:
        yield element.text or ""
        before += element.text or ""
        for child in element:
            said = self._inline(child, before)
            yield said
            yield child.tail or ""
            before = (before + said + (child.tail or ""))[-40:]

    def _inline(self, child: Element, before: str) -> str:
        match local_name(child):
            case "s":
                return " " * min(int(child.get(f"{_TEXT}c", "1")), _MOST_REPEATS)
            case "tab":
                return "\t"
            case "line-break":
                return "\n"
            case "note":
                mark = next((each.text or "" for each in child.iter(f"{_TEXT}note-citation")), "")
                body = " ".join(self.text(each) for each in child.iter(f"{_TEXT}p"))
                self._notes.append(f"[^{mark}]: {body}")
                return f"[^{mark}]"
            case "span":
                text = "".join(self._pieces(child, before))
                raised = self._raised.get(child.get(f"{_TEXT}style-name", ""))
                return inline_form(raised, text.strip(), before, is_link=False) if raised and text.strip() else text
            case "text-box" | "frame" | "annotation":
                return ""
        return "".join(self._pieces(child, before))

    def _list(self, element: Element, depth: int, style: str, counts: dict[int, int]) -> None:
        style = element.get(f"{_TEXT}style-name", style)
        form = self._numbered.get((style, depth + 1))
        count = form[2] - 1 if form else 0
        for item in element if depth < _MOST_DEPTH else ():
            is_first = True
            for child in item:
                if local_name(child) == "list":
                    self._list(child, depth + 1, style, counts)
                elif local_name(child) in ("p", "h"):
                    text = self.text(child)
                    if is_first and local_name(item) == "list-item":
                        count += 1
                        counts[depth] = count
                    marker = _marker(form, depth, counts) if is_first else " "
                    self.blocks.item(depth, marker, text)
                    is_first = False
                elif local_name(child) == "table":
                    self._table(child, depth)

    def _table(self, table: Element, depth: int) -> None:
        """Add a table, and those within its cells that are too long for them."""
        long: list[list[list[str]]] = []
        rows = list(self._rows(table, depth, long))
        for each in [rows, *long]:
            self.blocks.table(each)

    def _cell(self, cell: Element, depth: int, long: list[list[list[str]]]) -> str:
        texts: list[str] = []
        for element in cell:
            if local_name(element) == "table" and depth < _MOST_DEPTH:
                texts.append(cell_text(list(self._rows(element, depth + 1, long)), long))
            else:
                texts += [self.text(each) for each in element.iter(f"{_TEXT}p")]
        return " ".join(filter(None, texts))

    def _rows(self, table: Element, depth: int, long: list[list[list[str]]]) -> Iterator[list[str]]:
        """Give a table's cells; what is merged stands in each cell that it covers."""
        above: dict[int, tuple[int, str]] = {}
        for row in _table_rows(table):
            cells: list[str] = []
            covered: str = ""
            for cell in row:
                repeats = min(int(cell.get(f"{_TABLE}number-columns-repeated", "1")), _MOST_REPEATS)
                for _ in range(repeats):
                    left, text = above.get(len(cells), (0, ""))
                    if local_name(cell) == "covered-table-cell":
                        cells.append(text if left else covered)
                    else:
                        covered = self._cell(cell, depth, long)
                        left = int(cell.get(f"{_TABLE}number-rows-spanned", "1"))
                        width = min(int(cell.get(f"{_TABLE}number-columns-spanned", "1")), _MOST_REPEATS)
                        above.update((len(cells) + offset, (left, covered)) for offset in range(width))
                        cells.append(covered)
            above = {column: (left - 1, text) for column, (left, text) in above.items() if left > 1}
            yield cells


def _table_rows(parent: Element) -> Iterator[Element]:
    for element in parent:
        if element.tag == f"{_TABLE}table-row":
            yield element
        elif local_name(element) in _ROW_GROUPS:
            yield from _table_rows(element)


def merged_ranges(package: Package) -> dict[str, list[tuple[tuple[int, int], tuple[int, int]]]]:
    """Find the merged cells of a spreadsheet: by sheet, the first and the last row and column of each."""
    written = package.read("content.xml")
    if b"-spanned=" not in written:
        return {}
    found: dict[str, list[tuple[tuple[int, int], tuple[int, int]]]] = {}
    for table in parse_xml(written, _WHAT).iter(f"{_TABLE}table"):
        ranges = found.setdefault(table.get(f"{_TABLE}name", ""), [])
        top = 0
        for row in _table_rows(table):
            left = 0
            for cell in row:
                height, width = (int(cell.get(f"{_TABLE}number-{each}-spanned", "1")) for each in ("rows", "columns"))
                if height > 1 or width > 1:
                    ranges.append(((top, left), (top + height - 1, left + width - 1)))
                left += int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
            top += int(row.get(f"{_TABLE}number-rows-repeated", "1"))
    return found


def cell_forms_of(package: Package) -> dict[str, dict[tuple[int, int], str]]:
    """Find the cells of a spreadsheet that show something else than their number; see `cell_forms_in`."""
    written = package.read("content.xml")
    if not _HAS_FORMS.search(written):
        return {}
    found: dict[str, dict[tuple[int, int], str]] = {}
    for table in parse_xml(written, _WHAT).iter(f"{_TABLE}table"):
        forms = found.setdefault(table.get(f"{_TABLE}name", ""), {})
        top = 0
        for row in _table_rows(table):
            height, left = int(row.get(f"{_TABLE}number-rows-repeated", "1")), 0
            for cell in row:
                width = int(cell.get(f"{_TABLE}number-columns-repeated", "1"))
                form = _cell_form(cell)
                if form and height * width <= _MOST_FORMS - len(forms):
                    places = ((top + down, left + right) for down in range(height) for right in range(width))
                    forms.update(dict.fromkeys(places, form))
                left += width
            top += height
    return found


def _cell_form(cell: Element) -> str:
    kind = cell.get(f"{_OFFICE}value-type")
    if kind == "percentage":
        return "%"
    around = _AROUND.fullmatch("".join(cell.itertext()).strip()) if kind == "currency" else None
    return f"{around[1]}{UNIT_BREAK}{around[2]}" if around else ""


def _list_styles(roots: list[Element]) -> dict[tuple[str, int], tuple[str, str, int, int]]:
    """Find the numbered levels of lists: prefix, suffix, start, and how many levels' numbers are shown."""
    found = {}
    for root in roots:
        for style in root.iter(f"{_TEXT}list-style"):
            for level in style.iter(f"{_TEXT}list-level-style-number"):
                key = (style.get(f"{_STYLE}name", ""), int(level.get(f"{_TEXT}level", "1")))
                prefix, suffix = level.get(f"{_STYLE}num-prefix", ""), level.get(f"{_STYLE}num-suffix", "")
                start, shown = level.get(f"{_TEXT}start-value", "1"), level.get(f"{_TEXT}display-levels", "1")
                found[key] = (prefix, suffix or ".", int(start), int(shown))
    return found


def _raised_styles(roots: list[Element]) -> dict[str, str]:
    """Find the styles whose text stands above or below the line."""
    found = {}
    for root in roots:
        for style in root.iter(f"{_STYLE}style"):
            for properties in style.iter(f"{_STYLE}text-properties"):
                position = re.match(r"(super|sub|-?\d+)", properties.get(f"{_STYLE}text-position", ""))
                if position and position[1] != "0":
                    is_below = position[1] == "sub" or position[1].startswith("-")
                    found[style.get(f"{_STYLE}name", "")] = "sub" if is_below else "sup"
    return found


def _marker(form: tuple[str, str, int, int] | None, depth: int, counts: dict[int, int]) -> str:
    if form is None:
        return "-"
    prefix, suffix, _, shown = form
    numbers = ".".join(str(counts.get(each, 1)) for each in range(max(0, depth + 1 - shown), depth + 1))
    return f"{prefix}{numbers}{suffix}"
