"""The text of an HTML page: its main content, one block a paragraph."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from trivium_gateway.ingestion.html_depth import bounded_depth

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
    page = LexborHTMLParser(bounded_depth(html))
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
    """Walk a tree without recursion, because a page may be nested as deep as its author likes."""
    lines = _Lines()
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            lines.add(node.text_content or "")
        elif not _is_dropped(node, tag, dropped):
            lines.open(tag)
            if node.child is not None:
                node = node.child
                continue
            lines.close(tag)
        node = _next_outside(node, root, lines)
    return lines.text()


def _next_outside(node: LexborNode, root: LexborNode, lines: "_Lines") -> LexborNode | None:
    """Go on after a node and all that is in it: to its next sibling, or that of the nearest ancestor that has one."""
    while node.mem_id != root.mem_id:
        if node.next is not None:
            return node.next
        if node.parent is None:
            return None
        node = node.parent
        lines.close(node.tag or "")
    return None


def _is_dropped(node: LexborNode, tag: str, dropped: frozenset[str]) -> bool:
    return tag in dropped or tag[:1] in ("-", "!") or "hidden" in node.attributes


class _Lines:
    """Puts text together; breaks between blocks are made when more text comes, the largest of those that met."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._break = ""
        self._pre_depth = 0
        self._at_item_start = False

    def open(self, tag: str) -> None:
        self._break_for(tag)
        self._pre_depth += tag == "pre"
        if tag == "li":
            self._pieces.append(self._break + "- " if self._pieces else "- ")
            self._break = ""
            self._at_item_start = True

    def close(self, tag: str) -> None:
        if tag != "br":
            self._break_for(tag)
        self._pre_depth -= tag == "pre"

    def add(self, text: str) -> None:
        if not self._pre_depth:
            text = _BLANKS.sub(" ", text)
        if self._break.startswith("\n") or self._at_item_start or not self._pieces:
            text = text if self._pre_depth else text.lstrip(" ")
        elif self._break == " " and text[:1] == " ":
            self._break = ""
        if not text:
            return
        if self._pieces and not self._at_item_start:
            self._pieces.append(self._break)
        self._pieces.append(text)
        self._break = ""
        self._at_item_start = False

    def text(self) -> str:
        text = _LINE_END_BLANKS.sub("\n", "".join(self._pieces))
        return _EMPTY_LINES.sub("\n\n", text).strip()

    def _break_for(self, tag: str) -> None:
        wanted = "\n\n" if tag in _PARAGRAPHS else "\n" if tag in _LINES else " " if tag in _CELLS else ""
        if len(wanted) > len(self._break) or (self._break == " " and wanted):
            self._break = wanted
