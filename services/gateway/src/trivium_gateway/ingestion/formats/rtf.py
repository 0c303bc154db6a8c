"""Rich Text Format."""

import codecs
import re
from dataclasses import dataclass, replace

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken, too_much
from trivium_gateway.ingestion.html_inline import inline_form

__all__ = ["read_rtf"]

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)"
)
_MOST_DEPTH = 1000
_MOST_LIST_DEPTH = 8
_NUMBER = re.compile(r"\(?(?:\w{1,6}\.){0,8}\w{1,6}[.)]?")
_DROPPED = frozenset(
    (
        *("fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "themedata", "datastore", "generator"),
        *("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf", "listtable"),
        *("listoverridetable", "fldinst", "xmlnstbl", "rsidtbl", "latentstyles", "nonshppict", "bkmkstart"),
        *("bkmkend", "annotation", "private", "mmathPr"),
    )
)
_CHARACTERS = {
    "tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ",
}  # fmt: skip


_ENCODINGS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
# By the charset that a font declares; 0 and 1 are as the document's.
_FONT_ENCODINGS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _State:
    """What holds within a group."""

    is_dropped: bool = False
    is_font: bool = False
    encoding: str = ""
    is_hidden: bool = False
    is_note: bool = False
    is_title: bool = False
    is_marker: bool = False
    raised: str = ""
    skipped_after_unicode: int = 1


def read_rtf(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a text: paragraphs, headings that have an outline level, tables, notes, exponents.

    Headers and footers of pages and pictures are left out.
    """
    if not data.lstrip().startswith(b"{\\rtf"):
        raise broken("RTF")
    return _Reader(bounds).read(data)


class _Reader:
    def __init__(self, bounds: Bounds) -> None:
        self._blocks = Blocks(bounds)
        self._encoding = "cp1252"
        self._font = 0
        self._fonts: dict[int, str] = {}
        self._state = _State()
        self._stack: list[_State] = []
        self._bytes = bytearray()
        self._line = ""
        self._title = ""
        self._note = ""
        self._notes: list[str] = []
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._is_in_table = False
        self._level = 0
        self._marker = ""
        self._depth = 0
        self._to_skip = 0
        self._raised_text = ""

    def read(self, data: bytes) -> tuple[str, str]:
        position = 0
        while token := _TOKEN.search(data, position):
            position = token.end()
            word, number, byte, sign, brace, text = token.groups()
            if word == b"bin":  # of a picture: what looks like text in it is none
                position += max(0, int(number or 0))
                continue
            if byte is not None:
                self._add_byte(bytes([int(byte, 16)]))
                continue
            if text is not None:
                skipped = min(self._to_skip, len(text))
                self._to_skip -= skipped
                self._add_byte(text[skipped:])
                continue
            self._flush_bytes()
            if brace:
                self._brace(brace)
            elif sign:
                self._sign(sign.decode("latin-1"))
            elif word:
                self._word(word.decode(), int(number) if number else None)
        self._flush_bytes()
        self._end_paragraph()
        self._end_table()
        for number, note in enumerate(self._notes, 1):
            self._blocks.paragraph(f"[^{number}]: {note.strip()}")
        return self._title, self._blocks.text()

    def _brace(self, brace: bytes) -> None:
        self._flush_raised()
        if brace == b"{":
            if len(self._stack) >= _MOST_DEPTH:
                raise too_much(f"groups nested deeper than {_MOST_DEPTH}")
            self._stack.append(self._state)
        elif self._stack:
            before, self._state = self._state, self._stack.pop()
            if before.is_note and not self._state.is_note:
                self._notes.append(self._note)
                self._line += f"[^{len(self._notes)}]"
                self._note = ""

    def _sign(self, sign: str) -> None:
        if sign == "*":
            self._state = replace(self._state, is_dropped=True)
        elif sign in "\\{}~_-":
            self._add_text({"~": " ", "_": "-", "-": ""}.get(sign, sign))

    def _word(self, word: str, number: int | None) -> None:
        if word in ("super", "sub", "nosupersub", "plain"):
            self._flush_raised()
            raised = {"super": "sup", "sub": "sub"}.get(word, "") if number != 0 else ""
            self._state = replace(self._state, raised=raised)
            if word == "plain":
                self._state = replace(self._state, is_hidden=False, encoding="")
        elif word == "title" and self._stack and self._state.is_dropped:
            self._state = replace(self._state, is_title=True)
        elif word in ("deleted", "v"):  # what a tracked change deletes, and what is hidden
            self._state = replace(self._state, is_hidden=number != 0)
        elif word in _DROPPED:
            self._state = replace(self._state, is_dropped=True, is_font=word == "fonttbl")
        elif word in ("listtext", "pntext"):
            self._state = replace(self._state, is_marker=True)
        elif word == "footnote":
            self._state = replace(self._state, is_note=True)
        elif word == "u" and number is not None:
            code = number % 0x10000
            self._add_text(chr(code))
            self._to_skip = self._state.skipped_after_unicode
        elif word == "uc":
            self._state = replace(self._state, skipped_after_unicode=max(0, number or 0))
        elif word == "ansicpg" and number:
            self._set_encoding(number)
        elif word in _ENCODINGS:
            self._encoding = _ENCODINGS[word]
        elif word == "shptxt":  # of a text box, whose drawing is dropped
            self._state = replace(self._state, is_dropped=False)
        elif word == "f" and number is not None:
            self._choose_font(number)
        elif word == "fcharset" and self._state.is_font:
            self._fonts[self._font] = _FONT_ENCODINGS.get(number or 0, "")
        elif word in _CHARACTERS:
            self._add_text(_CHARACTERS[word])
        elif not self._state.is_dropped and not self._state.is_note:
            self._layout(word, number)

    def _layout(self, word: str, number: int | None) -> None:
        if word in ("par", "sect", "page") and not self._is_in_table:
            self._end_paragraph()
        elif word in ("par", "line"):
            self._line += " "
        elif word == "pard":
            self._level, self._is_in_table, self._depth = 0, False, 0
        elif word == "ilvl":
            self._depth = min(number or 0, _MOST_LIST_DEPTH)
        elif word == "outlinelevel":
            self._level = (number or 0) + 1
        elif word in ("intbl", "trowd"):
            self._is_in_table = True
        elif word == "cell":
            self._flush_raised()
            self._cells.append(self._line.strip())
            self._line = ""
        elif word in ("nestcell", "nestrow"):  # of a table within a cell, which is told in a line
            self._flush_raised()
            self._line = self._line.rstrip(", ") + (", " if word == "nestcell" else "; ")
        elif word == "row":
            self._rows.append(self._cells)
            self._cells = []
            self._is_in_table = False

    def _choose_font(self, number: int) -> None:
        if self._state.is_font:
            self._font = number
        else:
            self._state = replace(self._state, encoding=self._fonts.get(number, ""))

    def _set_encoding(self, number: int) -> None:
        name = "utf-8" if number == 65001 else f"cp{number}"
        try:
            codecs.lookup(name)
        except LookupError:
            return
        self._encoding = name

    def _add_byte(self, data: bytes) -> None:
        if self._to_skip and len(data) == 1:
            self._to_skip -= 1
        else:
            self._bytes += data

    def _flush_bytes(self) -> None:
        if self._bytes:
            text, self._bytes = (
                self._bytes.decode(self._state.encoding or self._encoding, errors="replace"),
                bytearray(),
            )
            self._add_text(text)

    def _add_text(self, text: str) -> None:
        if self._state.is_title:
            self._title += text
        elif self._state.is_dropped or self._state.is_hidden:
            return
        elif self._state.is_marker:
            self._marker += text
        elif self._state.is_note:
            self._note += text
        elif self._state.raised:
            self._raised_text += text
        else:
            self._line += text

    def _flush_raised(self) -> None:
        raised, self._raised_text = self._raised_text.strip(), ""
        if raised and self._state.raised:
            self._line += inline_form(self._state.raised, raised, self._line[-40:], is_link=False)

    def _end_paragraph(self) -> None:
        self._flush_raised()
        line, self._line = self._joined(self._line), ""
        if line.strip():
            self._end_table()
        marker, self._marker = self._marker.strip(), ""
        if marker and not self._level:
            self._blocks.item(self._depth, marker if _NUMBER.fullmatch(marker) else "-", line)
        elif self._level and self._level <= 9:
            self._blocks.heading(self._level, line)
        else:
            self._blocks.paragraph(line)

    def _end_table(self) -> None:
        if self._rows:
            self._blocks.table([[self._joined(cell) for cell in row] for row in self._rows])
            self._rows = []

    @staticmethod
    def _joined(text: str) -> str:
        """Put the halves of surrogate pairs together, as which RTF writes what is beyond the first plane."""
        return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
