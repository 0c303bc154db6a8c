"""What Markdown says about a place in it: under which headings, on which page, in which table it is."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Heading", "Place", "Structure", "Table", "code_blocks", "headings_of", "place_within", "tables_of"]

_HEADING = re.compile(
    r"^\f{0,9} {0,3}(?P<marks>#{1,6})[ \t]++(?P<marked>\S[^\n]*+)"
    r"|^\f{0,9} {0,3}(?P<underlined>[^\s|>#=`~-][^\n]{0,300})\n {0,3}(?P<line>={3,}+|-{3,}+)[ \t]*$",
    re.M,
)
_INLINE_MARKUP = re.compile(r"!?\[([^\[\]]*+)\]\([^()]*+\)|`+|\*+(?=\S)|(?<=\S)\*+")
_MOST_TITLE_CHARACTERS = 1000
_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})", re.M)
_TABLE = re.compile(
    r"^(?P<header>[ \t\f]*\|[^\n]*\n[ \t]*\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*\n)(?P<rows>(?:[ \t]*\|[^\n]*(?:\n|\Z))+)",
    re.M,
)
_PAGE_BREAK = "\f"
_VISIBLE = re.compile(r"\S")
_MOST_PATH_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: where it begins and ends in the text, its level from 1, what it says without marks."""

    start: int
    end: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: where its names of columns begin, where its rows begin and where they end."""

    start: int
    rows: int
    end: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a document a chunk begins.

    Attributes:
        heading: The headings that it stands under, outermost first.
        page: Its page, from 1; 0 in a text without pages.
        table_header: The names of the columns, two lines of Markdown, if it begins with a row of a table and not with
            these names themselves; else empty.
    """

    heading: tuple[str, ...] = ()
    page: int = 0
    table_header: str = ""


class Structure:
    """The headings, tables and pages of a text, found once.

    Args:
        text: Markdown, or a text that may look like it.
        has_pages: Whether it has pages though no page break tells: it may be a single one.
    """

    def __init__(self, text: str, *, has_pages: bool = False) -> None:
        self._text = text
        code = code_blocks(text)
        self.tables = tables_of(text, code)
        self._headings = headings_of(text, code)
        self._heading_starts = [heading.start for heading in self._headings]
        self._table_starts = [table.start for table in self.tables]
        self._breaks = [match.start() for match in re.finditer(_PAGE_BREAK, text)]
        self._has_pages = has_pages or bool(self._breaks)

    def place(self, start: int, end: int, most_header_characters: int) -> Place:
        """Tell where a chunk begins.

        Args:
            start: Where in the text, in code points.
            end: Where it ends.
            most_header_characters: Longer names of columns are left out.
        """
        visible = _VISIBLE.search(self._text, start, end)
        at = visible.start() if visible else start
        header = ""
        index = bisect_right(self._table_starts, at) - 1
        if index >= 0 and self.tables[index].rows <= at < self.tables[index].end:
            table = self.tables[index]
            header = self._text[table.start : table.rows].strip()
        page = bisect_right(self._breaks, at) + 1 if self._has_pages else 0
        return Place(self._path(at, end), page, header if len(header) <= most_header_characters else "")

    def _path(self, at: int, end: int) -> tuple[str, ...]:
        """Give the headings over a place; over what follows, if headings stand there."""
        index = bisect_right(self._heading_starts, at)
        while index and index < len(self._headings) and self._headings[index - 1].end > at:
            following = self._headings[index]
            if following.start >= end or _VISIBLE.search(self._text, self._headings[index - 1].end, following.start):
                break
            at, index = following.start, index + 1
        path: list[Heading] = []
        for heading in reversed(self._headings[:index]):
            if not path or heading.level < path[-1].level:
                path.append(heading)
                if heading.level == 1:
                    break
        return tuple(heading.title[:_MOST_PATH_CHARACTERS] for heading in reversed(path))


def place_within(begin: Place, text: str, at: int) -> Place:
    """Tell where a place in a chunk is, from where the chunk begins and what stands in it before.

    Of headings outside of the chunk the levels are not kept; the outermost is taken for one of level 1, and so on.

    Args:
        begin: Where the chunk begins.
        text: The chunk's text.
        at: Where in it, in code points.
    """
    first, there = _VISIBLE.search(text), _VISIBLE.search(text, at)
    passed_breaks = text.count(_PAGE_BREAK, first.start() if first else 0, there.start() if there else at)
    page = begin.page + passed_breaks if begin.page else 0
    headings = headings_of(text)
    over: list[Heading] = []
    for heading in reversed([one for one in headings if one.start <= at]):
        if not over or heading.level < over[-1].level:
            over.append(heading)
    if not over:
        return Place(begin.heading, page)
    titles = {heading.title[:_MOST_PATH_CHARACTERS] for heading in headings}
    outside = [title for title in begin.heading[: over[-1].level - 1] if title not in titles]
    return Place((*outside, *(heading.title[:_MOST_PATH_CHARACTERS] for heading in reversed(over))), page)


def headings_of(text: str, code: Sequence[tuple[int, int]] | None = None) -> list[Heading]:
    """Find the headings outside of code, marked or underlined."""
    code = code_blocks(text) if code is None else code
    found = []
    for match in _HEADING.finditer(text):
        if _within(code, match.start()):
            continue
        marked = match["marked"]
        title = (_without_closing_marks(marked) if marked else match["underlined"])[:_MOST_TITLE_CHARACTERS]
        level = len(match["marks"]) if marked else 1 if match["line"][0] == "=" else 2
        found.append(Heading(match.start(), match.end(), level, _INLINE_MARKUP.sub(r"\1", title).strip()))
    return found


def tables_of(text: str, code: Sequence[tuple[int, int]]) -> list[Table]:
    """Find the tables outside of code."""
    if "|" not in text:
        return []
    return [
        Table(match.start(), match.start("rows"), match.end())
        for match in _TABLE.finditer(text)
        if not _within(code, match.start())
    ]


def code_blocks(text: str) -> list[tuple[int, int]]:
    """Find fenced code blocks, fences included; one that is never closed goes to the end."""
    blocks: list[tuple[int, int]] = []
    begin, fence = 0, ""
    for match in _FENCE.finditer(text):
        if not fence:
            begin, fence = match.start(1), match[1]
        elif match[1].startswith(fence):
            blocks.append((begin, match.end()))
            fence = ""
    if fence:
        blocks.append((begin, len(text)))
    return blocks


def _within(blocks: Sequence[tuple[int, int]], offset: int) -> bool:
    index = bisect_right(blocks, (offset, len(blocks) and blocks[-1][1]))
    return index > 0 and offset < blocks[index - 1][1]


def _without_closing_marks(heading: str) -> str:
    heading = heading.rstrip(" \t")
    unmarked = heading.rstrip("#")
    return unmarked.rstrip(" \t") if unmarked.endswith((" ", "\t")) else heading
