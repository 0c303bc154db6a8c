"""Mails as Outlook keeps them (MS-OXMSG)."""

import re
import struct
from datetime import UTC, datetime, timedelta

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.attached import Part
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import MAX_MEMBERS, Bounds, broken
from trivium_gateway.ingestion.formats.compound import CompoundFile
from trivium_gateway.ingestion.html import html_text

__all__ = ["outlook_parts", "read_outlook"]

_SUBJECT, _BODY, _HTML, _RTF = "0037", "1000", "1013", "1009"
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP, _TO, _CC = "0C1A", "0C1F", "5D01", "0E04", "0E03"
_FILE_NAME, _LONG_FILE_NAME, _DATA, _MEDIA_TYPE = "3704", "3707", "3701", "370E"
_SENT = (0x0039, 0x0E06)
_STREAM = re.compile(r"__substg1\.0_([0-9A-F]{4})([0-9A-F]{4})\Z")
_ATTACHMENT = re.compile(r"(__attach_version1\.0_#[0-9A-Fa-f]{8})/([^/]+)\Z")
_TEXT, _NARROW_TEXT, _TIME = "001F", "001E", 0x0040
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


def read_outlook(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a mail: who wrote to whom and when, what, and the names of what is attached."""
    streams = CompoundFile(data).streams()
    own = _properties({path: content for path, content in streams.items() if "/" not in path})
    if not own:
        raise broken("Outlook mail")
    subject = _text(own, _SUBJECT)
    address = _text(own, _SENDER_SMTP) or _text(own, _SENDER_ADDRESS)
    sender = f"{_text(own, _SENDER)} <{address}>" if "@" in address else _text(own, _SENDER)
    facts = {
        "Subject": subject,
        "From": sender.strip(),
        "To": _text(own, _TO),
        "Cc": _text(own, _CC),
        "Date": _sent(streams.get("__properties_version1.0", b"")),
    }
    blocks = Blocks(bounds)
    blocks.heading(1, subject or "Mail")
    blocks.paragraph("\n".join(f"{name}: {value}" for name, value in facts.items() if value))
    text = _text(own, _BODY)
    if not text.strip() and (html := own.get(_HTML)):
        text = html_text(decode(html[1]))[1]
    blocks.paragraph(text.replace("\r\n", "\n").replace("\0", ""))
    blocks.paragraph("\n".join(f"Attachment: {part.name}" for part in _attachments(streams)))
    return subject, blocks.text()


def outlook_parts(data: bytes) -> list[Part]:
    """Give what is attached to a mail, but for mails of Outlook's own form, which are kept in its folders."""
    return _attachments(CompoundFile(data).streams())


def _attachments(streams: dict[str, bytes]) -> list[Part]:
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in streams.items():
        if (match := _ATTACHMENT.match(path)) and len(folders) < MAX_MEMBERS:
            folders.setdefault(match[1], {})[match[2]] = content
    parts = []
    for _, properties in sorted((name, _properties(inside)) for name, inside in folders.items()):
        if _DATA in properties:
            name = _text(properties, _LONG_FILE_NAME) or _text(properties, _FILE_NAME)
            parts.append(Part(name, _text(properties, _MEDIA_TYPE), properties[_DATA][1]))
    return parts


def _properties(streams: dict[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Give the values by tag, with their kinds."""
    matches = ((_STREAM.match(name), content) for name, content in streams.items())
    return {match[1]: (match[2], content) for match, content in matches if match}


def _text(properties: dict[str, tuple[str, bytes]], tag: str) -> str:
    kind, content = properties.get(tag, ("", b""))
    if kind == _TEXT:
        return content.decode("utf-16-le", "replace").strip("\0")
    return decode(content).strip("\0") if kind == _NARROW_TEXT else ""


def _sent(fixed: bytes) -> str:
    """Find when the mail was sent among the values of fixed length."""
    for at in range(32, len(fixed) - 15, 16):
        kind, tag, _, ticks = struct.unpack_from("<HHIQ", fixed, at)
        if tag in _SENT and kind == _TIME and ticks:
            try:
                return (_EPOCH + timedelta(microseconds=ticks // 10)).isoformat(" ", "seconds")
            except OverflowError:
                return ""
    return ""
