"""What Outlook puts mails and their attachments into on their way to others: `winmail.dat` (MS-OXTNEF)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.attached import Part
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import MAX_MEMBERS, Bounds, broken
from trivium_gateway.ingestion.html import html_text

__all__ = ["read_tnef", "tnef_parts"]

_SIGNATURE = b"\x78\x9f\x3e\x22"
_WHAT = "winmail.dat"
_OF_ATTACHMENT = 2
_SUBJECT, _BODY, _MESSAGE_PROPERTIES = 0x8004, 0x800C, 0x9003
_BEGINS, _TITLE, _DATA, _ATTACHMENT_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005
_P_SUBJECT, _P_BODY, _P_HTML, _P_DATA = 0x0037, 0x1000, 0x1013, 0x3701
_P_NAME, _P_LONG_NAME, _P_MEDIA_TYPE = 0x3704, 0x3707, 0x370E
_NARROW, _WIDE, _OBJECT, _BINARY = 0x001E, 0x001F, 0x000D, 0x0102
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
"""How many bytes the values of each kind that has a fixed length take."""
_MANY, _NAMED = 0x1000, 0x8000
_ID_BYTES = 16


@dataclass(slots=True)
class _Attached:
    title: str = ""
    data: bytes = b""
    properties: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def part(self) -> Part | None:
        name = _text(self.properties.get(_P_LONG_NAME)) or self.title or _text(self.properties.get(_P_NAME))
        kind, inner = self.properties.get(_P_DATA, (0, b""))
        if kind == _OBJECT and inner[_ID_BYTES:].startswith(_SIGNATURE):  # a mail that is attached
            return Part(name or "mail", "", inner[_ID_BYTES:])
        data = self.data or (inner if kind == _BINARY else b"")
        return Part(name, _text(self.properties.get(_P_MEDIA_TYPE)), data) if data else None


def read_tnef(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a mail's text, if it has it, and the names of what is attached."""
    subject, body, properties, attached = _read(data)
    subject = _text(properties.get(_P_SUBJECT)) or subject
    blocks = Blocks(bounds)
    blocks.heading(1, subject)
    text = _text(properties.get(_P_BODY)) or body
    if not text.strip() and _P_HTML in properties:
        text = html_text(decode(properties[_P_HTML][1]))[1]
    blocks.paragraph(text.replace("\r\n", "\n").replace("\0", ""))
    blocks.paragraph("\n".join(f"Attachment: {part.name or part.media_type}" for part in attached))
    return subject, blocks.text()


def tnef_parts(data: bytes) -> list[Part]:
    """Give what is attached."""
    return _read(data)[3]


def _read(data: bytes) -> tuple[str, str, dict[int, tuple[int, bytes]], list[Part]]:
    try:
        return _told(data)
    except struct.error as error:
        raise broken(_WHAT) from error


def _told(data: bytes) -> tuple[str, str, dict[int, tuple[int, bytes]], list[Part]]:
    subject = body = ""
    properties: dict[int, tuple[int, bytes]] = {}
    attached: list[_Attached] = []
    for level, tag, content in _attributes(data):
        if level == _OF_ATTACHMENT:
            if (tag == _BEGINS or not attached) and len(attached) < MAX_MEMBERS:
                attached.append(_Attached())
            if tag == _TITLE:
                attached[-1].title = _text((_NARROW, content))
            elif tag == _DATA:
                attached[-1].data = content
            elif tag == _ATTACHMENT_PROPERTIES:
                attached[-1].properties = dict(_properties(content))
        elif tag == _SUBJECT:
            subject = _text((_NARROW, content))
        elif tag == _BODY:
            body = _text((_NARROW, content))
        elif tag == _MESSAGE_PROPERTIES:
            properties = dict(_properties(content))
    return subject, body, properties, [part for each in attached if (part := each.part()) is not None]


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give what the file is made of: the level, the tag, the content."""
    if not data.startswith(_SIGNATURE):
        raise broken(_WHAT)
    at = 6
    while at + 9 <= len(data):
        level, tag, _, length = struct.unpack_from("<BHHI", data, at)
        at += 9
        if at + length > len(data):  # it was cut short
            raise broken(_WHAT)
        yield level, tag, data[at : at + length]
        at += length + 2


def _properties(content: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Give the properties of a mail or an attachment by tag, with their kinds; of several values the first."""
    (count,) = struct.unpack_from("<I", content)
    at = 4
    for _ in range(count):
        kind, tag = struct.unpack_from("<HH", content, at)
        at += 4
        if tag >= _NAMED:
            (form,) = struct.unpack_from("<I", content, at + 16)
            (length,) = struct.unpack_from("<I", content, at + 20)
            at += 24 + (_padded(length) if form else 0)
        is_many, kind = bool(kind & _MANY), kind & ~_MANY
        size = _SIZES.get(kind)
        values = 1
        if is_many or size is None:
            (values,) = struct.unpack_from("<I", content, at)
            at += 4
        found = b""
        for number in range(values):
            length = size or 0
            if size is None:
                (length,) = struct.unpack_from("<I", content, at)
                at += 4
            if at + length > len(content):
                raise broken(_WHAT)
            found = found if number else content[at : at + length]
            at += _padded(length)
        yield tag, (kind, found)


def _padded(length: int) -> int:
    return length + -length % 4


def _text(found: tuple[int, bytes] | None) -> str:
    kind, content = found or (0, b"")
    if kind == _WIDE:
        return content.decode("utf-16-le", "replace").strip("\0")
    return decode(content.rstrip(b"\0")).strip("\0") if kind == _NARROW else ""
