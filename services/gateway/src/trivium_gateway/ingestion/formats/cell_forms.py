"""How cells of a workbook show numbers: Excel stores 0.125 and shows 12.5%, or stores 1069 and shows 01069."""

import re

from trivium_gateway.ingestion.formats.packages import Package, local_name

__all__ = ["cell_forms_in"]

_BUILT_IN = frozenset(("9", "10"))
_QUOTED = re.compile(r'"[^"]{0,200}"|\\.|\[[^\[\]]{0,100}\]')
_CELL = re.compile(rb"<(?:\w{1,20}:)?c\s([^>]{1,200})>")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STYLE = re.compile(rb'\bs="(\d{1,6})"')
_ZEROS = re.compile(r"0{2,20}")


def cell_forms_in(package: Package) -> dict[str, dict[tuple[int, int], str]]:
    """Find cells that show something else than their number.

    Returns:
        By the sheet's name, by row and column, from 0: `%` for a percentage, or as many zeros as a whole number has
        digits at least. Empty for what is no workbook of Excel's.
    """
    main = next((part for kind, part in package.related("").values() if kind == "officeDocument"), "")
    if not main.endswith(".xml") or main not in package.names:
        return {}
    parts = package.related(main)
    styles = next((part for kind, part in parts.values() if kind == "styles" and part in package.names), "")
    forms = _styles(package, styles) if styles else {}
    if not forms:
        return {}
    found = {}
    for sheet in (each for each in package.xml(main).iter() if local_name(each) == "sheet"):
        ids = [value for key, value in sheet.attrib.items() if key.endswith("}id")]
        _, part = parts.get(ids[0], ("", "")) if ids else ("", "")
        if part in package.names:
            found[sheet.get("name", "")] = _cells(package.read(part), forms)
    return found


def _styles(package: Package, part: str) -> dict[bytes, str]:
    """The forms of styles that have one, by the style's number."""
    root = package.xml(part)
    shown = dict.fromkeys(_BUILT_IN, "%")
    for each in root.iter():
        if local_name(each) == "numFmt":
            code = _QUOTED.sub("", each.get("formatCode", ""))
            shown[each.get("numFmtId", "")] = "%" if "%" in code else code if _ZEROS.fullmatch(code) else ""
    cells = next((each for each in root if local_name(each) == "cellXfs"), ())
    forms = {str(number).encode(): shown.get(style.get("numFmtId", ""), "") for number, style in enumerate(cells)}
    return {number: form for number, form in forms.items() if form}


def _cells(sheet: bytes, forms: dict[bytes, str]) -> dict[tuple[int, int], str]:
    places = {}
    for cell in _CELL.finditer(sheet):
        style, place = _STYLE.search(cell[1]), _PLACE.search(cell[1])
        if style and place and style[1] in forms:
            column = 0
            for letter in place[1]:
                column = column * 26 + letter - ord("A") + 1
            places[int(place[2]) - 1, column - 1] = forms[style[1]]
    return places
