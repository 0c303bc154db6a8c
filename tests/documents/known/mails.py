"""Facts in mails, in what is attached to them, and in archives."""

from __future__ import annotations

import gzip
import io
import tarfile
from email.message import EmailMessage
from typing import TYPE_CHECKING

from documents.files import packed
from documents.known.outlook import msg
from documents.known.prints import Page, pdf
from documents.known.recipe import Recipe
from documents.known.web import html_table
from documents.known.word import docx_table

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_CSV = ("pumps.csv", "text/csv")
_PDF = ("pumps.pdf", "application/pdf")
_DOCX = ("pumps.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")


def mail(
    text: str = "See what is attached.", *attached: tuple[str, str, bytes], html: str = "", subject: str = "Pumps"
) -> EmailMessage:
    """A mail with attachments: name, media type, content."""
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "Jo <jo@example.org>", "ed@example.org"
    message["Date"], message["Message-ID"] = "Mon, 02 Nov 2026 10:00:00 +0000", "<1@example.org>"
    message.set_content(text, cte="base64")
    if html:
        message.add_alternative(html, subtype="html")
    for name, media_type, content in attached:
        main, _, sub = media_type.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message


def _csv(subject: Subject) -> bytes:
    return "\n".join(",".join(row) for row in subject.rows()).encode()


def _pdf(subject: Subject) -> bytes:
    return pdf(Page().lines(*subject.prose(2)), Page().lines(*subject.prose(1), subject.sentence))


def _html_only(subject: Subject) -> bytes:
    message = mail()
    message.clear_content()
    message.set_content(f"<html><body><p>Dear Ed,</p>{html_table(subject.rows())}</body></html>", subtype="html")
    return message.as_bytes()


def _attached_mail(subject: Subject) -> bytes:
    message = mail("I pass this on.", subject="Fwd: Pumps")
    message.add_attachment(mail("\n\n".join([*subject.prose(2), subject.sentence]), subject=f"About {subject.name}"))
    return message.as_bytes()


def _mbox(*messages: EmailMessage) -> bytes:
    return b"".join(
        b"From jo@example.org Mon Nov  2 10:00:00 2026\n" + message.as_bytes().replace(b"\nFrom ", b"\n>From ") + b"\n"
        for message in messages
    )


def _tar(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _text(subject: Subject) -> bytes:
    return "\n\n".join([*subject.prose(3), subject.sentence]).encode()


_FLOW = "Flow: {flow}"

RECIPES = [
    Recipe(".eml", "text in base64", lambda s: mail("\n\n".join([*s.prose(2), s.sentence])).as_bytes()),
    Recipe(".eml", "HTML alone", _html_only, said=_FLOW),
    Recipe(".eml", "attached CSV", lambda s: mail("Here.", (*_CSV, _csv(s))).as_bytes(), said=_FLOW, part="pumps.csv"),
    Recipe(".eml", "attached PDF", lambda s: mail("Here.", (*_PDF, _pdf(s))).as_bytes(), page=2, part="pumps.pdf"),
    Recipe(
        ".eml",
        "attached Word document",
        lambda s: mail("Here.", (*_DOCX, docx_table(s))).as_bytes(),
        said=_FLOW,
        heading="Limits",
        part="pumps.docx",
    ),
    Recipe(".eml", "attached mail", _attached_mail, heading="About {name}"),
    Recipe(
        ".eml",
        "attached archive",
        lambda s: mail("Here.", ("all.zip", "application/zip", packed({"in/pumps.txt": _text(s)}))).as_bytes(),
        part="in/pumps.txt",
    ),
    Recipe(
        ".eml",
        "sender",
        lambda s: mail("All is well.", subject=f"The {s.name} pump").as_bytes(),
        "Who wrote the mail about the {name} pump?",
        "jo@example.org",
    ),
    Recipe(
        ".mbox",
        "second mail",
        lambda s: _mbox(mail(subject="One"), mail(_text(s).decode(), subject=f"About {s.name}")),
        heading="About {name}",
    ),
    Recipe(
        ".mbox",
        "attached CSV",
        lambda s: _mbox(mail(subject="One"), mail("Here.", (*_CSV, _csv(s)), subject="Two")),
        said=_FLOW,
        part="pumps.csv",
    ),
    Recipe(
        ".mbox", "a line that begins with From", lambda s: _mbox(mail(f"Dear Ed,\n\nFrom today on: {s.sentence}\n"))
    ),
    Recipe(".msg", "text", lambda s: msg("Pumps", _text(s).decode())),
    Recipe(
        ".msg", "attached CSV", lambda s: msg("Pumps", "Here.", {"pumps.csv": _csv(s)}), said=_FLOW, part="pumps.csv"
    ),
    Recipe(
        ".zip", "text in a folder", lambda s: packed({"a/pumps.txt": _text(s), "b.txt": "Nothing."}), part="a/pumps.txt"
    ),
    Recipe(
        ".zip",
        "PDF in an archive in an archive",
        lambda s: packed({"inner.zip": packed({"pumps.pdf": _pdf(s)}), "b.txt": "Nothing."}),
        page=2,
        part="inner.zip!/pumps.pdf",
    ),
    Recipe(
        ".zip",
        "mail with an attached CSV",
        lambda s: packed({"mails/1.eml": mail("Here.", (*_CSV, _csv(s))).as_bytes()}),
        said=_FLOW,
        part="pumps.csv",
    ),
    Recipe(
        ".tar.gz",
        "Word document",
        lambda s: _tar({"docs/pumps.docx": docx_table(s)}),
        said=_FLOW,
        heading="Limits",
        part="docs/pumps.docx",
    ),
    Recipe(".txt.gz", "text", lambda s: gzip.compress(_text(s))),
]
