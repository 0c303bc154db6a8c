"""The lines of a PDF page: characters where the page has them, and what was filled into its form."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import hypot

import pypdfium2.raw as pdfium
from pypdfium2 import PdfDocument, PdfPage, PdfTextPage

from trivium_gateway.ingestion.pdf_direction import (
    Glyph,
    is_mostly_right_to_left,
    is_right_to_left,
    reading_order,
)
from trivium_gateway.ingestion.pdf_grids import Grid, grids_of, place_in
from trivium_gateway.ingestion.pdf_line_builder import CELL_GAP, ODD, Line, LineBuilder, Segment, character_of, joined
from trivium_gateway.ingestion.pdf_rows import with_rows
from trivium_gateway.ingestion.pdf_rules import rules_of
from trivium_gateway.ingestion.pdf_wrapped import with_wrapped_rows

__all__ = ["Line", "Segment", "lines_of"]

_MOST_VALUE_CHARACTERS = 10_000
_CHOSEN, _NOT_CHOSEN = "[x]", "[ ]"


def lines_of(document: PdfDocument, page: PdfPage) -> list[Line]:
    """Read a page's lines in the order that the file suggests, values of form fields where they are shown."""
    shown = _shown(page)
    grids = grids_of(*rules_of(page, shown))
    lines, from_right = _text_lines(page, shown, grids)
    lines = joined([line for line in lines if line.segments])
    for value in _form_values(document, page, shown):
        _add_value(lines, value, grids)
    lines = with_rows(lines, grids, from_right=from_right)
    return lines if from_right else with_wrapped_rows(lines, len(grids))


_Shown = Callable[[float, float, float, float], tuple[float, float, float, float]]
"""From left, right, bottom and top in a page's own space to these on the page as it is shown."""


def _shown(page: PdfPage) -> _Shown:
    """Follow how a page is turned, as wide tables are, and where its visible part begins."""
    left, bottom, right, top = page.get_bbox()
    turns: dict[int, _Shown] = {
        0: lambda x0, x1, y0, y1: (x0 - left, x1 - left, y0 - bottom, y1 - bottom),
        90: lambda x0, x1, y0, y1: (y0 - bottom, y1 - bottom, right - x1, right - x0),
        180: lambda x0, x1, y0, y1: (right - x1, right - x0, top - y1, top - y0),
        270: lambda x0, x1, y0, y1: (top - y1, top - y0, x0 - left, x1 - left),
    }
    return turns[page.get_rotation()]


def _text_lines(page: PdfPage, shown: _Shown, grids: Sequence[Grid]) -> tuple[list[Line], bool]:
    """Read lines, none of which reaches from one cell into another; and whether the page is read from right to left."""
    text_page = page.get_textpage()
    try:
        builder = LineBuilder()
        lines: list[Line] = []
        starts: list[int] = []
        box = [ctypes.c_double() for _ in range(4)]
        left, right, bottom, top = box
        references = [ctypes.byref(value) for value in box]
        count, begin, written = text_page.count_chars(), 0, 0
        for index in range(count):
            code = pdfium.FPDFText_GetUnicode(text_page, index)
            if code in (10, 13):
                if builder.line.segments:
                    lines.append(builder.take())
                    starts.append(begin)
                begin = index + 1
                continue
            pdfium.FPDFText_GetCharBox(text_page, index, *references)
            place = shown(left.value, right.value, bottom.value, top.value)
            if code > 32:
                cell = place_in(grids, (place[0] + place[1]) / 2, (place[2] + place[3]) / 2) if grids else None
                leaves = builder.is_left_by(place[0], place[3])
                if cell != builder.line.place and builder.line.segments:
                    is_one = _are_one(text_page, written, index)
                    # What is too long for its cell reaches into the next one, or out of the table.
                    leaves = leaves or not builder.is_right_behind(place[0], place[2], is_of_same=is_one)
                if leaves:
                    lines.append(builder.take())
                    starts.append(begin)
                    begin = index
                if not builder.line.segments:
                    builder.line.place = cell
                written = index
            size = baseline = 0.0
            if code > 32 and builder.begins(place[0], place[3]):
                size = _size(text_page, index)
                pdfium.FPDFText_GetCharOrigin(text_page, index, *references[:2])
                baseline = shown(left.value, left.value, right.value, right.value)[2]
            builder.add(code, *place, size, baseline)
        lines.append(builder.take())
        starts.append(begin)
        texts = [line.text for line in lines]
        from_right = is_mostly_right_to_left("".join(texts))
        for line, text, start, end in zip(lines, texts, starts, [*starts[1:], count], strict=True):
            if is_right_to_left(text):
                glyphs = _glyphs(text_page, start, end, shown)
                ordered = reading_order(glyphs, line.size, CELL_GAP, from_right=from_right)
                line.segments = [Segment(*part) for part in ordered]
        return lines, from_right
    finally:
        text_page.close()


