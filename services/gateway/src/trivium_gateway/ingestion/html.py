"""The text of an HTML page: its main content as Markdown."""

import re

from selectolax.lexbor import LexborHTMLParser, LexborNode

from trivium_gateway.ingestion.html_depth import bounded_depth
from trivium_gateway.ingestion.html_math import math_text
from trivium_gateway.ingestion.html_writer import MarkdownWriter

__all__ = ["html_text"]

_DROPPED = frozenset(
    ["script", "style", "noscript", "template", "head", "iframe", "object", "embed", "svg", "canvas", "audio", "video"]
) | frozenset(["map", "button", "select", "datalist", "dialog", "input", "textarea", "progress", "meter"])
_AROUND_CONTENT = frozenset(("nav", "aside", "footer"))
_DROPPED_ROLES = frozenset(("dialog", "alertdialog", "tooltip", "search"))
_ROLES_AROUND_CONTENT = frozenset(("navigation", "complementary", "contentinfo", "menu", "menubar"))
_UNSEEN_STYLE = re.compile(r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)

_MAIN_CONTENT = "main, [role=main], article"
_MIN_MAIN_SHARE = 0.25
"""A main element with less of the page's text than this is not what the page is about."""

_NOTE = re.compile(r"\b(?:foot|end|rear)notes?\b")
"""What an e-book's note is called, which stands beside its text."""
_BLANKS = re.compile(r"[ \t\n\r\f]+")


def html_text(html: str) -> tuple[str, str]:
    """Extract a page's title and text.

    Args:
        html: The page.

    Returns:
        The title, from `<title>` or else the first heading, and the text as Markdown; each may be empty.
    """
    page = LexborHTMLParser(bounded_depth(html))
    root = page.body or page.root
    if root is None:
        return "", ""
    title = _title(page)
    whole = _text_of(root, around=False)
    mains = [_text_of(node, around=True) for node in page.css(_MAIN_CONTENT)[:2]]
    if mains and len(mains[0]) >= _MIN_MAIN_SHARE * len(whole) and (len(mains) == 1 or len(mains[0]) > len(mains[1])):
        return title, mains[0]
    return title, whole or _text_of(root, around=True)


def _title(page: LexborHTMLParser) -> str:
    for selector in ("head > title", "h1"):
        node = page.css_first(selector)
        title = _BLANKS.sub(" ", node.text(deep=True)).strip() if node is not None else ""
        if title:
            return title
    return ""


def _text_of(root: LexborNode, *, around: bool) -> str:
    """Walk a tree without recursion, because a page may be nested as deep as its author likes."""
    writer = MarkdownWriter()
    node: LexborNode | None = root
    while node is not None:
        tag = node.tag or ""
        if tag == "-text":
            writer.add(node.text_content or "")
        elif tag == "math":
            writer.add(math_text(node))
        elif node.mem_id == root.mem_id or not _is_dropped(node, tag, around=around):
            writer.open(node)
            if node.child is not None:
                node = node.child
                continue
            writer.close(node)
        node = _next_outside(node, root, writer)
    return writer.text()


def _next_outside(node: LexborNode, root: LexborNode, writer: MarkdownWriter) -> LexborNode | None:
    """Go on after a node and all that is in it: to its next sibling, or that of the nearest ancestor that has one."""
    while node.mem_id != root.mem_id:
        if node.next is not None:
            return node.next
        if node.parent is None:
            return None
        node = node.parent
        writer.close(node)
    return None


def _is_dropped(node: LexborNode, tag: str, *, around: bool) -> bool:
    """Tell what is no text, is not shown, or stands around the content."""
    if tag in _DROPPED or tag[:1] in ("-", "!"):
        return True
    attributes = node.attributes
    if not around and tag in _AROUND_CONTENT:
        return not _NOTE.search(f"{attributes.get('epub:type')} {attributes.get('role')}")
    if not attributes:
        return False
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return True
    role = attributes.get("role")
    if role and (role in _DROPPED_ROLES or (not around and role in _ROLES_AROUND_CONTENT)):
        return True
    style = attributes.get("style")
    return bool(style and _UNSEEN_STYLE.search(style))
