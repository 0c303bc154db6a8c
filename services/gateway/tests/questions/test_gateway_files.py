"""Files that documents came in: given back as they came, drawn page by page, gone with their documents."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from documents.known.prints import Page, pdf
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.library.originals import Original, Originals
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.settings import GatewaySettings
from trivium_lexical import ANALYZER_VERSION

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANUAL = pdf(
    Page().lines("Pump manual", size=20).lines("The pump stands in the cellar.", y=650),
    Page().lines("The pump lifts 40 litres a minute.", "It is serviced in May."),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(qdrant: Qdrant, folder: Path) -> AsyncIterator[Stack]:
    """A gateway that keeps files there."""
    async with running_stack(qdrant, GatewaySettings(data_dir=folder)) as running:
        await running.create_collection()
        yield running


async def _upload(stack: Stack, name: str, data: bytes, collection: str = "") -> dict[str, Any]:
    response = await stack.http.post(
        "/v1/documents", files={"file": (name, data)}, data={"collection": collection or stack.collection, "id": name}
    )
    (result,) = response.json()["documents"]
    assert result["status"] in ("indexed", "updated", "unchanged"), result
    found: dict[str, Any] = result
    return found


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder / "gateway/files").rglob("*") if path.is_file()]


async def test_file_of_a_document_is_given_back_as_it_came(kept: Stack) -> None:
    await _upload(kept, "manuals/pump.pdf", MANUAL)
    where = {"collection": kept.collection}

    document = (await kept.http.get("/v1/documents/manuals/pump.pdf", params=where)).json()
    assert document["file"] == {"format": "pdf", "media_type": "application/pdf", "bytes": len(MANUAL)}
    assert "boxes" not in document
    file = await kept.http.get("/v1/files/manuals/pump.pdf", params=where)
    assert (file.status_code, file.content) == (200, MANUAL)
    assert file.headers["content-disposition"] == "attachment; filename*=UTF-8''pump.pdf"
    assert file.headers["content-type"] == "application/pdf"
    assert file.headers["cache-control"] == "no-store"
    assert "sandbox" in file.headers["content-security-policy"]


async def test_page_is_drawn_with_the_boxes_of_its_lines_on_the_words(kept: Stack) -> None:
    await _upload(kept, "manuals/pump.pdf", MANUAL)
    where = {"collection": kept.collection}

    document = (await kept.http.get("/v1/documents/manuals/pump.pdf", params={**where, "include": "boxes"})).json()
    text, boxes = document["text"], document["boxes"]
    (box,) = [one for one in boxes if one["start"] == text.index("The pump lifts")]
    drawn = await kept.http.get("/v1/files/manuals/pump.pdf", params={**where, "page": box["page"], "scale": 1})

    assert drawn.headers["content-type"] == "image/png"
    assert [drawn.headers[f"x-page-{name}"] for name in ("width", "height", "count")] == ["612", "792", "2"]
    pixels = _grey_pixels(drawn.content)
    dark = [(x, y) for y, row in enumerate(pixels) for x, value in enumerate(row) if value < 128 and y < box["y1"] + 10]
    assert dark, "the first line of the page is drawn"
    assert all(box["x0"] - 2 <= x <= box["x1"] + 2 and box["y0"] - 2 <= y <= box["y1"] + 2 for x, y in dark)


def _grey_pixels(png: bytes) -> list[bytes]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, _, depth, colour = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour) == (8, 0), "a page without colours has none in its picture"
    at, packed = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(packed)
    return [raw[start + 1 : start + 1 + width] for start in range(0, len(raw), width + 1)]


@pytest.mark.parametrize(
    ("path", "query", "status", "reason"),
    [
        ("pump.pdf", {"page": 3}, 404, "PAGE_NOT_FOUND"),
        ("pump.pdf", {"page": 0}, 404, "PAGE_NOT_FOUND"),
        ("pump.pdf", {"page": 1, "scale": 9}, 400, "INVALID_FIELD"),
        ("note.txt", {"page": 1}, 400, "INVALID_FIELD"),
        ("said", {}, 404, "FILE_NOT_KEPT"),
        ("nowhere", {}, 404, "DOCUMENT_NOT_FOUND"),
    ],
)
async def test_what_cannot_be_given_says_why(
    kept: Stack, path: str, query: dict[str, Any], status: int, reason: str
) -> None:
    await _upload(kept, "pump.pdf", MANUAL)
    await _upload(kept, "note.txt", b"A note.")
    await kept.add({"id": "said", "text": "Only said."})

    response = await kept.http.get(f"/v1/files/{path}", params={"collection": kept.collection, **query})

    assert (response.status_code, response.json()["error"]["reason"]) == (status, reason)


async def test_file_is_replaced_and_goes_with_its_document(kept: Stack, folder: Path) -> None:
    before = len(_files(folder))
    where = {"collection": kept.collection}
    await _upload(kept, "a.txt", b"One thing.")
    await _upload(kept, "a.txt", b"Another thing.")
    assert (await kept.http.get("/v1/files/a.txt", params=where)).content == b"Another thing."
    assert len(_files(folder)) == before + 1
    assert all(path.stat().st_mode & 0o077 == 0 for path in _files(folder)), "for nobody else to read"

    await kept.add({"id": "a.txt", "text": "Said now."})
    assert (await kept.http.get("/v1/files/a.txt", params=where)).status_code == 404
    assert len(_files(folder)) == before

    await _upload(kept, "a.txt", b"One thing.")
    await kept.http.delete("/v1/documents/a.txt", params=where)
    assert len(_files(folder)) == before


async def test_file_of_a_mail_and_what_is_in_it_go_together(kept: Stack, folder: Path) -> None:
    before = len(_files(folder))
    mail = (
        b"From: a@example.org\r\nTo: b@example.org\r\nSubject: The lamp\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nSee the note.\r\n'
        b'--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="lamp.txt"\r\n\r\n'
        b"The lamp is green.\r\n--x--\r\n"
    )
    await _upload(kept, "lamp.eml", mail)
    attached = await kept.http.get("/v1/files/lamp.eml!/lamp.txt", params={"collection": kept.collection})
    assert attached.content.strip() == b"The lamp is green."
    assert len(_files(folder)) == before + 2

    await kept.http.delete("/v1/documents/lamp.eml", params={"collection": kept.collection})
    assert len(_files(folder)) == before


async def test_files_go_with_their_collection(kept: Stack, folder: Path) -> None:
    before = len(_files(folder))
    name = f"{kept.collection}-gone"
    await kept.http.post("/v1/collections", json={"name": name})
    await _upload(kept, "a.txt", b"One thing.", name)
    assert len(_files(folder)) == before + 1
    await kept.http.delete(f"/v1/collections/{name}")
    assert len(_files(folder)) == before


async def test_file_that_does_not_fit_is_not_kept_and_its_document_is(qdrant: Qdrant, tmp_path: Path) -> None:
    settings = replace(GatewaySettings(data_dir=tmp_path), max_file_bytes=2 * len(MANUAL))
    async with running_stack(qdrant, settings) as stack:
        await stack.create_collection()
        await _upload(stack, "pump.pdf", MANUAL)
        await _upload(stack, "other.txt", b"A note.")
        assert len(_files(tmp_path)) == 1, "half of the room is one tenant's, and the first file takes it"
        other = await stack.http.get("/v1/documents/other.txt", params={"collection": stack.collection})
        assert (other.json()["text"], other.json()["file"]) == ("A note.", None)

        await stack.http.delete("/v1/documents/pump.pdf", params={"collection": stack.collection})
        assert (await _upload(stack, "other.txt", b"A note."))["status"] == "unchanged"
        assert len(_files(tmp_path)) == 1, "sent again, a file is kept once there is room"


async def test_gateway_that_is_to_keep_no_files_keeps_none(qdrant: Qdrant, tmp_path: Path) -> None:
    async with running_stack(qdrant, GatewaySettings(data_dir=tmp_path, max_file_bytes=0)) as stack:
        await stack.create_collection()
        await _upload(stack, "pump.pdf", MANUAL)
        assert _files(tmp_path) == []


async def test_file_that_a_killed_gateway_left_half_written_is_deleted_by_the_next(tmp_path: Path) -> None:
    left, under_way = tmp_path / "tenant/collection/ab/.left", tmp_path / "tenant/collection/ab/.under-way"
    left.parent.mkdir(parents=True)
    for path in (left, under_way):
        path.write_bytes(b"half")
    os.utime(left, (0, 0))

    made = IndexMaking("model", "fingerprint", 4, ANALYZER_VERSION)
    papers = ResolvedCollection("default", "papers", "papers__1", made)
    await Originals(tmp_path, 1000).keep(papers, [Original("a", "text", b"whole", "pdf")])

    assert not left.exists()
    assert under_way.exists()
