"""Turns a passage, which may be Markdown, into blocks of plain prose.

Headings become context of what follows them, list items and table rows become blocks of their own, a sentence that ends
with a colon keeps the short list or command that it leads to, and markup that means nothing in an answer goes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

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
_QUOTE = re.compile(r"^(?:>\s?)+")
_TABLE_ROW = re.compile(r"\|.*\|")
_TABLE_RULE = re.compile(r"\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?)?")

# Every repetition is bounded, so that no text, however hostile, takes more than linear time.
_INLINE = (
    (re.compile(r"<!--.{0,1000}?-->"), " "),
    (re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,500}\)"), " "),
    (re.compile(r"\[([^\[\]\n]{1,200})\]\([^()\n]{0,500}\)"), r"\1"),
    (re.compile(r"<(https?://[^>\s]{1,500})>"), r"\1"),
    (re.compile(r"</?[a-zA-Z][a-zA-Z0-9]{0,15}(?:\s[^<>\n]{0,500})?/?>"), " "),
    # Marks of the source's own notes would read as citations of ours.
    (
        re.compile(
            r"\s?[\[【［](?:\^?[0-9０-９]{1,4}|note \d+|citation needed|注\s?\d+)(?:[,，、\s–-]+\d{1,4})*[\]】］]"
        ),
        "",
    ),
    (re.compile(r"(\*\*\*|\*\*|__)(?=\S)(.{1,300}?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,300}?)(?<=[^\s*])\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]{1,300}?)(?<=[^\s_])_(?![\w_])"), r"\1"),
    (re.compile(r"\\([\\`*_{}\[\]()#+.!|>-])"), r"\1"),
)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`).{1,200}?(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of prose without markup.

    Attributes:
        text: One line.
        heading: The heading that it stands under; empty if there is none in the passage.
        led: What its last sentence leads to; belongs to that sentence.
        whole: It must not be split into sentences: a table row.
    """

    text: str
    heading: str = ""
    led: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    kind: str  # "prose", "item", "code", "row", "heading", "gap"
    text: str


def blocks(text: str) -> list[Block]:
    """The blocks of a passage, in order."""
    found: list[Block] = []
    heading = ""
    groups = [(kind, [piece.text for piece in group]) for kind, group in groupby(_pieces(text), key=lambda p: p.kind)]
    groups = [(kind, texts) for kind, texts in groups if kind != "gap"]
    position = 0
    while position < len(groups):
        kind, texts = groups[position]
        following = groups[position + 1] if position + 1 < len(groups) else ("", [])
        position += 1
        if kind == "heading":
            heading = strip_inline(texts[-1])
        elif kind == "prose":
            prose = strip_inline(_join_lines(texts))
            while following[0] == "prose" and len(prose) < _MAX_MENDED_CHARS and _goes_on(prose, following[1][0]):
                prose = f"{prose} {strip_inline(_join_lines(following[1]))}"
                position += 1
                following = groups[position] if position < len(groups) else ("", [])
            if prose.endswith((":", "：")) and following[0] in ("item", "code"):
                found.extend(_led_in(prose, following[0], following[1], heading))
                position += 1
            elif prose:
                found.append(Block(prose, heading))
        elif kind == "item":
            found.extend(Block(item, heading) for item in map(strip_inline, texts) if item)
        elif kind == "row":
            found.extend(Block(row, heading, whole=True) for row in _rows(texts))
        # Code without a lead-in says nothing as a sentence.
    return found


def strip_inline(text: str) -> str:
    """A text without inline markup, on one line; code spans stay as they are."""
    parts: list[str] = []
    end = 0
    for match in _CODE_SPAN.finditer(text):
        parts += [_strip_prose(text[end : match.start()]), match.group()]
        end = match.end()
    parts.append(_strip_prose(text[end:]))
    return " ".join("".join(parts).split())


def _strip_prose(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text


def _pieces(text: str) -> Iterator[_Piece]:
    """The lines of a passage by kind; the lines of one paragraph are joined by what reads them."""
    fence = ""
    previous = "gap"
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
        if kind == "skip":
            continue
        if kind == "prose" and previous == "gap":
            yield _Piece("gap", "")  # two paragraphs are two groups
        previous = kind
        yield _Piece(kind, content)


def _kind(line: str, previous: str, following: str) -> tuple[str, str]:
    if not line:
        return "gap", ""
    if heading := _HEADING.fullmatch(line):
        return "heading", heading.group(1).rstrip("#")
    if "|" in line and _TABLE_RULE.fullmatch(line):
        return "skip", ""
    if _TABLE_ROW.fullmatch(line):
        return "row", line
    if _RULE.fullmatch(line) or _UNDERLINE.fullmatch(line):
        return "gap", ""
    if previous != "prose" and len(following) >= 3 and _UNDERLINE.fullmatch(following):
        return "heading", line
    if item := _ITEM.match(line) or _CHINESE_ITEM.match(line):
        return "item", line[item.end() :]
    return "prose", line


def _goes_on(prose: str, following: str) -> bool:
    """Whether a paragraph was torn apart, as extraction from PDF and HTML does."""
    first = following.lstrip()[:1]
    ended = prose.rstrip("\"'”’)]」』）").endswith((".", "!", "?", ":", "。", "！", "？", "：", "…"))
    return not ended and (first.islower() or first in ",.;:)，。；：）" or prose.count("(") > prose.count(")"))


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
    led = ("；" if chinese else "; ").join(lines)
    if len(led) <= _MAX_LED_CHARS:
        end = "" if kind == "code" else "。" if chinese else "."
        return [Block(lead_in, heading, led=("" if chinese else " ") + led + end)]
    if kind == "code":
        return [Block(lead_in, heading)]
    return [Block(lead_in, heading), *(Block(item, f"{heading} {lead_in}".strip()) for item in lines)]


def _rows(lines: list[str]) -> Iterator[str]:
    """Rows of a table, each with the names of its columns."""
    cells = [[strip_inline(cell) for cell in line.strip("|").split("|")] for line in lines]
    header, rows = (cells[0], cells[1:]) if len(cells) > 1 else ([], cells)
    for row in rows:
        named = [
            f"{header[column]}: {cell}" if column < len(header) and header[column] else cell
            for column, cell in enumerate(row)
            if cell and column
        ]
        if row[0] or named:
            yield f"{row[0]} ({'; '.join(named)})" if row[0] and named else row[0] or "; ".join(named)
