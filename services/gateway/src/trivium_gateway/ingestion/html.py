"""The text of an HTML page: its main content, one block a paragraph."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = ["html_text"]

_DROPPED = frozenset(
    ["script", "style", "noscript", "template", "head", "iframe", "object", "embed", "svg", "canvas", "audio", "video"]
) | frozenset(["map", "button", "select", "datalist", "dialog", "input", "textarea", "progress", "meter"])
_AROUND_CONTENT = frozenset(("nav", "aside", "footer"))
_PARAGRAPHS = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "dl", "table", "section", "article"]
) | frozenset(["main", "header", "figure", "details", "address", "hr", "fieldset", "form", "body"])
_LINES = frozenset(
    ("div", "li", "dt", "dd", "tr", "caption", "figcaption", "summary", "legend", "br", "nav", "aside", "footer")
)
_CELLS = frozenset(("td", "th"))

_MAIN_CONTENT = "main, [role=main], article"
_MIN_MAIN_SHARE = 0.25
"""A main element with less of the page's text than this is not what the page is about."""

_BLANKS = re.compile(r"[ \t\n\r\f]+")
_LINE_END_BLANKS = re.compile(r"(?<![ \t])[ \t]+\n")
_EMPTY_LINES = re.compile(r"\n{3,}")


def html_text(html: str) -> tuple[str, str]:
    """Extract a page's title and text.

    Args:
        html: The page.

    Returns:
        The title, from `<title>` or else the first heading, and the text; each may be empty.
    """
    page = LexborHTMLParser(html)
    root = page.body or page.root
    if root is None:
        return "", ""
    title = _title(page)
    whole = _text_of(root, _DROPPED | _AROUND_CONTENT)
    mains = [_text_of(node, _DROPPED) for node in page.css(_MAIN_CONTENT)[:2]]
    if mains and len(mains[0]) >= _MIN_MAIN_SHARE * len(whole) and (len(mains) == 1 or len(mains[0]) > len(mains[1])):
        return title, mains[0]
    return title, whole or _text_of(root, _DROPPED)


def _title(page: LexborHTMLParser) -> str:
    for selector in ("head > title", "h1"):
        node = page.css_first(selector)
        title = _BLANKS.sub(" ", node.text(deep=True)).strip() if node is not None else ""
        if title:
            return title
    return ""


def _text_of(root: LexborNode, dropped: frozenset[str]) -> str:
    text = "".join(_pieces(root, dropped))
    text = _EMPTY_LINES.sub("\n\n", _LINE_END_BLANKS.sub("\n", text))
    return text.strip()


def _pieces(root: LexborNode, dropped: frozenset[str]) -> Iterator[str]:
    """Walk the tree without recursion, because a page may be nested as deep as its author likes."""
    pre_depth = 0
    at_line_start = True
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        is_dropped = tag in dropped or tag == "-comment" or "hidden" in (node.attributes if tag[:1] != "-" else ())
        if tag == "-text":
            text = node.text_content or ""
            piece = text if pre_depth else _BLANKS.sub(" ", text)
            piece = piece.lstrip(" ") if at_line_start and not pre_depth else piece
            if piece:
                at_line_start = piece.endswith("\n")
                yield piece
        elif not is_dropped:
            opening = _opening(tag)
            if opening:
                at_line_start = opening.endswith("\n")
                yield opening
            pre_depth += tag == "pre"
        if not is_dropped and node.child is not None:
            node = node.child
            continue
        # Climb until there is a sibling, closing what is left behind.
        while True:
            tag = node.tag or ""
            closed = node.child is not None or tag not in ("-text", "-comment")
            if closed and not (tag in dropped or tag[:1] == "-"):
                pre_depth -= tag == "pre"
                closing = _closing(tag)
                if closing:
                    at_line_start = True
                    yield closing
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            parent = node.parent
            if parent is None:
                return
            node = parent


def _opening(tag: str) -> str:
    if tag == "li":
        return "\n- "
    if tag in _CELLS:
        return " "
    return _closing(tag)


def _closing(tag: str) -> str:
    if tag in _PARAGRAPHS:
        return "\n\n"
    return "\n" if tag in _LINES else ""
