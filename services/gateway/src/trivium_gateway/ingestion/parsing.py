"""A document as it arrives, to its title and stored text."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.chunks import LineBox
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.decoding import charset_of, decode, stored_form, without_terminal_codes
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.ingestion.formats.recognition import IN_PLACE, recognise
from trivium_gateway.ingestion.front_matter import FrontMatter, front_matter
from trivium_gateway.ingestion.structure import headings_of
from trivium_gateway.library.documents import NewDocument

__all__ = ["DocumentParser", "ParsedDocument"]


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """What a document says.

    Attributes:
        title: The title given, else the content's own; may be empty.
        text: The text as it is stored; never blank.
        metadata: Facts that it states about itself.
        boxes: Where the lines of the text stand on its pages.
        format_name: The format that it came in.
    """

    title: str
    text: str
    metadata: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    boxes: Sequence[LineBox] = ()
    format_name: str = "text"


_LARGE = 200_000
"""Characters or bytes from which on the event loop does not wait for the work."""

_SEARCHED_CHARACTERS = 100_000
_BLANKS = re.compile(r"\s+")


class DocumentParser:
    """Reads texts, and files of all formats that are known.

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
        boxes: Sequence[LineBox] = ()
        format_name = "text"
        if isinstance(content, bytes):
            format_name = recognise(content, document.filename, document.media_type).name
            if format_name not in IN_PLACE:
                if format_name == "html" and (charset := charset_of(document.media_type)):
                    content = (await asyncio.to_thread(decode, content, charset)).encode(errors="replace")
                extracted = await self._extractor.extract(format_name, content)
                own_title, content, boxes = extracted.title, extracted.text, extracted.boxes
        if len(content) > _LARGE:
            text = await asyncio.to_thread(_text_of, content, document.media_type)
        else:
            text = _text_of(content, document.media_type)
        if text != content:  # what boxes count from is no more
            boxes = ()
        self._check_size(len(text.encode()))
        facts = FrontMatter()
        if format_name == "markdown":
            facts = front_matter(text)
            text = text[facts.end :] if text[facts.end :].strip() else text
            own_title = facts.title or _first_heading(text)
        title = _one_line(document.title) or _one_line(own_title)[: self._limits.max_title_characters]
        return ParsedDocument(title, text, facts.metadata, boxes, format_name)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_document_bytes:
            raise TooLarge(
                f"The document has {size} bytes; at most {self._limits.max_document_bytes} are allowed. Split it.",
                reason="DOCUMENT_TOO_LARGE",
            )


def _text_of(content: str | bytes, media_type: str) -> str:
    if isinstance(content, bytes):
        content = without_terminal_codes(decode(content, charset_of(media_type)))
    return stored_form(content)


def _first_heading(markdown: str) -> str:
    found = headings_of(markdown[:_SEARCHED_CHARACTERS])
    return found[0].title if found else ""


def _one_line(title: str) -> str:
    printable = "".join(character for character in title if character.isprintable() or character.isspace())
    return _BLANKS.sub(" ", printable).strip()
