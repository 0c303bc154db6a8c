"""Turns a passage, which may be Markdown, into blocks of plain prose.

Headings, marked or not, become context of what follows them. List items and table rows become blocks of their own, a
row with the names of its columns if the passage has them. A sentence that ends with a colon keeps the list or command
that it leads to, or the beginning of it. Markup that means nothing in an answer goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from trivium_evidence.headings import FIELD, Group, goes_on, is_bare_list, is_headed, with_headings
from trivium_evidence.inline import strip_inline
from trivium_evidence.language import is_chinese

if TYPE_CHECKING:
    from collections.abc import Iterator

# A list or code stays with the sentence that leads to it up to this length; of longer lists each item is a block.
_MAX_LED_CHARS = 240
# A paragraph that was torn apart is mended up to this length.
_MAX_MENDED_CHARS = 2000

# These read a line without the white space around it.
_FENCE = re.compile(r"(`{3,}|~{3,})")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_UNDERLINE = re.compile(r"(?:=+|-+)")
_RULE = re.compile(r"([-*_])\s*(?:\1\s*){2,}")
_ITEM = re.compile(
    r"(?:[-*+•·‣▪◦●]|\(?\d{1,3}[.)]|[（(]?[一二三四五六七八九十]{1,3}[）)、]|[（(]\d{1,3}[）)])\s+(?=\S)"
)
_CHINESE_ITEM = re.compile(r"(?:[（(][一二三四五六七八九十\d]{1,3}[）)]|[一二三四五六七八九十]{1,3}、|[•·●])(?=\S)")
_LATER_NUMBER = re.compile(r"\(?(?!1[.)])\d")
_TWO_SENTENCES = re.compile(r"[.!?]\s|[。！？]")
# A heading that begins its item: "2. Discount. Hofer receives 12%".
_RUN_IN = re.compile(r"([A-Z][^\W\d_]*(?: [\w'-]{1,20}){0,3})\. (?=\S)")
_FEWEST_RUN_IN = 2
_TITLE = re.compile(r"[A-Z][^\W\d_]*(?: [\w'-]{1,20}){0,4}")
_SUBJECT = re.compile(r"(?:Subject|Betreff|Objet|Asunto|Oggetto): (\S.*)")
_QUOTE = re.compile(r"^(?:>\s?)+")
_TABLE_ROW = re.compile(r"\|.*\|")
_CELL_END = re.compile(r"(?<!\\)\|")
# Names of the columns of a table whose rows name one value each.
_VALUE = re.compile(r"values?|wert|valeur|valor|值|数值|數值", re.IGNORECASE)
_TABLE_RULE = re.compile(r"\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of prose without markup.

    Attributes:
        text: One line.
        heading: The heading that it stands under; empty if there is none in the passage.
        led: What its last sentence leads to; belongs to that sentence.
        beginning: The beginning of what its last sentence leads to, where the rest has blocks of its own.
        whole: It must not be split into sentences: a table row.
        lead_in: The paragraph that leads to the list that it is an item of; empty if there is none.
        listed: The list that it is an item of, or the beginning of it, where only a heading leads to that.
    """

    text: str
    heading: str = ""
    led: str = ""
    beginning: str = ""
    whole: bool = False
    lead_in: str = ""
    listed: str = ""


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: str  # "prose", "item", "step" (an item with a number), "more" of these, "code", "row", "heading", "gap"
    text: str


_ITEMS = ("item", "step")


def blocks(text: str) -> list[Block]:
    """The blocks of a passage, in order."""
    found: list[Block] = []
    heading = ""
    groups = with_headings(_grouped(_pieces(text)))
    position = 0
    while position < len(groups):
        kind, texts = groups[position]
        following = groups[position + 1] if position + 1 < len(groups) else ("", [])
        position += 1
        if kind == "heading":
            heading = strip_inline(texts[-1])
        elif kind == "prose" and is_bare_list(texts):
            heading, items = strip_inline(texts[0]), [strip_inline(one) for one in texts[1:]]
            found.extend(Block(item, heading, listed=_listed(items)) for item in items)
        elif kind == "prose":
            if is_headed(texts):
                heading, texts = strip_inline(texts[0]), texts[1:]
            prose = strip_inline(_join_lines(texts))
            while following[0] == "prose" and len(prose) < _MAX_MENDED_CHARS and goes_on(prose, following[1][0]):
                prose = f"{prose} {strip_inline(_join_lines(following[1]))}"
                position += 1
                following = groups[position] if position < len(groups) else ("", [])
            if prose.endswith((":", "：")) and following[0] in (*_ITEMS, "code"):
                found.extend(_led_in(prose, following[0], following[1], heading))
                position += 1
            elif prose:
                found.append(Block(prose, heading))
        elif kind in _ITEMS:
            about = next((one.group(1) for one in map(_SUBJECT.match, texts) if one), "")
            items = [item for item in map(strip_inline, texts) if item and not _SUBJECT.match(item)]
            heading = about or heading
            named = [_RUN_IN.match(item) for item in items]
            if sum(map(bool, named)) >= _FEWEST_RUN_IN:
                found.extend(_below_own_heading(item, name, heading) for item, name in zip(items, named, strict=True))
                continue
            listed = _listed(items) if heading and not any(map(FIELD.match, items)) else ""
            found.extend(Block(item, heading, listed=listed) for item in items)
        elif kind == "row":
            found.extend(Block(row, heading, whole=True) for row in _rows(texts))
        # Code without a lead-in says nothing as a sentence.
    return found


def _below_own_heading(item: str, name: re.Match[str] | None, heading: str) -> Block:
    return Block(item[name.end() :], f"{heading} {name[1]}".strip()) if name else Block(item, heading)


