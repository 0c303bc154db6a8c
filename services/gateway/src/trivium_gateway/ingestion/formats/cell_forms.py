"""How cells of a workbook show what they store: 0.125 as 12.5%, 1069 as 01069, 5 as 5 EUR; and what is raised."""

import re

from trivium_gateway.ingestion.formats.packages import Package, local_name
from trivium_gateway.ingestion.html_inline import inline_form

__all__ = ["UNIT_BREAK", "cell_forms_in", "raised_texts_in"]

UNIT_BREAK = "\0"
"""Stands in a form for the number, between what is shown before it and behind it."""

_BUILT_IN = frozenset(("9", "10"))
_QUOTED = re.compile(r'"[^"]{0,200}"|\\.|\[[^\[\]]{0,100}\]')
_NAMES_OF_DATES = re.compile(r"[ymdhsYMDHSeg@/]|general", re.I)
_SPACING = re.compile(r"_.|\*.")
_LITERAL = re.compile(
    r'"(?P<quoted>[^"]{0,200})"|\\(?P<one>.)|\[\$(?P<money>[^\]-]{0,20})[^\]]{0,20}\]|\[[^\[\]]{0,100}\]'
)
_NUMBER = re.compile(r"[#0?][#0?,.]*(?:E[+-]0{1,3})?")
_TELLING = re.compile(r"[^\W\d_]|[$\u00a2-\u00a5\u20a0-\u20cf\u00b0\u00b5\u2126]")
_CELL = re.compile(rb"<(?:\w{1,20}:)?c\s([^>]{1,200})>")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STYLE = re.compile(rb'\bs="(\d{1,6})"')
_TAGS = {"superscript": "sup", "subscript": "sub"}
_FIRST_PRIVATE = 0xF0000
_ZEROS = re.compile(r"0{2,20}")


def cell_forms_in(package: Package) -> dict[str, dict[tuple[int, int], str]]:
    """Find cells that show something else than their number.

    Returns:
        By the sheet's name, by row and column, from 0: `%` for a percentage, as many zeros as a whole number has digits
        at least, or what stands around the number, such as a currency. Empty for what is no workbook of Excel's.
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
            whole = each.get("formatCode", "")
            code = _QUOTED.sub("", whole)
            zeros = code if _ZEROS.fullmatch(whole) else ""
            shown[each.get("numFmtId", "")] = "%" if "%" in code else zeros or _unit_of(whole)
    cells = next((each for each in root if local_name(each) == "cellXfs"), ())
    forms = {str(number).encode(): shown.get(style.get("numFmtId", ""), "") for number, style in enumerate(cells)}
    return {number: form for number, form in forms.items() if form}


def _unit_of(code: str) -> str:
    """Tell what a form of numbers shows around them; empty if nothing, or if it is more than that, as of dates."""
    said: list[str] = []

    def keep(literal: re.Match[str]) -> str:
        said.append(literal["quoted"] or literal["one"] or literal["money"] or "")
        return chr(_FIRST_PRIVATE + len(said) - 1)

    shape = _LITERAL.sub(keep, _SPACING.sub("", code.partition(";")[0] if '"' not in code else code))
    shape = shape.partition(";")[0]
    number = _NUMBER.search(shape)
    if not number or number[0].endswith(",") or _NAMES_OF_DATES.search(_NUMBER.sub("", shape)):
        return ""

    def written(part: str) -> str:
        return "".join(
            said[ord(one) - _FIRST_PRIVATE] if 0 <= ord(one) - _FIRST_PRIVATE < len(said) else one for one in part
        )

    before, behind = written(shape[: number.start()]), written(shape[number.end() :])
    if _NUMBER.search(behind) or not _TELLING.search(before + behind):
        return ""
    return f"{before.lstrip()}{UNIT_BREAK}{behind.rstrip()}"


def raised_texts_in(package: Package) -> dict[str, str]:
    """Find texts of a workbook of Excel's in which something is raised or lowered, which the library does not say.

    Returns:
        By the text without that, as it is written with it.
    """
    part = "xl/sharedStrings.xml"
    if part not in package.names or b"vertAlign" not in package.read(part):
        return {}
    found: dict[str, str] = {}
    unmarked: set[str] = set()
    for item in (each for each in package.xml(part) if local_name(each) == "si"):
        plain = written = ""
        for run in (each for each in item if local_name(each) in ("r", "t")):
            parts = [run, *run] if local_name(run) == "t" else list(run)
            text = "".join(each.text or "" for each in parts if local_name(each) == "t")
            kinds = [each.get("val", "") for each in run.iter() if local_name(each) == "vertAlign"]
            tag = _TAGS.get(kinds[0], "") if kinds else ""
            plain += text
            is_raised = tag and text.strip()
            written += inline_form(tag, text.strip(), written[-40:], is_link=False) if is_raised else text
        if plain != written:
            found[plain] = written
        else:
            unmarked.add(plain)
    return {plain: written for plain, written in found.items() if plain not in unmarked}


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
