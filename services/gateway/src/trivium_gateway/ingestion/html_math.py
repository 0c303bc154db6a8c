"""Formulas of web pages and e-books (MathML), written in a line."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

__all__ = ["math_text"]

_MOST_DEPTH = 40
_INVISIBLE = str.maketrans("", "", "\u2061\u2062\u2063\u2064")
_APART = frozenset("=<>≤≥≠≈+-\u2212±×·→⇒∈")
_LEADING_SIGN = re.compile(r"^([+\u2212-]) ")
_UNSEEN = frozenset(("annotation", "annotation-xml", "mphantom", "none", "mprescripts"))


def math_text(node: LexborNode, depth: int = 0) -> str:
    """Write a formula, for example `x^2`, `(a + b)/2` or `∑_(i = 1)^n`.

    Args:
        node: `<math>`, or an element in it.
        depth: How deep in the formula it is; what is deeper than formulas are is written as it stands there.
    """
    tag = node.tag or ""
    if depth > _MOST_DEPTH or tag in ("mi", "mn", "mo", "mtext", "ms", "-text"):
        text = " ".join(node.text(deep=True).translate(_INVISIBLE).split())
        return f" {text} " if tag == "mo" and text in _APART else text
    parts = [math_text(child, depth + 1) for child in _children(node)]
    one, two, three = (*map(str.strip, parts), "", "", "")[:3]
    match tag:
        case "msup" | "mover":
            return one + _at("^", two)
        case "msub" | "munder":
            return one + _at("_", two)
        case "msubsup" | "munderover":
            return one + _at("_", two) + _at("^", three)
        case "mfrac":
            return f"{_grouped(one)}/{_grouped(two)}"
        case "msqrt":
            return f"√{_grouped(''.join(parts).strip())}"
        case "mroot":
            return f"{two}√{_grouped(one)}"
        case "mfenced":
            return f"({', '.join(map(str.strip, parts))})"
        case "mtable":
            return "; ".join(map(str.strip, parts))
        case "mtr":
            return " ".join(map(str.strip, parts))
    text = "".join(parts)
    return " ".join(text.split()) if tag == "math" else text


def _children(node: LexborNode) -> Iterator[LexborNode]:
    child = node.child
    while child is not None:
        tag = child.tag or ""
        if tag not in _UNSEEN and (tag != "-text" or (child.text_content or "").strip()):
            yield child
        child = child.next


def _at(sign: str, text: str) -> str:
    text = _LEADING_SIGN.sub(r"\1", text)
    return sign + _grouped(text) if text else ""


def _grouped(text: str) -> str:
    return text if text.isalnum() or (text.startswith("(") and text.endswith(")")) else f"({text})"
