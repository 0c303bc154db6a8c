"""Bytes to text: which encodings are read, and the form that stored text has."""

import codecs
import re

from trivium_serving.errors import InvalidField

__all__ = ["decode", "stored_form"]

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Whitespace, control characters and zero-width marks: what the embed service takes for blank.
_BLANK = r"\s\x01-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff"
_LONG_BLANK = re.compile(f"(?<![{_BLANK}])([{_BLANK}]{{1000}})[{_BLANK}]+")
_VISIBLE = re.compile(f"[^{_BLANK}]")


def decode(data: bytes) -> str:
    """Read UTF-8 with or without a byte order mark, or UTF-16 with one.

    Raises:
        InvalidField: It is something else (NOT_UTF8), or no text at all (BINARY_CONTENT).
    """
    if data.startswith(_UTF16_MARKS):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InvalidField(
                "data",
                f"The file begins as UTF-16, but byte {error.start} breaks it. Save it as UTF-8.",
                reason="NOT_UTF8",
            ) from None
    if b"\0" in data:
        raise InvalidField(
            "data",
            f"The file is binary: byte {data.index(0)} is zero. It is none of the formats that can be read.",
            reason="BINARY_CONTENT",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidField(
            "data",
            f"The file is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}. Save it as UTF-8.",
            reason="NOT_UTF8",
        ) from None


def stored_form(text: str) -> str:
    r"""Give text the form in which it is stored, which spans refer to.

    Lines end in `\n`, a byte order mark is gone, and no run of blanks is longer than 1,000 characters, so that every
    piece of bounded length can have words in it.

    Raises:
        InvalidField: The text is blank (EMPTY_DOCUMENT), has NUL characters (BINARY_CONTENT), or half of a surrogate
            pair (NOT_UTF8).
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
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not _VISIBLE.search(text):
        raise InvalidField("text", "The document has no text.", reason="EMPTY_DOCUMENT")
    return _LONG_BLANK.sub(r"\1", text)
