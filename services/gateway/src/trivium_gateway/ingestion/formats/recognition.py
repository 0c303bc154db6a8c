"""Which format a file has: by what it begins with, its media type, its name."""

import re
from pathlib import PurePath

from trivium_formats import FORMATS, REFUSALS, Format, Refusal, format_named, names_of_formats, refusal_named
from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.formats.ocr import HOW_TO_INSTALL, ocr_is_installed

__all__ = ["IN_PLACE", "recognise"]

IN_PLACE = frozenset(("text", "markdown", "code"))
"""The formats that are text as they are, and need no reader."""

_TEXT = FORMATS[0]
_HTML = format_named(".html")
_PDF = format_named(".pdf")

# Possessive: what is not a page would else be divided into comments in every way there is.
_HTML_START = re.compile(rb"(?:\s++|<!--.*?-->|<\?xml.*?\?>)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
# Four headers in a row, one of which no text has by chance.
_MAIL_START = re.compile(
    rb"(?=(?:[^\n]+\n){0,30}?(?:Message-ID|MIME-Version|Received|Return-Path):)"
    rb"(?:[A-Za-z-]+: [^\n]*\n(?:[ \t][^\n]*\n)*){4}",
    re.I,
)
_PACKED = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PARTS = ((b"word/document", ".docx"), (b"ppt/presentation", ".pptx"), (b"xl/workbook", ".xlsx"))
_DIRECTORY_BYTES = 1 << 20
_CONTAINERS = frozenset(format_named(ending) for ending in (".docx", ".pptx", ".xlsx", ".odt", ".ods", ".odp", ".epub"))
_ARCHIVE = format_named(".zip")
_OUTLOOK = format_named(".msg")
_TNEF = format_named(".tnef")
_TNEF_START = b"\x78\x9f\x3e\x22"
_PICTURE = format_named(".png")
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_RIFF, _WEBP = b"RIFF", b"WEBPVP8"
_OUTLOOK_STREAM = "__properties_version1.0".encode("utf-16-le")
_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_TAR_MAGIC = slice(257, 262)
_MARK = b"\xef\xbb\xbf"
_SNIFFED_BYTES = 1024
_BINARY = re.compile(rb"[\x00-\x08]")


def recognise(data: bytes, filename: str = "", media_type: str = "") -> Format:
    """Tell a file's format.

    What a file begins with, if that is unmistakable, counts most; then the media type, then the name's ending. Senders
    who know no better say `text/plain`, so that the ending may say more. Whatever is left is plain text.

    Raises:
        InvalidField: It is a format that cannot be read, or not without what is not installed (UNSUPPORTED_FORMAT);
            the message says which, and what to do.
    """
    named = _by_name(filename, media_type)
    found = _by_signature(data, named) or named or _by_beginning(data) or _TEXT
    if isinstance(found, Refusal):
        raise InvalidField(
            "data", f"The file is {found.title}. {found.instead}. Trivium reads {names_of_formats()}.",
            reason="UNSUPPORTED_FORMAT",
        )  # fmt: skip
    if found.extra and not ocr_is_installed():
        raise InvalidField(
            "data", f"The file is a picture. {HOW_TO_INSTALL}, or send its text, or a PDF with a text layer.",
            reason="UNSUPPORTED_FORMAT",
        )  # fmt: skip
    return found


def _by_name(filename: str, media_type: str) -> Format | Refusal | None:
    ending = PurePath(filename).suffix
    media_type = media_type.partition(";")[0].strip()
    told = format_named(media_type)
    by_ending = format_named(ending)
    if told is not None and told is not _TEXT:
        return told
    return by_ending or refusal_named(ending) or told or refusal_named(media_type)


def _by_signature(data: bytes, named: Format | Refusal | None) -> Format | Refusal | None:
    """Tell what a file begins with that no text begins with."""
    if data.startswith(b"%PDF-"):
        return _PDF
    if data.startswith(b"{\\rtf"):
        return format_named(".rtf")
    if not _BINARY.search(data, 0, _SNIFFED_BYTES):
        return None
    if data.startswith(_PACKED):
        packed = _packed_format(data)
        if packed is not None:
            return packed
    if data.startswith(_TNEF_START):
        return _TNEF
    if data.startswith(_OLE) and _OUTLOOK_STREAM in data:
        return _OUTLOOK
    if data.startswith(_PICTURES) or (data.startswith(_RIFF) and data[8:].startswith(_WEBP)):
        return _PICTURE
    if not (isinstance(named, Refusal) or named in _CONTAINERS) and (
        data.startswith(_ARCHIVES) or data[_TAR_MAGIC] == b"ustar"
    ):
        return _ARCHIVE
    found = next((each for each in REFUSALS if data.startswith(each.signatures)), None)
    # What a name says of a container is more exact, and so is what its reader says of one that is encrypted.
    is_container = data.startswith((_PACKED, _OLE))
    return named if found and is_container and (isinstance(named, Refusal) or named in _CONTAINERS) else found


def _packed_format(data: bytes) -> Format | None:
    """Tell the format of an archive by its first part, if it says so, or else by the directory at its end."""
    if data[30:38] == b"mimetype":
        length = int.from_bytes(data[18:22], "little")
        return format_named(data[38 : 38 + min(length, 100)].decode("latin-1").strip())
    directory = data[-_DIRECTORY_BYTES:]
    return next((format_named(ending) for part, ending in _PARTS if part in directory), None)


def _by_beginning(data: bytes) -> Format | None:
    """Tell what nobody named."""
    beginning = data[:_SNIFFED_BYTES].removeprefix(_MARK)
    if b"%PDF-" in beginning:
        return _PDF
    if _HTML_START.match(beginning):
        return _HTML
    return format_named(".eml") if _MAIL_START.match(beginning) else None
