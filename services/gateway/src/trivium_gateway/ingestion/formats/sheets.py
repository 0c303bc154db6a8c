"""Workbooks: Excel's (Office Open XML) and OpenDocument's."""

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence

import python_calamine
from python_calamine import CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken, encrypted, too_much
from trivium_gateway.ingestion.formats.cell_forms import UNIT_BREAK, cell_forms_in, raised_texts_in
from trivium_gateway.ingestion.formats.opendocument import cell_forms_of, merged_ranges
from trivium_gateway.ingestion.formats.packages import Package

__all__ = ["add_table", "read_sheets"]

_MOST_CELLS = 5_000_000
_MOST_MERGED_CELLS = 100_000

_LONG_RUN = re.compile(rb'(number-rows-repeated=")\d{4,}')
"""Rows that are the same a thousand times are enough: workbooks fill sheets with a million of them."""
_NEEDED = frozenset(("mimetype", "META-INF/manifest.xml"))

_Range = tuple[tuple[int, int], tuple[int, int]]


def read_sheets(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a workbook: each sheet under a heading with its name, as a table; merged cells repeat what they say.

    Formulas give the value that was saved. Hidden sheets, charts and comments are left out.
    """
    package = Package(data, "workbook")
    is_open = "content.xml" in package.names
    if is_open and _LONG_RUN.search(content := package.read("content.xml")):
        data = _with_content(_LONG_RUN.sub(rb"\g<1>1000", content), package)
        package = Package(data, "workbook")
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError as error:
        raise encrypted() from error
    except python_calamine.CalamineError as error:
        raise broken("workbook") from error
    names = [sheet.name for sheet in workbook.sheets_metadata if sheet.visible is SheetVisibleEnum.Visible]
    bounds.check_pages(len(names), "sheets")
    blocks = Blocks(bounds)
    # Of OpenDocument's sheets the library does not say which cells are merged.
    merged = merged_ranges(package) if is_open else {}
    forms = cell_forms_of(package) if is_open else cell_forms_in(package)
    raised = raised_texts_in(package)
    for name in names:
        sheet = workbook.get_sheet_by_name(name)
        if sheet.total_height * sheet.total_width > _MOST_CELLS:
            raise too_much(f"a sheet of {sheet.total_height} rows and {sheet.total_width} columns")
        rows = _cells(sheet, sheet.merged_cell_ranges or merged.get(name) or (), forms.get(name, {}), raised)
        if rows:
            blocks.heading(2, f"Sheet {name}")
            add_table(rows, blocks)
    return package.office_title() if "docProps/core.xml" in package.names else "", blocks.text()


def _with_content(content: bytes, package: Package) -> bytes:
    """Pack an OpenDocument workbook anew, with other content."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in _NEEDED & package.names:
            archive.writestr(name, package.read(name))
        archive.writestr("content.xml", content)
    return packed.getvalue()


def add_table(rows: Sequence[Sequence[str]], blocks: Blocks) -> None:
    """Add a sheet's rows: each run of them between blank rows as a table, and single cells before it as text."""
    table: list[Sequence[str]] = []
    for row in [*rows, ()]:
        if not (row or table):
            continue
        filled = [cell for cell in row if cell.strip()]
        if len(filled) > 1 or (filled and table):
            table.append(row)
        elif filled:
            blocks.paragraph(filled[0])
        elif table:
            _add_rows(table, blocks)
            table = []


def _add_rows(table: list[Sequence[str]], blocks: Blocks) -> None:
    used = [column for column in range(max(map(len, table))) if any(len(r) > column and r[column] for r in table)]
    blocks.table([[row[column] if column < len(row) else "" for column in used] for row in table])


def _cells(
    sheet: CalamineSheet,
    merged: Iterable[_Range],
    forms: Mapping[tuple[int, int], str],
    raised: Mapping[str, str],
) -> list[list[str]]:
    values = sheet.to_python(skip_empty_area=False)
    blank = [""] * (len(values[0]) if values else 0)
    rows = [[] if row == blank else [_written(value) for value in row] for row in values]
    if raised:
        rows = [[raised.get(cell, cell) for cell in row] for row in rows]
    for (at, column), form in forms.items():
        if at < len(values) and column < len(values[at]) and isinstance(value := values[at][column], float):
            rows[at][column] = _shown(value, rows[at][column], form)
    left = _MOST_MERGED_CELLS
    for (top, first), (bottom, last) in merged:
        left -= (min(bottom, len(rows) - 1) - top + 1) * (last - first + 1)
        if left < 0:
            break
        # What is merged over the whole width is a caption, and needs no repetition.
        if (first == 0 and last >= len(blank) - 1) or not (top < len(rows) and rows[top]):
            continue
        for at in range(top, min(bottom + 1, len(rows))):
            rows[at] = rows[at] or blank.copy()
            rows[at][first : last + 1] = [rows[top][first]] * len(rows[at][first : last + 1])
    return rows


def _shown(value: float, written: str, form: str) -> str:
    if form == "%":
        return f"{value * 100:.12g}%"
    return form.replace(UNIT_BREAK, written) if UNIT_BREAK in form else written.zfill(len(form))


def _written(value: object) -> str:
    """Write a value as people do: no `.0` behind whole numbers, no midnight behind dates, no exponents in long ones."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        is_day = value.time() == datetime.time()
        return value.date().isoformat() if is_day else value.isoformat(" ", "seconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):  # of more than a day, too, as it is shown
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(value)
