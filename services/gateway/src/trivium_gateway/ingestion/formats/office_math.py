"""Formulas of Office documents (Office Math), written in a line."""

from xml.etree.ElementTree import Element

from trivium_gateway.ingestion.formats.packages import local_name

__all__ = ["formula"]

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def formula(element: Element) -> str:
    """Write a formula, for example `(a+b)^2` or `∑_(i=1)^n x`."""
    name = local_name(element)
    if name == "t":
        return element.text or ""
    inner = {local_name(child): formula(child) for child in element}
    match name:
        case "f":
            return f"({inner.get('num', '')})/({inner.get('den', '')})"
        case "sSup" | "sSub" | "sSubSup":
            return _base(inner.get("e", "")) + _lowered(inner) + _raised(inner)
        case "nary":
            sign = _property(element, "chr", "∫")
            return f"{sign}{_lowered(inner)}{_raised(inner)} {inner.get('e', '')}"
        case "d":
            between = _property(element, "sepChr", "|").join(formula(child) for child in element if _is(child, "e"))
            return _property(element, "begChr", "(") + between + _property(element, "endChr", ")")
        case "rad":
            return f"{inner.get('deg', '')}√({inner.get('e', '')})"
        case "func":
            return f"{inner.get('fName', '')}({inner.get('e', '')})"
        case "m":
            rows = (" ".join(formula(cell) for cell in row if _is(cell, "e")) for row in element if _is(row, "mr"))
            return "; ".join(rows)
    return "".join(formula(child) for child in element)


def _is(element: Element, name: str) -> bool:
    return local_name(element) == name


def _property(element: Element, name: str, default: str) -> str:
    found = element.find(f"{_M}{local_name(element)}Pr/{_M}{name}")
    return default if found is None else found.get(f"{_M}val", default)


def _lowered(inner: dict[str, str]) -> str:
    return f"_{_grouped(inner['sub'])}" if inner.get("sub") else ""


def _raised(inner: dict[str, str]) -> str:
    return f"^{_grouped(inner['sup'])}" if inner.get("sup") else ""


def _base(text: str) -> str:
    """What is raised is one thing: a name, a number, or in parentheses."""
    return text if text.isalnum() or (text.startswith("(") and text.endswith(")")) else _grouped(text)


def _grouped(text: str) -> str:
    return text if text.isalnum() or not text else f"({text})"
