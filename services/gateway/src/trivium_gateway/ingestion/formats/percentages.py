"""Which cells of a workbook are percentages: Excel stores 0.125 and shows 12.5%."""

import re

from trivium_gateway.ingestion.formats.packages import Package, local_name

__all__ = ["percentages_in"]

_BUILT_IN = frozenset(("9", "10"))
_QUOTED = re.compile(r'"[^"]{0,200}"|\\.|\[[^\[\]]{0,100}\]')
_CELL = re.compile(rb"<(?:\w{1,20}:)?c\s([^>]{1,200})>")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STYLE = re.compile(rb'\bs="(\d{1,6})"')


def percentages_in(package: Package) -> dict[str, set[tuple[int, int]]]:
    """Find them, by the sheet's name: row and column, from 0. Empty for what is no workbook of Excel's."""
    main = next((part for kind, part in package.related("").values() if kind == "officeDocument"), "")
    if not main.endswith(".xml") or main not in package.names:
        return {}
    parts = package.related(main)
    styles = next((part for kind, part in parts.values() if kind == "styles" and part in package.names), "")
    percent = _styles(package, styles) if styles else set()
    if not percent:
        return {}
    found = {}
    for sheet in (each for each in package.xml(main).iter() if local_name(each) == "sheet"):
        ids = [value for key, value in sheet.attrib.items() if key.endswith("}id")]
        _, part = parts.get(ids[0], ("", "")) if ids else ("", "")
        if part in package.names:
            found[sheet.get("name", "")] = _cells(package.read(part), percent)
    return found


def _styles(package: Package, part: str) -> set[bytes]:
    """The numbers of the styles that show percentages."""
    root = package.xml(part)
    forms = {
        each.get("numFmtId", ""): each.get("formatCode", "") for each in root.iter() if local_name(each) == "numFmt"
    }
    shown = {number for number, code in forms.items() if "%" in _QUOTED.sub("", code)} | (_BUILT_IN - forms.keys())
    cells = next((each for each in root if local_name(each) == "cellXfs"), ())
    return {str(number).encode() for number, style in enumerate(cells) if style.get("numFmtId") in shown}


def _cells(sheet: bytes, percent: set[bytes]) -> set[tuple[int, int]]:
    places = set()
    for cell in _CELL.finditer(sheet):
        style, place = _STYLE.search(cell[1]), _PLACE.search(cell[1])
        if style and place and style[1] in percent:
            column = 0
            for letter in place[1]:
                column = column * 26 + letter - ord("A") + 1
            places.add((int(place[2]) - 1, column - 1))
    return places
