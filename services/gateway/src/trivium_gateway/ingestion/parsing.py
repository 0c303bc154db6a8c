"""A document as it arrives, to its title and stored text."""

import asyncio
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.decoding import decode, stored_form
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.library.documents import NewDocument

__all__ = ["ContentType", "DocumentParser", "ParsedDocument", "content_type_of"]


class ContentType(Enum):
    """What can be read."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a document says.

    Attributes:
        title: The title given, else the content's own; may be empty.
        text: The text as it is stored; never blank.
    """

    title: str
    text: str


_BY_MEDIA_TYPE = {
    "text/plain": ContentType.TEXT,
    "text/markdown": ContentType.MARKDOWN,
    "text/x-markdown": ContentType.MARKDOWN,
    "text/html": ContentType.HTML,
    "application/xhtml+xml": ContentType.HTML,
    "application/pdf": ContentType.PDF,
    "application/x-pdf": ContentType.PDF,
}
_BY_ENDING = {
    ".txt": ContentType.TEXT,
    ".text": ContentType.TEXT,
    ".md": ContentType.MARKDOWN,
    ".markdown": ContentType.MARKDOWN,
    ".mdown": ContentType.MARKDOWN,
    ".mkd": ContentType.MARKDOWN,
    ".html": ContentType.HTML,
    ".htm": ContentType.HTML,
    ".xhtml": ContentType.HTML,
    ".pdf": ContentType.PDF,
}
# Possessive: what is not a page would else be divided into comments in every way there is.
_HTML_START = re.compile(rb"(?:\s++|<!--.*?-->|<\?xml.*?\?>)*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_SNIFFED_BYTES = 1024

_LARGE = 200_000
"""Characters or bytes from which on the event loop does not wait for the work."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX_HEADING = re.compile(r" {0,3}#{1,6}[ \t]++(.+)")
_SETEXT_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_SEARCHED_LINES = 1000
_INLINE_MARKUP = re.compile(r"!?\[([^\[\]]*+)\]\([^()]*+\)|`+|\*+(?=\S)|(?<=\S)\*+")
_MAX_HEADING_CHARACTERS = 1000
_BLANKS = re.compile(r"\s+")


def content_type_of(data: bytes, filename: str = "", media_type: str = "") -> ContentType:
    """Tell a file's type: by its media type, else by its name's ending, else by its content."""
    media_type = media_type.partition(";")[0].strip().lower()
    by_ending = _BY_ENDING.get(PurePath(filename).suffix.lower())
    if media_type == "text/plain":  # which senders that know no better call Markdown, too
        return by_ending or ContentType.TEXT
    by_name = _BY_MEDIA_TYPE.get(media_type, by_ending)
    if by_name is not None:
        return by_name
    if b"%PDF-" in data[:_SNIFFED_BYTES]:
        return ContentType.PDF
    return (
        ContentType.HTML if _HTML_START.match(data[:_SNIFFED_BYTES].removeprefix(b"\xef\xbb\xbf")) else ContentType.TEXT
    )


class DocumentParser:
    """Reads text, Markdown, HTML and PDF.

    Args:
        extractor: Reads what takes a parser.
        limits: What is allowed.
    """

    def __init__(self, extractor: Extractor, limits: GatewayLimits) -> None:
        self._extractor = extractor
        self._limits = limits

    async def parse(self, document: NewDocument) -> ParsedDocument:
        """Find a document's title and text.

        Raises:
            InvalidField: There is no content, or it cannot be read.
            TooLarge: It is over a limit.
        """
        content = document.text if document.text is not None else document.data
        if content is None:
            raise InvalidField("text", "The document has neither a text nor a file.", reason="EMPTY_DOCUMENT")
        self._check_size(len(content))  # in characters at least; the text that is stored is measured in bytes
        own_title = ""
        content_type = ContentType.TEXT
        if isinstance(content, bytes):
            content_type = content_type_of(content, document.filename, document.media_type)
            if content_type is ContentType.HTML or content_type is ContentType.PDF:
                extracted = await self._extractor.extract(content_type.value, content)
                own_title, content = extracted.title, extracted.text
        if len(content) > _LARGE:
            text = await asyncio.to_thread(_text_of, content)
        else:
            text = _text_of(content)
        self._check_size(len(text.encode()))
        if content_type is ContentType.MARKDOWN:
            own_title = _first_heading(text)
        title = _one_line(document.title) or _one_line(own_title)[: self._limits.max_title_characters]
        return ParsedDocument(title, text)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_document_bytes:
            raise TooLarge(
                f"The document has {size} bytes; at most {self._limits.max_document_bytes} are allowed. Split it.",
                reason="DOCUMENT_TOO_LARGE",
            )


def _text_of(content: str | bytes) -> str:
    return stored_form(decode(content) if isinstance(content, bytes) else content)


def _first_heading(markdown: str) -> str:
    """Find the first heading outside of code, among the first lines."""
    fence = ""
    previous = ""
    for whole_line in markdown.split("\n", _SEARCHED_LINES)[:_SEARCHED_LINES]:
        line = whole_line[:_MAX_HEADING_CHARACTERS]
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence):
                fence = ""
        elif mark:
            fence = mark[1]
        elif heading := _ATX_HEADING.match(line):
            return _INLINE_MARKUP.sub(r"\1", _without_closing_marks(heading[1]))
        elif previous.strip() and previous.strip("-= \t") and _SETEXT_UNDERLINE.match(line):
            return _INLINE_MARKUP.sub(r"\1", previous)
        previous = line
    return ""


def _without_closing_marks(heading: str) -> str:
    heading = heading.rstrip(" \t")
    unmarked = heading.rstrip("#")
    return unmarked.rstrip(" \t") if unmarked.endswith((" ", "\t")) else heading


def _one_line(title: str) -> str:
    printable = "".join(character for character in title if character.isprintable() or character.isspace())
    return _BLANKS.sub(" ", printable).strip()
