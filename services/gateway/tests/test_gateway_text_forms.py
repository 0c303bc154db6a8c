"""Text comes out as people wrote it: in whatever encoding, without front matter, pictures' data and noise."""

from __future__ import annotations

import base64
import hashlib
import random
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.chunking import ChunkingSettings
from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.extraction import Extractor
from trivium_gateway.ingestion.parsing import DocumentParser
from trivium_gateway.ingestion.preparation import DocumentPreparer
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import TriviumError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PICTURE = base64.b64encode(random.Random(7).randbytes(6000)).decode()


@pytest_asyncio.fixture
async def parser() -> AsyncIterator[DocumentParser]:
    extractor = Extractor(GatewayLimits(), CollectorRegistry())
    yield DocumentParser(extractor, GatewayLimits())
    await extractor.close()


@pytest.mark.parametrize(
    ("declaration", "encoding", "says"),
    [
        ("<meta charset='gb2312'>", "gbk", "安全阀在九巴时打开。"),
        ("<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'>", "cp1252", "Prüfung \u2013 10 €"),
        ('<?xml version="1.0" encoding="Shift_JIS"?>', "cp932", "安全弁は九バールで開きます"),
        ('<meta charset="iso-2022-jp">', "iso2022_jp", "安全弁"),
        ('<meta charset="windows-1251">', "utf-8", "Насос останавливается"),
    ],
)
def test_declared_encoding_is_read(declaration: str, encoding: str, says: str) -> None:
    assert decode(f"{declaration}<p>{says}".encode(encoding)).endswith(f"<p>{says}")


@pytest.mark.parametrize(
    ("encoding", "says"),
    [
        ("cp1252", "Teil;Maß\nBügel;12,5\n"),
        ("cp1252", "La pompe s'arrête après dix secondes, l'opérateur vérifie."),
        ("cp1252", "¿Cuándo se abre la válvula? El año próximo."),
        ("cp1252", "The pump’s seal costs £40 – or £35 for ten."),
        ("cp1250", "Łatwo ją wymienić. Łódź leży w środku Polski."),
        ("cp1250", "Čerpadlo se zastaví po deseti sekundách a tlak je třeba kontrolovat každý den."),
        ("cp1251", "Насос останавливается через десять секунд, давление нужно проверять."),
        ("koi8_r", "Насос останавливается через десять секунд, давление нужно проверять."),
        ("cp1253", "Η αντλία σταματά μετά από δέκα δευτερόλεπτα"),
        ("gb18030", "零件,长度\n安全阀,12\n"),
        ("big5", "安全閥在九巴時打開。水泵在十秒後停止。"),
        ("cp932", "安全弁は九バールで開きます。ポンプは十秒後に停止します。"),
        ("euc_jp", "安全弁は九バールで開きます。ポンプは十秒後に停止します。"),
        ("cp949", "안전 밸브는 구 바에서 열립니다. 펌프는 십 초 후에 멈춥니다."),
        ("utf-16-le", "No mark, 10 bar: grün"),
        ("utf-32", "A mark of four bytes: grün"),
        ("iso2022_jp", "安全弁は九バールで開きます。"),
        ("cp874", "วาล์วนิรภัยเปิดที่เก้าบาร์ ปั๊มหยุดหลังจากสิบวินาที"),
        ("iso8859_2", "Zawór bezpieczeństwa otwiera się przy dziewięciu barach."),
        ("iso8859_2", "Čerpadlo se zastaví po deseti sekundách a tlak je třeba kontrolovat každý den."),
        ("cp1252", "La pressione è più alta; però così può andare."),
        ("cp1252", "Rødgrød med fløde"),
        ("cp437", "Teil;Maß\nBügel;12,5\nGröße;32\n"),
        ("cp437", "L'opérateur vérifie la pompe après dix secondes."),
        ("cp850", "ÄNDERUNG DER TÜRÖFFNUNG"),
        ("cp850", "A pressão máxima não é conhecida; atenção às instruções."),
        ("cp850", "┌──────┐\n│ Größe│\n└──────┘\nDie Prüfung dauert fünf Minuten."),
        ("mac_roman", "Teil;Maß\nBügel;12,5\nGröße;32\n"),
        ("mac_roman", "La presión máxima está en España"),
        ("mac_roman", "Åtgärder för att öka trycket på ventilen är små."),
        ("cp852", "Łatwo ją wymienić. Łódź leży w środku Polski."),
        ("cp857", "Pompa on saniye sonra durur, basınç günlük olarak ölçülür."),
        ("cp866", "Насос останавливается через десять секунд, давление нужно проверять."),
        ("koi8_u", "Насос зупиняється через десять секунд, її тиск треба перевіряти."),
        ("cp737", "Η αντλία σταματά μετά από δέκα δευτερόλεπτα"),
        ("cp862", "המשאבה נעצרת לאחר עשר שניות"),
        ("iso8859_6", "تتوقف المضخة بعد عشر ثوان ويجب فحص الضغط"),
    ],
)
def test_undeclared_encoding_is_told_from_the_text(encoding: str, says: str) -> None:
    assert decode(says.encode(encoding)) == says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("Die Prüfung dauert. ".encode() * 3 + b"\xc3", "Die Prüfung dauert. " * 3 + "Ã"),
        ("Die Prüfung für Öl. ".encode() + "Prüfung".encode("cp1252"), "Die Prüfung für Öl. Prüfung"),
        ("<meta charset=latin1><p>Größe für Öl".encode() + b"\xff", "<meta charset=latin1><p>Größe für Ölÿ"),
    ],
    ids=["cut short", "two programs", "declared otherwise"],
)
def test_utf8_with_some_other_bytes_is_utf8(data: bytes, says: str) -> None:
    assert decode(data) == says


