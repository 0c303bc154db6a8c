"""Puts the text of a page together as Markdown, while its elements are opened and closed."""

import re
from dataclasses import dataclass, field

from selectolax.lexbor import LexborNode

from trivium_gateway.ingestion.formats.numerals import counted
from trivium_gateway.ingestion.html_inline import inline_form
from trivium_gateway.ingestion.html_tables import HtmlTable

__all__ = ["MarkdownWriter"]

_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu"))
_FORMS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
"""What the numbers of a list are written as, by its `type`."""
_PARAGRAPHS = (
    frozenset(["p", "pre", "blockquote", "dl", "table", "section", "article", "main", "header", "figure", "details"])
    | frozenset(["address", "hr", "fieldset", "form", "body"])
    | _HEADINGS.keys()
    | _LISTS
)
_LINES = frozenset(("div", "li", "dt", "dd", "figcaption", "summary", "legend", "br", "nav", "aside", "footer", "tr"))
_CELLS = frozenset(("td", "th"))
_INLINE = frozenset(("sup", "sub", "del", "s", "strike"))
_CAPTURED = _CELLS | _INLINE | _HEADINGS.keys() | {"caption", "pre"}
_LAYOUT_ROLES = frozenset(("presentation", "none"))

_BLANKS = re.compile(r"[ \t\n\r\f]+")
_LINE_END_BLANKS = re.compile(r"(?<![ \t])[ \t]+\n")
_EMPTY_LINES = re.compile(r"\n{3,}")
_FENCE_RUN = re.compile(r"`{3,}")
_INDENTED = re.compile(r"\n(?=[^\n])")
_BASE_CHARACTERS = 8
"""How much of the text before an exponent is looked at."""
_DEEPEST_INDENT = 24


@dataclass(slots=True)
class _Text:
    """Text that is put together; breaks are made when more comes, the largest of those that met.

    Attributes:
        tag: The element whose text it is; empty for the page's.
        has_link: There was a link in it.
        has_blocks: There was a heading or a table in it.
    """

    tag: str = ""
    has_link: bool = False
    has_blocks: bool = False
    _pieces: list[str] = field(default_factory=list)
    _break: str = ""
    _indent: str = ""
    _at_item_start: bool = False

    def break_for(self, wanted: str, indent: str) -> None:
        if len(wanted) > len(self._break) or (self._break == " " and wanted):
            self._break = wanted
        self._indent = indent

    def begin_item(self, mark: str, indent: str) -> None:
        if self._at_item_start and self._pieces:  # the item before has no text
            self._pieces.pop()
        elif self._pieces:
            self._pieces.append(self._break)
        self._pieces.append(indent + mark)
        self._break, self._at_item_start = "", True

    def add(self, text: str, *, as_it_is: bool = False) -> None:
        starts_line = self._break.startswith("\n") or self._at_item_start or not self._pieces
        if not as_it_is:
            text = _BLANKS.sub(" ", text)
            if starts_line:
                text = text.lstrip(" ")
            elif self._break == " " and text[:1] == " ":
                self._break = ""
        if not text:
            return
        if self._pieces and not self._at_item_start:
            self._pieces.append(self._break + (self._indent if self._break.startswith("\n") else ""))
        self._pieces.append(text)
        self._break, self._at_item_start = "", False

    def end(self) -> str:
        """The last characters, blanks and breaks included."""
        return "".join(piece[-_BASE_CHARACTERS:] for piece in self._pieces[-2:]) + self._break

    def text(self) -> str:
        pieces = self._pieces[:-1] if self._at_item_start else self._pieces
        text = _LINE_END_BLANKS.sub("\n", "".join(pieces))
        return _EMPTY_LINES.sub("\n\n", text).strip("\n" if self.tag == "pre" else None)


@dataclass(slots=True)
class _List:
    number: int | None
    indent: str = ""
    mark: str = ""
    form: str = ""


