"""Files of every format: known facts stand in the text in known places, and hostile files harm nobody."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from documents import files
from prometheus_client import CollectorRegistry
from trivium_formats import FORMATS
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.ingestion.formats import bounds as bounds_module
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import READABLE, read
from trivium_gateway.ingestion.formats.reading import Reading
from trivium_gateway.ingestion.formats.recognition import IN_PLACE, recognise
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.library.documents import NewDocument
from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def text_of(data: bytes, filename: str = "") -> str:
    """What comes out of a file that is told by its name, or by its content alone."""
    return read(recognise(data, filename).name, data, BOUNDS).text


@pytest_asyncio.fixture
async def parser() -> AsyncIterator[DocumentParser]:
    limits = GatewayLimits()
    extractor = Extractor(limits, CollectorRegistry())
    yield DocumentParser(extractor, limits)
    await extractor.close()


def test_every_format_has_a_reader() -> None:
    assert {each.name for each in FORMATS} == IN_PLACE | READABLE


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (files.docx(), "docx"),
        (files.pptx(), "pptx"),
        (files.xlsx(), "xlsx"),
        (files.odt(), "odt"),
        (files.ods(), "ods"),
        (files.odp(), "odp"),
        (files.epub(), "epub"),
        (files.RTF, "rtf"),
        (files.mail(), "mail"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_format_without_a_name_is_told_by_content(data: bytes, expected: str) -> None:
    assert recognise(data, "", "application/octet-stream").name == expected


async def test_word_document_goes_through_the_processes_with_title_and_structure(parser: DocumentParser) -> None:
    parsed = await parser.parse(NewDocument(data=files.docx(), filename="a.docx"))
    assert parsed.title == "Pump manual"
    assert parsed.text == (
        "# Limits\n\n"
        "The casing stands 10^6 cycles.[^2]\n\n"
        "1. Close the valve.\n"
        "2. Drain the pump:\n"
        "    a) open the plug\n\n"
        "Wait for a minute.\n\n"
        "3. Open the valve.\n\n"
        "| Model | Head | Flow |\n| --- | --- | --- |\n| P-100 |  | 12 l/s |\n| P-100 | on request | on request |\n\n"
        "From a content control.\n\n"
        "Inserted words.\n\n"
        "(p)/(v^2)\n\n"
        "[^2]: Tested at 60 °C."
    )


def test_presentation_has_slides_in_order_with_tables_and_notes() -> None:
    assert text_of(files.pptx()) == (
        "## Slide 1: Opening\n\n- Welcome\n- to all\n\n"
        "## Slide 2: Where we stand\n\n| Site | Pumps |\n| --- | --- |\n| Graz | 7 |\n\n"
        "### Notes to slide 2\n\nSay that Graz grows."
    )


def test_workbook_has_each_sheet_as_a_table_with_empty_and_merged_cells() -> None:
    assert text_of(files.xlsx(sheet_count=2)).startswith(
        "## Sheet Stock 1\n\nSpare parts\n\n"
        "| Part | Price | Stock |\n| --- | --- | --- |\n| Seal | 12.5 |  |\n| Seal | 13 | 4 |\n\n## Sheet Stock 2\n"
    )


def test_opendocument_text_has_structure() -> None:
    assert text_of(files.odt()) == (
        "# Limits\n\nIt stands 10^6 cycles.[^1]\n\n1. Close the valve.\n2. Drain the pump.\n\n"
        "| Model | Head | Flow |\n| --- | --- | --- |\n| P-100 |  | 12 l/s |\n| P-100 | 9 m | 14 l/s |\n\n"
        "[^1]: Tested at 60 °C."
    )


def test_opendocument_presentation_and_spreadsheet_have_structure() -> None:
    assert text_of(files.odp()) == (
        "## Slide 1: Where we stand\n\nGraz has seven pumps.\n\n### Notes to slide 1\n\nSay that Graz grows."
    )
    assert text_of(files.ods()) == ("## Sheet Stock\n\n| Part | Price | Stock |\n| --- | --- | --- |\n| Seal |  | 4 |")


def test_rich_text_has_structure() -> None:
    reading = read("rtf", files.RTF, BOUNDS)
    title, text = reading.title, reading.text
    assert title == "Pump manual"
    assert text == (
        "# Limits\n\nIt stands 10^6 cycles.[^1]\n\nPrüfung €30 😀\n\n"
        "| Model | Head |\n| --- | --- |\n| P-100 |  |\n\nEnd.\n\n[^1]: Tested hot."
    )


def test_book_has_chapters_in_reading_order() -> None:
    reading = read("epub", files.epub(), BOUNDS)
    title, text = reading.title, reading.text
    assert title == "Of pumps"
    assert text.index("Of seals.") < text.index("Second") < text.index("Of valves.")


def test_mail_is_decoded_and_names_its_attachments() -> None:
    data = files.mail(("manual.docx", "application/octet-stream", files.docx()))
    reading = read("mail", data, BOUNDS)
    title, text = reading.title, reading.text
    assert title == "Prüfung"
    assert text == (
        "# Prüfung\n\nSubject: Prüfung\nFrom: Jo <jo@example.org>\nTo: ed@example.org\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0000\n\n"
        "Die Prüfung dauert fünf Minuten.\n\nAttachment: manual.docx"
    )


def test_mailbox_has_each_mail_under_its_subject() -> None:
    box = b"".join(b"From jo Mon Nov 2\n" + files.mail(subject=f"Mail {number}") + b"\n" for number in range(3))
    text = text_of(box, "a.mbox")
    assert [line for line in text.split("\n") if line.startswith("# ")] == ["# Mail 0", "# Mail 1", "# Mail 2"]


def test_web_archive_is_read_as_its_page() -> None:
    page = (
        b"Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=B\n\n--B\nContent-Type: text/html; "
    )
    page += (
        b"charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\n<title>T</title><p>Pr=FCfung</p>\n--B--\n"
    )
    assert read("mhtml", page, BOUNDS) == Reading("T", "Prüfung")


def test_notebook_has_text_code_and_outputs_but_no_pictures() -> None:
    text = text_of(files.notebook(), "a.ipynb")
    assert text == "# Flow\nThe flow is measured.\n\n```python\nprint(flow)\n```\n\nOutput:\n\n```\n12.5\n```"


@pytest.mark.parametrize(
    ("filename", "data", "expected"),
    [
        ("a.csv", b'a;b\n"x;1";\n,5;2\n', "| a | b |\n| --- | --- |\n| x;1 |  |\n| ,5 | 2 |"),
        ("a.csv", b"a,b\n1,2|3\n", "| a | b |\n| --- | --- |\n| 1 | 2\\|3 |"),
        ("a.tsv", b"a\tb\n\t2\n", "| a | b |\n| --- | --- |\n|  | 2 |"),
        ("a.json", b'[{"a": 1, "b": null}, {"b": true}]', "| a | b |\n| --- | --- |\n| 1 |  |\n|  | true |"),
        ("a.json", b'{"pump": {"head": 9, "uses": ["a", "b"]}}', "- pump:\n    - head: 9\n    - uses: a, b"),
        ("a.jsonl", b'{"a": 1, "b": "x"}\n\n{"a": 2}\n', "| a | b |\n| --- | --- |\n| 1 | x |\n| 2 |  |"),
        (
            "a.xml",
            b"<pumps><pump id='7'><head>9 m</head><use>water and <b>oil</b> only</use></pump></pumps>",
            "pumps\n\npump, id: 7\n\n- head: 9 m\n- water and oil only",
        ),
        (
            "a.srt",
            b"1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\nthere\n\n2\n00:01:05,000 --> 00:01:06,000\nBye\n",
            "[00:00:01]\nHello there\n\n[00:01:05]\nBye",
        ),
        ("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000 align:start\n<v Jo>Hello\n", "[00:00:01]\nJo: Hello"),
        (
            "a.rst",
            b"=====\nTitle\n=====\n\nPart\n----\nSee :ref:`this <x>`.\n\n"
            b".. code-block:: sh\n\n   # no heading\n   ls\n\nEnd\n",
            "# Title\n\n\n## Part\n\nSee this.\n\n```sh\n# no heading\nls\n```\n\nEnd\n",
        ),
        ("a.org", b"#+TITLE: T\n* TODO One :tag:\n#+begin_src sh\n* no\n#+end_src\n", "# T\n# One\n```sh\n* no\n```"),
        (
            "a.tex",
            rb"\title{T}\begin{document}\section{One} 50\% % no" + b"\n"
            + rb"of \textbf{it}.\footnote{A note.}\end{document}",
            "## One\n\n 50% \nof it. (A note.)",
        ),
    ],
)  # fmt: skip
def test_text_with_structure_becomes_markdown(filename: str, data: bytes, expected: str) -> None:
    assert text_of(data, filename) == expected


# What must be refused


@pytest.mark.parametrize(
    "filename", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "a.ods", "a.odp", "a.epub", "a.json", "a.ipynb"]
)
def test_damaged_file_is_refused_as_damaged(filename: str) -> None:
    with pytest.raises(InvalidField) as caught:
        text_of(b"no such file", filename)
    assert caught.value.reason == "FILE_BROKEN"


@pytest.mark.parametrize("maker", [files.docx, files.pptx, files.xlsx, files.odt, files.epub])
def test_file_cut_short_is_refused_as_damaged(maker: files.Maker) -> None:
    data = maker()
    with pytest.raises(InvalidField):
        text_of(data[: len(data) // 2], "a.docx")


def test_encrypted_files_are_refused_as_encrypted() -> None:
    office = OLE + "EncryptedPackage".encode("utf-16-le")
    opendocument = files.packed({"mimetype": "x", "META-INF/manifest.xml": "<encryption-data/>", "content.xml": "x"})
    for data, name in ((office, "a.docx"), (opendocument, "a.odt")):
        with pytest.raises(InvalidField) as caught:
            text_of(data, name)
        assert caught.value.reason == "FILE_ENCRYPTED"


def test_old_office_file_without_a_name_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidField, match="old Office, or an encrypted one") as caught:
        recognise(OLE)
    assert caught.value.reason == "UNSUPPORTED_FORMAT"


def test_archive_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(bounds_module.MAX_UNPACKED_BYTES + 1))
    with pytest.raises(TooLarge, match="unpacked"):
        text_of(file.getvalue(), "a.docx")


def test_archive_that_lies_about_its_size_gives_no_more_than_it_declared() -> None:
    honest = files.packed({"word/document.xml": b"x" * 1_000_000})
    at = honest.rindex(b"PK\x01\x02") + 24
    lying = honest[:at] + (100).to_bytes(4, "little") + honest[at + 4 :]
    with pytest.raises(InvalidField) as caught:
        text_of(lying, "a.docx")
    assert caught.value.reason == "FILE_BROKEN"


@pytest.mark.parametrize("filename", ["a.xml", "a.docx", "a.odt", "a.epub"])
def test_entities_that_multiply_are_refused(filename: str) -> None:
    entities = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><x>&e11;</x>'
    parts = ("word/document.xml", "content.xml", "META-INF/container.xml")
    data = bomb.encode() if filename == "a.xml" else files.packed(dict.fromkeys(parts, bomb))
    with pytest.raises(InvalidField) as caught:
        text_of(data, filename)
    assert caught.value.reason == "FILE_BROKEN"


def test_external_entity_reads_no_file() -> None:
    data = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    with pytest.raises(InvalidField):
        text_of(data, "a.xml")


@pytest.mark.parametrize("data", [files.pptx(101), files.xlsx(sheet_count=101)], ids=["slides", "sheets"])
def test_more_slides_or_sheets_than_are_allowed_are_refused(data: bytes) -> None:
    with pytest.raises(TooLarge, match="101 s") as caught:
        text_of(data)
    assert caught.value.reason == "DOCUMENT_TOO_LARGE"


async def test_sheet_with_a_cell_far_out_is_given_up_without_harm(parser: DocumentParser) -> None:
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(files.xlsx())) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"</sheetData>", far))
    with pytest.raises(TooLarge):
        await parser.parse(NewDocument(data=file.getvalue(), filename="a.xlsx"))
    assert (await parser.parse(NewDocument(data=files.xlsx(), filename="a.xlsx"))).text


def test_json_and_xml_nested_without_end_are_refused_or_read_in_time() -> None:
    with pytest.raises(InvalidField):
        text_of(b"[" * 100_000, "a.json")
    deep = b"<a>" * 50_000 + b"word" + b"</a>" * 50_000
    assert "word" in text_of(deep, "a.xml")


def test_rich_text_nested_without_end_is_refused() -> None:
    with pytest.raises(TooLarge):
        text_of(b"{\\rtf1" + b"{" * 100_000, "a.rtf")


def test_more_text_than_is_allowed_is_refused() -> None:
    lines = "\n".join(json.dumps({"a": "x" * 150, "b": number}) for number in range(9000))
    with pytest.raises(TooLarge, match="characters of text"):
        text_of(lines.encode(), "a.jsonl")


async def test_text_of_a_font_without_a_map_to_unicode_is_refused(parser: DocumentParser) -> None:
    with pytest.raises(InvalidField) as caught:
        await parser.parse(NewDocument(data=("\ue001\ue002\ue003 " * 100).encode(), filename="a.txt"))
    assert caught.value.reason == "UNREADABLE_TEXT"
