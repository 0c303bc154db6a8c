"""What each kind of content comes to, and what is refused."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pypdf
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_gateway.ingestion.html import html_text
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.library.documents import NewDocument
from trivium_serving.errors import InvalidField, TriviumError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def make_pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """Write a PDF with some lines of text on each page."""
    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(612, 792)
        stream = DecodedStreamObject()
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n")) if text else ""
        stream.set_data(f"BT /F1 12 Tf 72 720 Td {lines}ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest_asyncio.fixture
async def parser() -> AsyncIterator[DocumentParser]:
    limits = GatewayLimits()
    extractor = Extractor(limits, CollectorRegistry())
    yield DocumentParser(extractor, limits)
    await extractor.close()


async def _reason(parser: DocumentParser, document: NewDocument) -> tuple[str, str]:
    with pytest.raises(TriviumError) as caught:
        await parser.parse(document)
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize(
    ("filename", "media_type", "data", "expected"),
    [
        ("a.md", "", b"x", "markdown"),
        ("a.MD", "text/plain", b"x", "markdown"),
        ("a.md", "text/html; charset=utf-8", b"x", "html"),
        ("", "application/pdf", b"x", "pdf"),
        ("a.bin", "application/octet-stream", b"%PDF-1.7 ...", "pdf"),
        ("", "", b"\xef\xbb\xbf <!-- x --> <!DOCTYPE html><p>", "html"),
        ("a.html", "", b"x", "html"),
        ("notes", "", b"<p>no page", "text"),
        ("a.py", "text/x-python", b"x", "code"),
        ("a.txt", "text/plain", b"<html>", "text"),
        ("a.doc", "application/msword", b"%PDF-1.7 \0", "pdf"),
    ],
)
def test_format_is_told_by_signature_then_media_type_then_ending_then_content(
    filename: str, media_type: str, data: bytes, expected: str
) -> None:
    assert recognise(data, filename, media_type).name == expected


@pytest.mark.parametrize(
    ("filename", "media_type", "data", "message"),
    [
        ("a.doc", "", b"x", "an old Word document. Save it as .docx. Trivium reads plain text, Markdown,"),
        ("a", "application/msword", b"x", "an old Word document"),
        ("a.svg", "", b"<svg>", "a picture of a kind that is not read. Save it as .png"),
        ("a", "image/x-new", b"x", "a picture of a kind that is not read"),
        ("a.txt", "text/plain", b"8BPS\0\1\0\0", "a picture of a kind that is not read"),
        ("a.md", "", b"Rar!\x1a\x07\0", "an archive of a kind that is not unpacked. Send it as .zip"),
        ("", "", b"\x7fELF\x02\x01\x01\0", "a program"),
        ("a.mp4", "", b"", "a recording"),
        ("a.SQLITE", "", b"", "a database"),
    ],
)
def test_format_that_cannot_be_read_is_refused_by_name_with_what_to_do(
    filename: str, media_type: str, data: bytes, message: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        recognise(data, filename, media_type)
    assert caught.value.reason == "UNSUPPORTED_FORMAT"
    assert message in caught.value.message


async def test_plain_text_is_stored_with_unix_lines_and_without_mark(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data=b"\xef\xbb\xbfone\r\ntwo\rthree\n", filename="a.txt"))
    assert (parsed.title, parsed.text) == ("", "one\ntwo\nthree\n")


async def test_utf16_with_mark_is_read(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data="grün 人".encode("utf-16"), filename="a.txt"))
    assert parsed.text == "grün 人"


async def test_markdown_is_kept_and_its_first_heading_is_the_title(parser: DocumentParser) -> None:
    source = "```\n# no heading\n```\n\n## The *real* `title` ##\n\ntext\n"
    parsed = await parser.parse(NewDocument(data=source.encode(), filename="a.md"))
    assert (parsed.title, parsed.text) == ("The real title", source)


async def test_markdown_with_an_underlined_heading_has_that_title(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data=b"Read_me first\n====\n\n# Other\n", filename="a.md"))
    assert parsed.title == "Read_me first"


async def test_a_title_given_wins_over_the_contents_own(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data=b"# Own\n", filename="a.md", title="Given\ttwice"))
    assert parsed.title == "Given twice"


async def test_html_comes_to_its_main_content_in_lines(parser: DocumentParser) -> None:
    page = """<!doctype html><html><head><title> The
        page </title><style>p{}</style><script>var x = "<p>no</p>"</script></head>
        <body><nav><a href=/>Home</a></nav><main><h1>Head</h1><p>One <b>bold</b> word<br>and a line.</p>
        <ul><li>first<li><p>second</p></ul><pre>  keep\n   this</pre><table><tr><td>a<td>b<tr><td>c<td>d</table>
        <!-- no --><p hidden>no</p></main><footer>Imprint</footer></body></html>"""
    parsed = await parser.parse(NewDocument(data=page.encode(), filename="a.html"))
    assert parsed.title == "The page"
    expected = "# Head\n\nOne bold word\nand a line.\n\n- first\n- second\n\n```\n  keep\n   this\n```\n\n"
    assert parsed.text == expected + "|  |  |\n| --- | --- |\n| a | b |\n| c | d |"


def test_html_with_a_small_main_element_keeps_the_rest() -> None:
    title, text = html_text("<h1>T</h1><main>x</main>" + "<p>much more text than that</p>" * 5)
    assert title == "T"
    assert text.count("much more") == 5


def test_html_with_text_in_navigation_alone_keeps_it() -> None:
    assert html_text("<nav>only this</nav>")[1] == "only this"


async def test_pdf_comes_to_its_pages_and_title(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data=make_pdf("Page one\nline two", "Page two", title="A title")))
    assert parsed.title == "A title"
    assert parsed.text == "Page one\nline two\n\n\fPage two"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (NewDocument(), "EMPTY_DOCUMENT"),
        (NewDocument(text=""), "EMPTY_DOCUMENT"),
        (NewDocument(text=" \n\u200b\t"), "EMPTY_DOCUMENT"),
        (NewDocument(data=b""), "EMPTY_DOCUMENT"),
        (NewDocument(text="a\0b"), "BINARY_CONTENT"),
        (NewDocument(data=b"8BPS\0\1\0\0"), "UNSUPPORTED_FORMAT"),
        (NewDocument(data=b"\x89PNG\r\n\x1a\n\0\0\0"), "FILE_BROKEN"),
        (NewDocument(data=b"\x01\x02\0\0"), "BINARY_CONTENT"),
        (NewDocument(text="half \ud83d a pair"), "NOT_UTF8"),
        (NewDocument(data=b"\xff\xfea"), "NOT_UTF8"),
        (NewDocument(data=b"<html><body></body></html>"), "EMPTY_DOCUMENT"),
        (NewDocument(data=b"%PDF-1.7\nbroken"), "PDF_BROKEN"),
        (NewDocument(data=b"{no", filename="a.json"), "FILE_BROKEN"),
        (NewDocument(data=b"{no", filename="a.ipynb"), "FILE_BROKEN"),
        (NewDocument(data=b"PK\3\4no", filename="a.docx"), "FILE_BROKEN"),
        (NewDocument(data=b"PK\3\4no", filename="a.zip"), "FILE_BROKEN"),
        (NewDocument(data=make_pdf("secret", password="x")), "PDF_ENCRYPTED"),
        (NewDocument(data=make_pdf("", "")), "PDF_NO_TEXT"),
        (NewDocument(text="x" * (10 * 1024 * 1024 + 1)), "DOCUMENT_TOO_LARGE"),
        (NewDocument(data=b"x" * (10 * 1024 * 1024 + 1)), "DOCUMENT_TOO_LARGE"),
    ],
    ids=[
        "nothing", "no text", "no word", "no data", "null", "Photoshop", "half a PNG", "binary", "half a pair",
        "half UTF-16", "empty HTML", "half a PDF", "half JSON",
        "half a notebook", "half a letter", "half an archive", "PDF with a password", "PDF without text",
        "long text", "long data",
    ],
)  # fmt: skip
async def test_content_that_cannot_be_read_is_refused_with_its_reason(
    parser: DocumentParser, document: NewDocument, reason: str
) -> None:
    found, message = await _reason(parser, document)
    assert found == reason
    assert not re.search(r"[a-z](Error|Exception)\b|pdfium", message, re.IGNORECASE), "the name of a class says nothing"


async def test_bytes_in_no_encoding_are_refused_with_the_first_wrong_one(parser: DocumentParser) -> None:
    reason, message = await _reason(parser, NewDocument(data=b"ab" + bytes(range(0x80, 0x100)), filename="a.txt"))
    assert reason == "NOT_UTF8"
    assert "byte 2 is 0x80" in message


async def test_a_pdf_encrypted_without_a_password_is_read(parser: DocumentParser) -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(make_pdf("open to all")))
    writer.encrypt("", owner_password="x", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    assert (await parser.parse(NewDocument(data=file.getvalue()))).text == "open to all"


async def test_a_pdf_with_too_many_pages_is_refused() -> None:
    limits = replace(GatewayLimits(), max_pdf_pages=2)
    extractor = Extractor(limits, CollectorRegistry())
    reason, message = await _reason(DocumentParser(extractor, limits), NewDocument(data=make_pdf("a", "b", "c")))
    await extractor.close()
    assert reason == "DOCUMENT_TOO_LARGE"
    assert "3 pages" in message


async def test_a_long_run_of_blanks_is_shortened(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(text="a" + " " * 5000 + "b"))
    assert parsed.text == "a" + " " * 1000 + "b"
