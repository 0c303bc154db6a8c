"""Mails, folders of mails, and web pages saved as mails (MHTML)."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage, MIMEPart
from itertools import islice

from trivium_serving.errors import InvalidField

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import MAX_ATTACHMENT_DEPTH, Bounds, broken, too_much
from trivium_gateway.ingestion.html import html_text

__all__ = ["MailReader", "read_mhtml"]

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
_MOST_PARTS = 1000
_MESSAGE_START = re.compile(rb"^From [^\r\n]*\r?\n(?=[A-Za-z-]+:)", re.M)

ReadFile = Callable[[bytes, str, str, Bounds], tuple[str, str]]
"""Reads a file of any format: its content, name and media type."""


class MailReader:
    """Reads mails and what is attached to them.

    Args:
        read_file: Reads attachments.
    """

    def __init__(self, read_file: ReadFile) -> None:
        self._read_file = read_file
        self._depth = 0

    def read_mail(self, data: bytes, bounds: Bounds) -> tuple[str, str]:
        """Read a mail: who wrote to whom and when, what, and each attachment under a heading with its name."""
        blocks = Blocks(bounds)
        message = _parsed(data)
        if not message.keys():
            raise broken("mail")
        self._add(message, blocks, bounds)
        return _header(message, "Subject"), blocks.text()

    def read_mailbox(self, data: bytes, bounds: Bounds) -> tuple[str, str]:
        """Read a folder of mails (mbox), each under a heading with its subject."""
        starts = [match.end() for match in _MESSAGE_START.finditer(data)]
        if not starts:
            raise broken("mailbox")
        bounds.check_pages(len(starts), "mails")
        ends = [*(match.start() for match in _MESSAGE_START.finditer(data)), len(data)][1:]
        blocks = Blocks(bounds)
        for begin, end in zip(starts, ends, strict=True):
            self._add(_parsed(re.sub(rb"^>(>*From )", rb"\1", data[begin:end], flags=re.M)), blocks, bounds)
        return "", blocks.text()

    def _add(self, message: EmailMessage, blocks: Blocks, bounds: Bounds) -> None:
        blocks.heading(1, _header(message, "Subject") or "Mail")
        blocks.paragraph("\n".join(f"{name}: {value}" for name in _HEADERS if (value := _header(message, name))))
        body = message.get_body(("plain", "html"))
        if body is not None:
            text = _content(body)
            blocks.paragraph(html_text(text)[1] if body.get_content_type() == "text/html" else text)
        if sum(1 for _ in islice(message.walk(), _MOST_PARTS + 1)) > _MOST_PARTS:
            raise too_much(f"more than {_MOST_PARTS} parts")
        for part in message.iter_attachments():
            self._add_attachment(part, blocks, bounds)

    def _add_attachment(self, part: EmailMessage, blocks: Blocks, bounds: Bounds) -> None:
        name = part.get_filename() or ""
        is_mail = part.get_content_type() == "message/rfc822"
        payload = part.get_content().as_bytes() if is_mail else part.get_payload(decode=True)
        if not isinstance(payload, bytes) or (part.get_content_disposition() == "inline" and not name):
            return
        media_type = part.get_content_type()
        if media_type == "application/octet-stream":
            media_type = ""
        blocks.heading(2, f"Attachment: {name or media_type or 'without a name'}")
        if self._depth >= MAX_ATTACHMENT_DEPTH:
            blocks.paragraph("(Not read: it is attached to what is attached, too often.)")
            return
        self._depth += 1
        try:
            blocks.paragraph(self._read_file(payload, name, media_type, bounds)[1])
        except InvalidField as error:
            # What cannot be read harms itself alone: the mail says that it is there.
            blocks.paragraph(f"(Not read: {error.message})")
        finally:
            self._depth -= 1


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
    return email.message_from_bytes(data, policy=email.policy.default)


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    for part in message.walk():
        if isinstance(part, EmailMessage):
            yield part


def _content(part: MIMEPart) -> str:
    """Decode a part's text; a charset that nobody knows, or a wrong one, is guessed."""
    try:
        text: str = part.get_content()
    except (LookupError, UnicodeError):
        payload = part.get_payload(decode=True)
        text = decode(payload) if isinstance(payload, bytes) else ""
    return text.replace("\0", "")


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError):  # which the parser of headers raises on damaged ones
        return ""