def _pieces(text: str) -> Iterator[_Piece]:
    """The lines of a passage by kind; the lines of one paragraph are joined by what reads them."""
    fence = ""
    previous = "gap"
    is_title = False
    lines = [line.strip() for line in text.split("\n")]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if fence:
            if line.startswith(fence):
                fence = ""
            else:
                yield _Piece("code", line)
            continue
        if opening := _FENCE.match(line):
            fence, previous = opening.group(1), "gap"
            continue
        kind, content = _kind(_QUOTE.sub("", line, count=1), previous, following)
        if kind == "prose" and (previous == "gap" or is_title):
            yield _Piece("gap", "")  # two paragraphs are two groups
            is_title = False
        elif kind == "prose" and previous in _ITEMS:
            yield _Piece("more", content)
            continue
        # A short line with a number right above a sentence is its title: "2. New warehouse".
        is_title = kind == "step" and bool(_TITLE.fullmatch(content)) and following[:1].isupper()
        previous = kind
        yield _Piece(kind, content)


def _grouped(pieces: Iterator[_Piece]) -> list[Group]:
    """Neighbouring pieces of a kind together; an item with the lines that it goes on in."""
    joined: list[_Piece] = []
    for piece in pieces:
        if piece.kind in _ITEMS and [before.kind for before in joined[-2:]] == [piece.kind, "gap"]:
            joined.pop()  # a list with space between its items is one list
        if piece.kind == "more":
            joined[-1] = _Piece(joined[-1].kind, _join_lines([joined[-1].text, piece.text]))
        elif piece.kind != "gap" or not joined or joined[-1].kind != "gap":
            joined.append(piece)
    groups = [(kind, [piece.text for piece in group]) for kind, group in groupby(joined, key=lambda piece: piece.kind)]
    return [(kind, texts) for kind, texts in groups if kind != "gap"]


def _listed(items: list[str]) -> str:
    """A list in one sentence, or the beginning of it; empty for one item."""
    chinese = is_chinese(items[0]) if items else False
    parts = [item.rstrip(".;；。") for item in items]
    if len(items) < 2 or any(map(_TWO_SENTENCES.search, parts)):
        return ""
    return _beginning(parts, "；" if chinese else "; ", code=False, chinese=chinese)


def _kind(line: str, previous: str, following: str) -> tuple[str, str]:
    if not line:
        return "gap", ""
    if heading := _HEADING.fullmatch(line):
        return "heading", heading.group(1).rstrip("#")
    if _TABLE_ROW.fullmatch(line) or ("|" in line and _TABLE_RULE.fullmatch(line)):
        return "row", line
    if _RULE.fullmatch(line) or _UNDERLINE.fullmatch(line):
        return "gap", ""
    if previous != "prose" and len(following) >= 3 and _UNDERLINE.fullmatch(following):
        return "heading", line
    # Within a paragraph, only the number 1 begins a list: others are numbers that happen to begin a line.
    in_paragraph = previous == "prose" and _LATER_NUMBER.match(line)
    if not in_paragraph and (item := _ITEM.match(line) or _CHINESE_ITEM.match(line)):
        bullet = line[0] in "-*+•·‣▪◦●"
        return "item" if bullet else "step", line[item.end() :]
    if FIELD.match(line) and (FIELD.match(following) or previous == "item"):
        return "item", line
    return "prose", line


def _join_lines(lines: list[str]) -> str:
    """The lines of a paragraph as one; Chinese is joined without a space."""
    joined = ""
    for line in lines:
        wide = bool(joined) and joined[-1] >= "\u2e80" and line[:1] >= "\u2e80"
        joined += line if wide or not joined else f" {line}"
    return joined


def _led_in(lead_in: str, kind: str, texts: list[str], heading: str) -> list[Block]:
    """A lead-in with the list or code that it leads to."""
    if kind == "code":
        lines = [f"`{line}`" for line in texts if line]
    else:
        lines = [item.rstrip(".;；。") for item in map(strip_inline, texts) if item]
    chinese = lead_in.endswith("：")
    led = _beginning(lines, "；" if chinese else "; ", kind == "code", chinese)
    led = ("" if chinese or not led else " ") + led
    if kind == "code" or not led.endswith("…"):
        return [Block(lead_in, heading, led=led)]
    lead = Block(lead_in, heading, beginning=led)
    return [lead, *(Block(item, f"{heading} {lead_in}".strip(), lead_in=lead_in) for item in lines)]


def _beginning(lines: list[str], separator: str, code: bool, chinese: bool) -> str:
    """As many lines as a lead-in may bring along, and a mark of what is left out."""
    fitting = 0
    length = 0
    while fitting < len(lines) and length + len(lines[fitting]) + len(separator) <= _MAX_LED_CHARS:
        length += len(lines[fitting]) + len(separator)
        fitting += 1
    if fitting == len(lines):
        return separator.join(lines) + ("" if code else "。" if chinese else ".")
    return separator.join(lines[:fitting]) + ("……" if chinese else " …")


def _rows(lines: list[str]) -> Iterator[str]:
    """Rows of a table, each cell with the name of its column if the passage has the table's head."""
    cells = [
        [strip_inline(cell) for cell in _CELL_END.split(line[1:-1] if line[:1] == "|" else line)] for line in lines
    ]
    is_rule = [_TABLE_RULE.fullmatch(line) is not None for line in lines]
    header = cells[0] if is_rule[1:2] == [True] else []
    of_values = len(header) == 2 and _VALUE.fullmatch(header[1]) is not None
    for number, row in enumerate(cells):
        if is_rule[number] or (header and number == 0):
            continue
        named = [
            f"{header[column]}: {cell}" if not of_values and column < len(header) and header[column] else cell
            for column, cell in enumerate(row)
            if cell
        ]
        if named:
            yield (": " if of_values else "; ").join(named)
