"""Mails, folders of mails, and web pages saved as mails (MHTML)."""

import email
import email.policy
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage, Message, MIMEPart
from itertools import islice

from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.attached import Part
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken, encrypted, too_much
from trivium_gateway.ingestion.html import html_text

__all__ = ["mail_parts", "mailbox_parts", "read_mail", "read_mailbox", "read_mhtml"]

_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
"""Of S/MIME and PGP: what is written is encrypted, or within a signature."""
_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_MOST_PARTS = 1000
_MARK = b"\xef\xbb\xbf"
_MESSAGE_START = re.compile(rb"^From [^\r\n]*\r?\n(?=[A-Za-z-]+:)", re.M)


def read_mail(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a mail: who wrote to whom and when, what, and the names of what is attached."""
    blocks = Blocks(bounds)
    message = _parsed(data)
    if not message.keys():
        raise broken("mail")
    if message.get_content_type() in _SEALED:
        raise encrypted("mail")
    _add(message, blocks)
    return _header(message, "Subject"), blocks.text()


def read_mailbox(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a folder of mails (mbox), each under a heading with its subject."""
    messages = _messages(data)
    if not messages:
        raise broken("mailbox")
    bounds.check_pages(len(messages), "mails")
    blocks = Blocks(bounds)
    for message in messages:
        _add(_parsed(message), blocks)
    return "", blocks.text()


def mail_parts(data: bytes) -> list[Part]:
    """Give what is attached to a mail."""
    return list(_attachments(_parsed(data)))


def mailbox_parts(data: bytes) -> list[Part]:
    """Give what is attached to the mails of a folder, each name under the number of its mail."""
    return [
        replace(part, name=f"{number}/{part.name}")
        for number, message in enumerate(_messages(data), 1)
        for part in _attachments(_parsed(message))
    ]


def _messages(data: bytes) -> list[bytes]:
    found = list(_MESSAGE_START.finditer(data))
    ends = [*(match.start() for match in found[1:]), len(data)]
    return [
        re.sub(rb"^>(>*From )", rb"\1", data[match.end() : end], flags=re.M)
        for match, end in zip(found, ends, strict=True)
    ]


def _add(message: EmailMessage, blocks: Blocks) -> None:
    blocks.heading(1, _header(message, "Subject") or "Mail")
    blocks.paragraph("\n".join(f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))))
    if message.get_content_type() in _SEALED:
        blocks.paragraph("(encrypted)")
    for body in _bodies(message):
        text = _content(body)
        blocks.paragraph(html_text(text)[1] if body.get_content_type() == "text/html" else text)
    if isinstance(whole := message.get_payload(), str) and message.get_content_maintype() == "multipart":
        blocks.paragraph(whole)  # whose parts cannot be told, for their boundary is not there
    for report in _delivery_reports(message):
        blocks.paragraph(report)
    if sum(1 for _ in islice(message.walk(), _MOST_PARTS + 1)) > _MOST_PARTS:
        raise too_much(f"more than {_MOST_PARTS} parts")
    blocks.paragraph("\n".join(f"Attachment: {part.name or part.media_type}" for part in _attachments(message)))


def _bodies(message: EmailMessage) -> list[MIMEPart]:
    """Give what is written in a mail: its text, in the plainest form that says something, and texts behind that."""
    forms = [body for kind in ("plain", "html") if (body := message.get_body((kind,))) is not None]
    told = [body for body in forms if _content(body).strip()][:1]
    if not told and message.get_content_maintype() == "text":
        told = [message]
    return told + [part for part in message.iter_attachments() if _is_text_behind(part) and part not in forms]


def _delivery_reports(message: EmailMessage) -> Iterator[str]:
    """Give what a mail server says of a mail that it could not deliver."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status" and isinstance(groups := part.get_payload(), list):
            fields = (field for group in groups if isinstance(group, Message) for field in group.items())
            yield "\n".join(f"{name}: {value}" for name, value in fields)


def _is_text_behind(part: MIMEPart) -> bool:
    """Tell text that goes on behind an attachment, or that a mailing list adds."""
    is_text = part.get_content_type() in ("text/plain", "text/html")
    return is_text and not part.get_filename() and part.get_content_disposition() != "attachment"


def _attachments(message: EmailMessage) -> Iterator[Part]:
    """Give what is attached, but for pictures that the text shows."""
    for part in message.iter_attachments():
        if _is_text_behind(part):
            continue
        name = part.get_filename() or ""
        media_type = part.get_content_type()
        if media_type == "message/rfc822":
            inner = part.get_content()
            name = name or f"{_header(inner, 'Subject') or 'Mail'}.eml"
            payload: object = inner.as_bytes()
        else:
            payload = part.get_payload(decode=True)
        disposition = part.get_content_disposition()
        is_picture = media_type.startswith("image/")
        is_shown = disposition == "inline" and (not name or is_picture)
        is_shown = is_shown or (is_picture and not disposition and "Content-ID" in part)
        if isinstance(payload, bytes) and not is_shown:
            yield Part(name, "" if media_type == "application/octet-stream" else media_type, payload)


def read_mhtml(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a web page that was saved as one file."""
    pages = (part for part in _parts(_parsed(data)) if part.get_content_type() == "text/html")
    page = next(pages, None)
    if page is None:
        raise broken("MHTML page")
    title, text = html_text(_content(page))
    blocks = Blocks(bounds)
    blocks.paragraph(text)
    return title, blocks.text()


def _parsed(data: bytes) -> EmailMessage:
    return email.message_from_bytes(data.removeprefix(_MARK).lstrip(), policy=email.policy.default)


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if isinstance(part, EmailMessage):
            yield part


def _content(part: MIMEPart) -> str:
    """Decode a part's text; a charset that nobody knows or says, or a wrong one, is guessed."""
    try:
        text: str = part.get_content()
    except (LookupError, UnicodeError):
        text = "\ufffd"
    if "\ufffd" in text:
        payload = part.get_payload(decode=True)
        with suppress(InvalidField):
            text = decode(payload) if isinstance(payload, bytes) else ""
    return text.replace("\0", "")


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError):  # which the parser of headers raises on damaged ones
        return ""