class MarkdownWriter:
    """Writes one page. Each element that is opened is closed; what is in between belongs to it."""

    def __init__(self) -> None:
        self._texts = [_Text()]
        self._tables: list[HtmlTable] = []
        self._lists: list[_List] = []
        self._head_depth = 0
        self._pre_depth = 0
        self._links: list[bool] = []
        """Of each that is open, whether it is the mark of a note."""

    def open(self, node: LexborNode) -> None:
        """Begin an element."""
        tag = node.tag or ""
        self._break_for(tag)
        if tag == "a":
            self._texts[-1].has_link = True
            self._links.append(self._begin_note_mark(node))
        elif tag == "img":
            self._describe(node)
        elif tag == "table":
            self._tables.append(HtmlTable(is_layout=node.attributes.get("role") in _LAYOUT_ROLES))
        elif tag == "thead":
            self._head_depth += 1
        elif tag == "tr" and self._tables:
            self._tables[-1].begin_row(in_head=self._head_depth > 0)
        elif tag in _LISTS:
            number = _number(node, "start", 1) if tag == "ol" else None
            self._lists.append(_List(number, self._indent(), form=_FORMS.get(node.attributes.get("type") or "", "")))
        elif tag == "li":
            self._begin_item(node)
        elif tag in _CAPTURED:
            self._texts.append(_Text(tag))
        self._pre_depth += tag == "pre"

    def close(self, node: LexborNode) -> None:
        """End an element."""
        tag = node.tag or ""
        self._pre_depth -= tag == "pre"
        if tag == "a" and self._links and self._links.pop():
            self._end_captured(node, "sup")
        elif tag == "table":
            self._end_table()
        elif tag == "thead":
            self._head_depth -= 1
        elif tag in _LISTS and self._lists:
            self._lists.pop()
        elif tag in _CAPTURED:
            self._end_captured(node, tag)
        if tag == "li" and self._lists:
            self._lists[-1].mark = ""
        if tag != "br":
            self._break_for(tag)

    def add(self, text: str) -> None:
        """Add text."""
        self._texts[-1].add(text, as_it_is=self._pre_depth > 0)

    def text(self) -> str:
        """Give what was written."""
        return self._texts[0].text()

    def _begin_note_mark(self, node: LexborNode) -> bool:
        """Begin a link of an e-book that is the mark of a note, and says so instead of being raised."""
        if "noteref" not in f"{node.attributes.get('epub:type')} {node.attributes.get('role')}":
            return False
        if self._texts[-1].tag == "sup":
            return False
        self._texts.append(_Text("sup", has_link=True))
        return True

    def _describe(self, node: LexborNode) -> None:
        """Say what a picture shows; one word is as often a file's name or a logo's, as are pictures that are links."""
        about = " ".join((node.attributes.get("alt") or "").split())
        if " " in about and not self._links:
            self._texts[-1].add(f"[{about}]")

    def _begin_item(self, node: LexborNode) -> None:
        if not self._lists:
            self._lists.append(_List(None))
        current = self._lists[-1]
        if current.number is None:
            current.mark = "- "
        else:
            number = _number(node, "value", current.number)
            current.mark, current.number = f"{counted(number, current.form)}. ", number + 1
        self._texts[-1].begin_item(current.mark, current.indent)

    def _end_table(self) -> None:
        table = self._tables.pop()
        if self._tables:
            self._texts[-1].add(self._tables[-1].add_inner(table), as_it_is=True)
            return
        text = table.text()
        if text:
            self._texts[-1].has_blocks = True
            self._texts[-1].add(self._indented(text), as_it_is=True)

    def _end_captured(self, node: LexborNode, tag: str) -> None:
        captured = self._texts.pop()
        text, outer = captured.text(), self._texts[-1]
        outer.has_link |= captured.has_link
        if tag in _CELLS and self._tables:
            self._tables[-1].is_layout |= captured.has_blocks
            self._tables[-1].add_cell(node, text)
        elif tag == "caption" and self._tables:
            self._tables[-1].caption = text
        elif tag in _INLINE:
            outer.add(inline_form(tag, text, outer.end(), is_link=captured.has_link))
        elif tag == "pre":
            if text:
                fence = max(["```", *(run + "`" for run in _FENCE_RUN.findall(text))], key=len)
                outer.add(self._indented(f"{fence}\n{text}\n{fence}"), as_it_is=True)
        elif text:
            outer.has_blocks |= tag in _HEADINGS
            one_line = " ".join(text.split())
            outer.add(f"{_HEADINGS[tag]} {one_line}" if tag in _HEADINGS else one_line)

    def _break_for(self, tag: str) -> None:
        if tag in _CELLS or tag in _INLINE or self._pre_depth:
            wanted = "\n" if tag == "br" else ""
        elif self._lists:  # in a list a blank line would end it
            wanted = "\n" if tag in _PARAGRAPHS or tag in _LINES else ""
            if tag in _LISTS and len(self._lists) == 1 and not self._lists[0].mark:
                wanted = "\n\n"
        else:
            wanted = "\n\n" if tag in _PARAGRAPHS else "\n" if tag in _LINES else ""
        self._texts[-1].break_for(wanted, self._indent())

    def _indent(self) -> str:
        """The blanks that put what comes into the item that is open."""
        if not self._lists:
            return ""
        return (self._lists[-1].indent + " " * len(self._lists[-1].mark))[:_DEEPEST_INDENT]

    def _indented(self, text: str) -> str:
        indent = self._indent()
        return _INDENTED.sub("\n" + indent, text) if indent else text


def _number(node: LexborNode, name: str, default: int) -> int:
    value = (node.attributes.get(name) or "").strip()
    return int(value[:9]) if value.isascii() and value.isdigit() else default
