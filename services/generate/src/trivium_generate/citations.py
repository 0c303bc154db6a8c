"""Finds the citations in an answer while it streams.

However the text is cut into pieces, the same answer and the same citations come out, and none of them is ever broken
between two deltas. What a model writes is brought to one form: `[1, 2]`, `【1】`, `［1］` and `[1-3]` become `[1][2]`,
`[1]`, `[1]` and `[1][2][3]`. A number without a passage is removed, together with the spaces before it if nothing of
its brackets remains. Nothing is touched inside Markdown code, where `values[0]` is no citation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trivium_generate.answer import Citation, Delta

if TYPE_CHECKING:
    from collections.abc import Collection

_OPENING = {"[": "]", "【": "】", "［": "］"}
_NUMBER = r"[0-9０-９]{1,9}"
_DASH = r"[-–—~～]"
_RANGE = rf"\s*{_NUMBER}\s*(?:{_DASH}\s*{_NUMBER}\s*)?"
# `†` begins a source's name in the form that some models are trained to cite in: 【1†report】.
_INSIDE = re.compile(rf"(?:{_RANGE})(?:[,，、;；]{_RANGE})*(?:†[^\]】］\n]*)?")
_PART = re.compile(rf"({_NUMBER})\s*(?:{_DASH}\s*({_NUMBER}))?")
# What may still become a citation while its closing bracket has not come.
_PREFIX = re.compile(r"[\s0-9０-９,，、;；\-–—~～]*(?:†[^\]】］\n]*)?")
# Text without any of these has neither citations nor code in it, nor ends any.
_MARKS = re.compile(r"[\[【［`\n]")
_MAX_GROUP_CHARS = 64
_MAX_RANGE = 50


class CitationParser:
    """Turns pieces of an answer into deltas. One parser reads one answer.

    Args:
        citable: Numbers of the passages that the answer is made from; citations of others are removed.
    """

    def __init__(self, citable: Collection[int]) -> None:
        self._citable = citable
        self._length = 0  # code points that have left
        self._spaces = ""  # white space that leaves with what follows it
        self._group: str | None = None  # an opening bracket and what followed it, as long as it may be a citation
        self._code = _CodeSpans()
        self._text: list[str] = []
        self._citations: list[Citation] = []
        self.removed_count = 0

    def feed(self, piece: str) -> Delta | None:
        """Reads the next piece of the answer.

        Returns:
            What can leave now; None if all of it has to wait for what follows.
        """
        if self._group is None and not self._code.pending and not _MARKS.search(piece):
            self._read_plain(piece)
        else:
            for char in piece:
                self._read(char)
        return self._take()

    def finish(self) -> Delta | None:
        """Reads the end of the answer; white space at its end is dropped, and so is a citation that was cut off.

        Returns:
            What had to wait, if that is anything.
        """
        self._group = None
        self._spaces = ""
        return self._take()

    def _read(self, char: str) -> None:
        if self._group is not None:
            if char == _OPENING[self._group[0]]:
                self._close_group(char)
                return
            if len(self._group) < _MAX_GROUP_CHARS and _PREFIX.fullmatch(self._group[1:] + char):
                self._group += char
                return
            self._give_up_group()
        self._code.read(char)
        if char.isspace():
            self._spaces += char
        elif char in _OPENING and not self._code.inside:
            self._group = char
        else:
            self._write(char)

    def _read_plain(self, piece: str) -> None:
        """As `_read` for each character of a piece that has no marks in it."""
        text = piece.rstrip()
        if text:
            self._write(text if self._length else text.lstrip())
        self._spaces += piece[len(text) :]

    def _close_group(self, closing: str) -> None:
        assert self._group is not None
        inside, group, self._group = self._group[1:], self._group + closing, None
        if not _INSIDE.fullmatch(inside):
            self._write(group)
            return
        numbers = _numbers(inside)
        known = [number for number in dict.fromkeys(numbers) if number in self._citable]
        self.removed_count += sum(1 for number in numbers if number not in self._citable)
        if not known:
            self._spaces = self._spaces if "\n" in self._spaces else ""
        for number in known:
            start = self._length + (len(self._spaces) if self._length else 0)
            mark = f"[{number}]"
            self._citations.append(Citation(number, start, start + len(mark)))
            self._write(mark)

    def _give_up_group(self) -> None:
        """Lets what looked like a citation go as plain text; a bracket inside it may begin one of its own."""
        group, self._group = self._group, None
        if group:
            self._write(group[0])
            for char in group[1:]:
                self._read(char)

    def _write(self, text: str) -> None:
        text, self._spaces = (self._spaces if self._length else "") + text, ""
        self._text.append(text)
        self._length += len(text)

    def _take(self) -> Delta | None:
        if not self._text:
            return None
        delta = Delta("".join(self._text), tuple(self._citations))
        self._text, self._citations = [], []
        return delta


class _CodeSpans:
    """Whether the text is inside Markdown code: a run of n backticks opens it, the next run of n closes it.

    A run of one or two that its own line does not close was no code.
    """

    def __init__(self) -> None:
        self._run = 0
        self._open = 0

    @property
    def inside(self) -> bool:
        """Whether the character that was read last belongs to code."""
        return self._open > 0

    @property
    def pending(self) -> bool:
        """Whether what the backticks before mean depends on the next character."""
        return self._run > 0

    def read(self, char: str) -> None:
        if char == "`":
            self._run += 1
            return
        if self._run:
            if not self._open:
                self._open = self._run
            elif self._open == self._run:
                self._open = 0
            self._run = 0
        if char == "\n" and self._open < 3:
            self._open = 0


def _numbers(inside: str) -> list[int]:
    """The numbers that the inside of a pair of brackets cites, in order; a range counts as all that it spans."""
    numbers: list[int] = []
    for first, last in _PART.findall(inside.partition("†")[0]):
        start, end = int(first), int(last or first)
        numbers.extend(range(start, end + 1) if start <= end < start + _MAX_RANGE else dict.fromkeys((start, end)))
    return numbers