def _are_one(text_page: PdfTextPage, index: int, other: int) -> bool:
    """Whether two characters are written as one piece of text."""
    first, second = (pdfium.FPDFText_GetTextObject(text_page, each) for each in (index, other))
    return bool(first and second) and ctypes.addressof(first.contents) == ctypes.addressof(second.contents)


def _size(text_page: PdfTextPage, index: int) -> float:
    """Find the size of a character's type as it is shown, in points."""
    matrix = pdfium.FS_MATRIX()
    size: float = pdfium.FPDFText_GetFontSize(text_page, index)
    return size * hypot(matrix.c, matrix.d) if pdfium.FPDFText_GetMatrix(text_page, index, matrix) else size


def _glyphs(text_page: PdfTextPage, start: int, end: int, shown: _Shown) -> list[Glyph]:
    """Give some characters with all the room that they take, in which those of a word leave no gaps."""
    glyphs = []
    box = pdfium.FS_RECTF()
    for index in range(start, end):
        character = character_of(pdfium.FPDFText_GetUnicode(text_page, index)).translate(ODD)
        if character.strip() and pdfium.FPDFText_GetLooseCharBox(text_page, index, box):
            left, right, _, _ = shown(box.left, box.right, box.bottom, box.top)
            glyphs.append(Glyph(character, left, right))
    return glyphs


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    text: str
    left: float
    right: float
    bottom: float
    top: float


def _form_values(document: PdfDocument, page: PdfPage, shown: _Shown) -> Iterator[_Value]:
    form = document.formenv
    if form is None:
        return
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_WIDGET:
                continue
            text = _value_of(form, annotation)
            rectangle = pdfium.FS_RECTF()
            if text and pdfium.FPDFAnnot_GetRect(annotation, rectangle):
                name = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation) or _string(
                    pdfium.FPDFAnnot_GetFormFieldName, form, annotation
                )
                place = shown(rectangle.left, rectangle.right, rectangle.bottom, rectangle.top)
                yield _Value(name, text, *place)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _value_of(form: object, annotation: object) -> str:
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return _CHOSEN if pdfium.FPDFAnnot_IsChecked(form, annotation) else _NOT_CHOSEN
    if kind in (pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX):
        return " ".join(_string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation).split())
    return ""


def _string(read: object, form: object, annotation: object) -> str:
    length = min(read(form, annotation, None, 0), 2 * _MOST_VALUE_CHARACTERS)  # type: ignore[operator]
    if length <= 2:
        return ""
    buffer = ctypes.create_string_buffer(length)
    read(form, annotation, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), length)  # type: ignore[operator]
    return buffer.raw[: length - 2].decode("utf-16-le", errors="replace").replace("\0", "")


def _add_value(lines: list[Line], value: _Value, grids: Sequence[Grid]) -> None:
    """Put a value into the line that it stands on; without one it gets a line with the field's name."""
    middle = (value.bottom + value.top) / 2
    cell = place_in(grids, (value.left + value.right) / 2, middle)
    beside = [line for line in lines if line.place == cell and line.bottom - 2 <= middle <= line.top + 2]
    segment = Segment(value.text, value.left, value.right)
    if not beside and cell is not None:
        place = next((at for at, line in enumerate(lines) if line.place and line.place[0] == cell[0]), len(lines))
        lines.insert(place, Line([segment], value.bottom, value.top, value.top - value.bottom, cell))
        return
    if not beside:
        label = f"{value.name}: " if value.name else ""
        segment.text = label + value.text
        place = next((at for at, line in enumerate(lines) if line.top < middle), len(lines))
        lines.insert(place, Line([segment], value.bottom, value.top, value.top - value.bottom))
        return
    line = min(beside, key=lambda each: abs((each.bottom + each.top) / 2 - middle))
    if any(
        value.text == one.text and one.left >= value.left - 2 and one.right <= value.right + 2 for one in line.segments
    ):
        return  # it is text of the page, too
    place = next((at for at, one in enumerate(line.segments) if one.left > value.left), len(line.segments))
    before = line.segments[place - 1] if place else None
    if before is not None and (before.text.endswith(":") or value.text in (_CHOSEN, _NOT_CHOSEN)):
        before.text += f" {value.text}"
        before.right = value.right
    else:
        line.segments.insert(place, segment)