async def test_colours_of_a_log_are_left_out(parser: DocumentParser) -> None:
    data = b"\x1b[1;31mError 73\x1b[0m at start\n\x1b]0;title\x07Go on\n"
    assert (await parser.parse(NewDocument(data=data, filename="a.log"))).text == "Error 73 at start\nGo on\n"


def test_encoding_is_told_from_what_stands_far_behind_ascii() -> None:
    text = "All in ASCII. " * 5_000 + "Die Prüfung dauert fünf Minuten, die Größe ist 32 mm."
    assert decode(text.encode("cp850")) == text


async def test_charset_of_the_media_type_is_used(parser: DocumentParser) -> None:
    data = "<p>Łódź</p>".encode("iso8859_2")
    page = await parser.parse(NewDocument(data=data, media_type='text/html; charset="iso-8859-2"'))
    text = await parser.parse(NewDocument(data=data, media_type="text/plain; charset=iso-8859-2"))
    assert (page.text, text.text) == ("Łódź", "<p>Łódź</p>")


@pytest.mark.parametrize(
    ("source", "title", "text"),
    [
        ('---\nlayout: post\ntitle: "The seal"\ntags:\n  - press\n---\nDrain it.\n', "The seal", "Drain it.\n"),
        ("---\r\nauthor: Kim\r\n---\r\n\r\n# Head\r\n", "Head", "# Head\n"),
        ("+++\ntitle = 'The seal'\n+++\nDrain it.\n", "The seal", "Drain it.\n"),
        ("---\ntitle: {{ page.title }}: x\n---\n# Head\n", "Head", "# Head\n"),
        ("---\n\nA rule, then text.\n\n---\n# Head\n", "Head", "---\n\nA rule, then text.\n\n---\n# Head\n"),
        ("Underlined\n---\ntext\n", "Underlined", "Underlined\n---\ntext\n"),
    ],
)
async def test_front_matter_gives_the_title_and_is_no_text(
    parser: DocumentParser, source: str, title: str, text: str
) -> None:
    parsed = await parser.parse(NewDocument(data=source.encode(), filename="a.md"))
    assert (parsed.title, parsed.text) == (title, text)


async def test_front_matter_is_metadata_unless_the_sender_says_otherwise(parser: DocumentParser) -> None:
    source = "---\ntags: [press, seal]\nversion: 1.10\nauthor: Kim\nlayout: post\n---\ntext\n"
    preparer = DocumentPreparer(parser, GatewayLimits(), ChunkingSettings())
    document = NewDocument(data=source.encode(), filename="a.md", metadata={"author": "Jo"})
    collection = ResolvedCollection("default", "papers", "papers__1", IndexMaking("model", "f", 4, ANALYZER_VERSION))
    prepared = await preparer.prepare(document, collection)
    assert prepared.metadata == {"tags": ["press", "seal"], "version": "1.10", "author": "Jo"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (f"![Section](data:image/png;base64,{_PICTURE})\n\nText.\n", "![Section](data:image/png)\n\nText.\n"),
        (f"![][image1]\n\n[image1]: <data:image/png;base64,{_PICTURE}>\n", "![][image1]\n\n"),
        (f'<img src="data:image/png;base64,{_PICTURE}" alt="Valve">', '<img src="data:image/png" alt="Valve">'),
        (f"url(data:image/svg+xml,{'%3Csvg' * 40})", "url(data:image/svg+xml)"),
        ("Write `data:text/plain;base64,aGk=` there.", "Write `data:text/plain;base64,aGk=` there."),
    ],
    ids=["markdown", "reference", "html", "percent", "short"],
)
async def test_data_of_pictures_in_text_is_left_out_and_their_description_kept(
    parser: DocumentParser, source: str, text: str
) -> None:
    assert (await parser.parse(NewDocument(data=source.encode(), filename="a.md"))).text == text
    assert (await parser.parse(NewDocument(text=source))).text == text


@pytest.mark.parametrize(
    "noise",
    [
        "Subject: x\nContent-Transfer-Encoding: base64\n\n"
        + "\n".join(_PICTURE[at : at + 76] for at in range(0, 6000, 76)),
        "data " + _PICTURE,
        "\x01\x02a\x03\x04b" * 100,
        "Dump:\n" + "\n".join(hashlib.sha256(bytes([at])).hexdigest() for at in range(40)),
        "begin 644 a.bin\n" + "\n".join(f"M{('#0V%N9&QE' * 7)[:60]}" for _ in range(40)),
        "Title\n" + "!\"$%& ()/<>?@ [];{}' a" * 60,
    ],
    ids=["mail", "line", "controls", "hexadecimal", "uuencode", "signs"],
)
async def test_text_that_is_mostly_encoded_data_is_refused(parser: DocumentParser, noise: str) -> None:
    with pytest.raises(TriviumError) as caught:
        await parser.parse(NewDocument(data=noise.encode(), filename="a.txt"))
    assert caught.value.reason == "UNREADABLE_TEXT"


@pytest.mark.parametrize(
    "text",
    [
        "| a | b |\n| --- | --- |\n" + "|  |  |\n" * 200 + "| x | |",
        "Chapter 1 " + "." * 5_000 + " 7",
        "for(;;){if((a[i]||b)&&!c){d({e:[f,g]});}}" * 50,
        "commit 3f786850e387550fdab836ed7e6dc881de23001b\n" * 50,
        "+---+---+\n| a | b |\n+===+===+\n" * 100,
    ],
    ids=["empty table", "leader", "code", "commits", "drawn table"],
)
async def test_text_with_many_signs_that_says_something_is_read(parser: DocumentParser, text: str) -> None:
    assert (await parser.parse(NewDocument(text=text))).text == text
