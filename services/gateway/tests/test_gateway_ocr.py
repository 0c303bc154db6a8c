"""Scans and other pictures are read by text recognition, in the processes that read files, without a network."""

from __future__ import annotations

import importlib
import io
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from documents.known.prints import Page, pdf, png, scanned
from e2e.namespaces import alone, namespaces_work
from prometheus_client import CollectorRegistry
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.ingestion.extraction import ExtractionSettings, Extractor
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = GatewayLimits()
BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)
PAGE = pdf(
    Page()
    .lines("Limits", size=18)
    .lines("The relief valve opens at nine bar.", y=680)
    .table([["Pump", "Head", "Flow"], ["Wren", "", "20.5 l/s"], ["Tarn", "3 m", "30.5 l/s"]], y=600)
)


@pytest.fixture
async def extractor() -> Any:
    made = Extractor(LIMITS, CollectorRegistry(), ExtractionSettings(1))
    yield made
    await made.close()


async def test_scanned_pages_are_read_with_headings_tables_pages_and_boxes(extractor: Extractor) -> None:
    extracted = await extractor.extract("pdf", scanned(pdf(Page().lines("Cover", size=30)), PAGE))

    first, second = extracted.text.split("\f")
    assert "Cover" in first
    assert "# Limits\n\nThe relief valve opens at nine bar." in second
    assert "| Wren |  | 20.5 l/s |" in second
    at = extracted.text.index("The relief")
    box = next(one for one in extracted.boxes if one.start == at)
    assert box.page == 2
    assert abs(box.x0 - 72) < 5
    assert box.y0 < 792 - 680 < box.y1 + 4  # the baseline


async def test_page_without_text_among_others_is_read_in_its_place(extractor: Extractor) -> None:
    written = pdf(
        Page().lines("Written by hand, and kept with the machine for as long as it is in use anywhere at all.")
    )
    writer = importlib.import_module("pypdf").PdfWriter()
    for file in (written, scanned(PAGE), written):
        writer.append(io.BytesIO(file))
    mixed = io.BytesIO()
    writer.write(mixed)

    pages = (await extractor.extract("pdf", mixed.getvalue())).text.split("\f")

    assert "Written by hand" in pages[0]
    assert "The relief valve opens at nine bar." in pages[1]
    assert "Written by hand" in pages[2]


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("JPEG", "L"), ("WEBP", "RGB"), ("TIFF", "1"), ("BMP", "P")]
)
async def test_pictures_of_every_kind_are_read(extractor: Extractor, kind: str, mode: str) -> None:
    image = importlib.import_module("PIL.Image")
    file = io.BytesIO()
    image.open(io.BytesIO(png(PAGE))).convert(mode).save(file, kind)

    assert recognise(file.getvalue(), f"page.{kind.lower()}").name == "picture"
    assert "The relief valve opens at nine bar." in (await extractor.extract("picture", file.getvalue())).text


async def test_tiff_of_several_pages_has_them_all(extractor: Extractor) -> None:
    image = importlib.import_module("PIL.Image")
    pages = [
        image.open(io.BytesIO(png(pdf(Page().lines(f"This is sheet {word}.", size=24))))) for word in ("alpha", "beta")
    ]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])

    assert "sheet alpha.\n\n\fThis is sheet beta." in (await extractor.extract("picture", file.getvalue())).text


async def test_lone_short_line_of_a_page_is_read_where_it_stands(extractor: Extractor) -> None:
    extracted = await extractor.extract("pdf", scanned(pdf(Page().lines("Limit: 9 bar", y=300))))

    assert extracted.text.strip() == "Limit: 9 bar"
    [box] = extracted.boxes
    assert abs(box.x0 - 72) < 5
    assert box.y0 < 792 - 300 < box.y1 + 4  # the baseline


async def test_picture_without_text_is_refused(extractor: Extractor) -> None:
    with pytest.raises(InvalidField, match="No text can be recognised"):
        await extractor.extract("picture", png(pdf(Page())))


async def test_more_scanned_pages_than_are_allowed_are_refused_before_they_are_read() -> None:
    extractor = Extractor(replace(LIMITS, max_scanned_pages=1), CollectorRegistry())
    try:
        with pytest.raises(TooLarge, match="2 pages that are pictures; at most 1"):
            await extractor.extract("pdf", scanned(PAGE, PAGE))
    finally:
        await extractor.close()


async def test_picture_that_unpacks_to_far_more_is_refused(extractor: Extractor) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    picture = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, b"IDAT" + zlib.compress(b""), b"IEND")
    )

    with pytest.raises(TooLarge, match="pixels"):
        await extractor.extract("picture", picture)


def test_without_the_extra_scans_and_pictures_are_refused_with_what_to_do(without_ocr: None) -> None:
    with pytest.raises(InvalidField, match=r"install text recognition \(`scripts/setup stack-ocr`\)") as picture:
        recognise(png(PAGE), "a.png")
    with pytest.raises(InvalidField, match=r"is a scan.*scripts/setup stack-ocr") as scan:
        read("pdf", scanned(PAGE), BOUNDS)
    assert picture.value.reason == "UNSUPPORTED_FORMAT"
    assert scan.value.reason == "PDF_NO_TEXT"


@pytest.mark.skipif(not namespaces_work(), reason="the kernel gives no namespaces here")
def test_recognition_needs_no_network(tmp_path: Path) -> None:
    file = tmp_path / "page.png"
    file.write_bytes(png(PAGE))
    program = (
        "import sys; from pathlib import Path\n"
        "from trivium_gateway.ingestion.formats.bounds import Bounds\n"
        "from trivium_gateway.ingestion.formats.readers import read\n"
        "print(read('picture', Path(sys.argv[1]).read_bytes(), Bounds(9, 9999), recognises=True).text)"
    )
    # An empty home: nothing that was fetched before helps.
    command = alone("env", f"HOME={tmp_path}", sys.executable, "-c", program, str(file))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "The relief valve opens at nine bar." in done.stdout
