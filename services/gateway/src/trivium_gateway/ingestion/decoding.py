"""Bytes to text: which encodings are read, and the form that stored text has."""

import codecs
import re
from contextlib import suppress

from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.detection import detected
from trivium_gateway.ingestion.embedded_data import check_readable, without_embedded_data

__all__ = ["charset_of", "decode", "stored_form", "without_terminal_codes"]

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF16_SAMPLE_BYTES = 4096
_UTF16_ZEROS = 0.1

_DECLARATION_BYTES = 4096
_DECLARATION = re.compile(
    rb"""(?:<meta\s[^>]{0,200}?charset|<\?xml\s[^>]{0,200}?encoding|@charset|coding[:=])\s{0,8}=?\s{0,8}["']?([\w.:-]{2,40})""",
    re.I,
)
_CHARSET_PARAMETER = re.compile(r""";\s{0,8}charset\s{0,8}=\s{0,8}["']?([\w.:-]{2,40})""", re.I)
# What the web means by a name is more than it says.
_MEANT = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "tis-620": "cp874",
}
_ISO_2022_JP = b"\x1b$B"
_LIKE_ASCII = frozenset(("iso2022_jp", "iso2022_kr", "hz"))
_TEXT_ENCODINGS = (
    frozenset(["gb18030", "big5hkscs", "cp932", "euc_jp", "cp949", "koi8-r", "koi8-u", "mac-roman", "cp437", "cp850"])
    | frozenset(f"cp{number}" for number in (866, 874, *range(1250, 1259)))
    | frozenset(f"iso8859-{number}" for number in range(2, 17))
    | _LIKE_ASCII
)
_BROKEN_SHARE = 0.01
_LEAST_WHOLE_PER_BROKEN = 3
"""So many characters beyond ASCII that are right in UTF-8, for each byte that is not: in no other encoding they are."""
_NOT_DECODED = re.compile("[\udc80-\udcff]+")
_ANSI_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]{0,20}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\))")

# Whitespace, control characters and zero-width marks: what the embed service takes for blank.
_BLANK = r"\s\x01-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff"
_LONG_BLANK = re.compile(f"(?<![{_BLANK}])([{_BLANK}]{{1000}})[{_BLANK}]+")
_VISIBLE = re.compile(f"[^{_BLANK}]")


def decode(data: bytes, charset: str = "") -> str:
    """Read text: as its byte order mark says, else as UTF-8, else as it is declared, else as it looks.

    UTF-8 goes before a declaration, because text in another encoding is not UTF-8 by chance, and many pages declare
    what they no longer are.

    Args:
        data: The text.
        charset: The encoding that came with it; its own declaration (`<meta charset>`, `<?xml encoding`, `coding:`) is
            looked for if that is empty.

    Raises:
        InvalidField: It is in no encoding that can be told (NOT_UTF8), or no text at all (BINARY_CONTENT).
    """
    if data.startswith((*_UTF32_MARKS, *_UTF16_MARKS)):
        name = "UTF-32" if data.startswith(_UTF32_MARKS) else "UTF-16"
        try:
            return data.decode(name)
        except UnicodeDecodeError as error:
            raise InvalidField(
                "data",
                f"The file begins as {name}, but byte {error.start} breaks it. Save it as UTF-8.",
                reason="NOT_UTF8",
            ) from None
    if b"\0" in data:
        text = _unmarked_utf16(data)
        if text is not None:
            return text
        raise InvalidField(
            "data",
            f"The file is binary: byte {data.index(0)} is zero. It is none of the formats that can be read.",
            reason="BINARY_CONTENT",
        )
    declared = _known_encoding(charset or _declared(data))
    if not declared and _ISO_2022_JP in data:  # which no other text has
        declared = "iso2022_jp"
    if declared in _LIKE_ASCII:  # only the declaration tells them from UTF-8
        with suppress(UnicodeDecodeError):
            return data.decode(declared)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        begin = error.start
    if (text := _mostly_utf8(data)) is not None:
        return text
    if declared:
        # A page with a few broken bytes is still readable as what it says it is, and as nothing else.
        text = data.decode(declared, errors="replace")
        if text.count("\ufffd") <= len(text) * _BROKEN_SHARE:
            return text
    found = detected(data)
    if found is None:
        raise InvalidField(
            "data",
            f"The file is not UTF-8: byte {begin} is 0x{data[begin]:02x}. Save it as UTF-8.",
            reason="NOT_UTF8",
        )
    return found


def charset_of(media_type: str) -> str:
    """Give the charset of a media type; empty if it has none."""
    found = _CHARSET_PARAMETER.search(media_type)
    return found[1] if found else ""


def _declared(data: bytes) -> str:
    found = _DECLARATION.search(data, 0, _DECLARATION_BYTES)
    return found[1].decode("ascii") if found else ""


def _known_encoding(charset: str) -> str:
    """Give Python's name of an encoding, or of the larger one that is meant by it on the web; empty if unknown."""
    name = charset.strip().lower().replace("_", "-")
    if not name or "\0" in name:
        return ""
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return ""
    name = _MEANT.get(name, name)
    # Not all codecs are of text, and what UTF-16 or UTF-8 declares was tried before.
    return "" if name.startswith("utf") or name not in _TEXT_ENCODINGS else name


def _mostly_utf8(data: bytes) -> str | None:
    """Read UTF-8 with some bytes that are none, as in a file cut short or one that programs of two encodings wrote."""
    text = data.decode("utf-8-sig", errors="surrogateescape")
    broken = sum(len(run[0]) for run in _NOT_DECODED.finditer(text))
    whole = sum(1 for character in text if character > "\x7f") - broken
    if whole < _LEAST_WHOLE_PER_BROKEN * broken:
        return None
    return _NOT_DECODED.sub(lambda run: run[0].encode("utf-8", "surrogateescape").decode("cp1252", "replace"), text)


def without_terminal_codes(text: str) -> str:
    """Take out what colours a terminal's text, as logs have it."""
    return _ANSI_SEQUENCE.sub("", text) if "\x1b" in text else text


def _unmarked_utf16(data: bytes) -> str | None:
    """Read UTF-16 without a mark, in which every other byte of ASCII characters is zero."""
    sample = data[:_UTF16_SAMPLE_BYTES]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if len(data) % 2 or min(even, odd) or max(even, odd) < len(sample) * _UTF16_ZEROS:
        return None
    try:
        return data.decode("utf-16-be" if even else "utf-16-le")
    except UnicodeDecodeError:
        return None


def stored_form(text: str) -> str:
    r"""Give text the form in which it is stored, which spans refer to.

    Lines end in `\n`, a byte order mark and the data of `data:` addresses are gone, and no run of blanks is longer than
    1,000 characters, so that every piece of bounded length can have words in it.

    Raises:
        InvalidField: The text is blank (EMPTY_DOCUMENT), has NUL characters (BINARY_CONTENT), half of a surrogate pair
            (NOT_UTF8), or is mostly encoded data (UNREADABLE_TEXT).
    """
    if "\0" in text:
        raise InvalidField(
            "text", f"The text has a NUL character at position {text.index(chr(0))}.", reason="BINARY_CONTENT"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidField(
            "text", f"The text has half of a surrogate pair at position {error.start}.", reason="NOT_UTF8"
        ) from None
    text = without_embedded_data(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    if not _VISIBLE.search(text):
        raise InvalidField("text", "The document has no text.", reason="EMPTY_DOCUMENT")
    check_readable(text)
    return _LONG_BLANK.sub(r"\1", text)
