"""Documents and collections over HTTP: JSON, files, ids of every kind."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from faults.full_disk import full_disk

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDS = [
    "plain",
    "a/b/c.md",
    "/begins/and/ends/",
    "docs//twice",
    "../up",
    "with space & ?query=1#part",
    "100%",
    "%2F",
    "🦩/鹭",
    "v1/documents/x",
    "a" * 512,
]


@pytest.mark.parametrize("document_id", IDS)
async def test_document_of_any_id_comes_back_and_goes(stack: Stack, document_id: str) -> None:
    path, where = f"/v1/documents/{quote(document_id, safe='')}", {"collection": stack.collection}
    text = "A flamingo\nstands on one leg. 🦩"

    (added,) = await stack.add({"id": document_id, "title": "F", "text": text, "metadata": {"n": 1, "x": 1.5}})
    content_hash = added.pop("content_hash")
    assert added == {"id": document_id, "status": "indexed", "chunks": 1}
    got = await stack.http.get(path, params=where)
    assert got.status_code == 200
    assert len(content_hash) == 64
    assert got.json()["content_hash"] == content_hash
    assert {key: value for key, value in got.json().items() if key != "content_hash"} == {
        "id": document_id, "title": "F", "uri": "", "metadata": {"n": 1, "x": 1.5}, "chunk_count": 1, "text": text,
        "file": None, "container": None, "readers": ["*"],
    }  # fmt: skip
    assert (await stack.http.delete(path, params=where)).json() == {"deleted_ids": [document_id]}
    assert (await stack.http.get(path, params=where)).status_code == 404
    assert (await stack.http.delete(path, params=where)).json() == {"deleted_ids": []}


async def test_document_id_with_unescaped_slashes_is_the_same_id(stack: Stack) -> None:
    await stack.add({"id": "a/b c", "text": "x"})

    got = await stack.http.get(f"/v1/documents/a/b%20c?collection={stack.collection}")

    assert got.json()["id"] == "a/b c"


@pytest.mark.parametrize("path", ["", "%FF", "a%00b", "a%09b", "a" * 513])
async def test_document_id_that_cannot_be_is_a_400(stack: Stack, path: str) -> None:
    response = await stack.http.get(f"/v1/documents/{path}", params={"collection": stack.collection})

    assert response.status_code == 400
    assert response.json()["error"]["field"] == "id"


async def test_documents_have_an_outcome_each(stack: Stack) -> None:
    before = {
        outcome: stack.metric("trivium_gateway_documents_total", outcome=outcome)
        for outcome in ("indexed", "updated", "unchanged", "failed")
    }
    first = await stack.add({"id": "one", "text": "First."}, {"id": "two", "text": "Second."})
    again = await stack.add(
        {"id": "one", "text": "First."}, {"id": "two", "text": "Changed."}, {"id": "bad", "text": " "}, {"id": "no"}
    )

    assert [one["status"] for one in first] == ["indexed", "indexed"]
    assert [one["status"] for one in again] == ["unchanged", "updated", "failed", "failed"]
    assert set(again[0]) == {"id", "status", "chunks", "content_hash"}
    for failed in again[2:]:
        assert failed["chunks"] == 0
        assert failed["error"]["reason"]
        assert failed["error"]["message"]
    counted = {
        outcome: stack.metric("trivium_gateway_documents_total", outcome=outcome) - count
        for outcome, count in before.items()
    }
    assert counted == {"indexed": 2, "updated": 1, "unchanged": 1, "failed": 2}


async def test_no_documents_are_no_error(stack: Stack) -> None:
    assert await stack.add() == []


async def test_files_are_read_by_their_type_and_fail_alone(stack: Stack) -> None:
    files = [
        ("file", ("note.md", b"# Cranes\n\nCranes dance.", "text/markdown")),
        ("file", ("page.html", b"<html><title>Storks</title><p>Storks clatter.</p></html>", "text/html")),
        ("other", ("plain.txt", "Löffler seihen.".encode(), "text/plain")),
        ("file", ("broken.pdf", b"%PDF-1.4 nothing", "application/pdf")),
    ]

    response = await stack.http.post("/v1/documents", files=files, data={"collection": stack.collection})

    results = response.json()["documents"]
    assert [one["status"] for one in results] == ["indexed", "indexed", "indexed", "failed"]
    got = await stack.http.get(f"/v1/documents/{results[1]['id']}", params={"collection": stack.collection})
    assert got.json()["title"] == "Storks"
    assert "Storks clatter." in got.json()["text"]


async def test_file_is_named_by_its_file_name_so_that_its_next_version_replaces_it(stack: Stack) -> None:
    async def upload(text: bytes) -> Any:
        files = {"file": ("guide/upload.txt", text)}
        response = await stack.http.post("/v1/documents", files=files, data={"collection": stack.collection})
        return response.json()["documents"]

    for text, status in ((b"One.", "indexed"), (b"Two.", "updated")):
        assert [(one["id"], one["status"]) for one in await upload(text)] == [("guide/upload.txt", status)]


async def test_file_with_fields_of_its_own_is_stored_with_them(stack: Stack) -> None:
    data = {
        "collection": stack.collection,
        "id": "up/load",
        "title": "T",
        "uri": "https://x.org/u",
        "metadata": '{"year": 2020}',
    }
    response = await stack.http.post("/v1/documents", files={"file": ("a.txt", b"Uploaded.")}, data=data)

    assert [(one["id"], one["status"]) for one in response.json()["documents"]] == [("up/load", "indexed")]
    got = (await stack.http.get(f"/v1/documents/up/load?collection={stack.collection}")).json()
    assert (got["title"], got["uri"], got["metadata"]) == ("T", "https://x.org/u", {"year": 2020})


@pytest.mark.parametrize(
    ("files", "data", "field"),
    [
        (1, {"colection": "x"}, "colection"),
        (2, {"id": "one"}, "id"),
        (1, {"metadata": "{"}, "metadata"),
        (1, {"metadata": "[]"}, "metadata"),
        (1, {"id": ["one", "two"]}, "id"),
    ],
)
async def test_form_that_breaks_a_rule_is_a_400_that_names_the_field(
    stack: Stack, files: int, data: dict[str, Any], field: str
) -> None:
    parts = [("file", (f"{number}.txt", b"x")) for number in range(files)]
    response = await stack.http.post("/v1/documents", files=parts, data=data)

    assert response.status_code == 400
    assert response.json()["error"]["field"] == field


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Type": "multipart/form-data"}, b"x"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\nbroken"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
    ],
)
async def test_form_that_cannot_be_read_is_a_400(stack: Stack, headers: dict[str, str], content: bytes) -> None:
    response = await stack.http.post("/v1/documents", headers=headers, content=content)

    assert response.status_code == 400
    assert response.json()["error"]["field"] in ("body", "file")


async def test_form_over_the_limit_is_a_413(stack: Stack) -> None:
    parts = [("file", (f"{number}.txt", b"x" * (9 << 20))) for number in range(4)]
    response = await stack.http.post("/v1/documents", files=parts)

    assert response.status_code == 413
    assert response.json()["error"]["reason"] == "BODY_TOO_LARGE"


async def test_list_goes_through_all_pages(stack: Stack) -> None:
    name = f"{stack.collection}-pages"
    await stack.http.post("/v1/collections", json={"name": name})
    documents = [{"id": f"d{number}", "text": f"Text {number}."} for number in range(7)]
    await stack.http.post("/v1/documents", json={"documents": documents, "collection": name})

    seen, token = [], ""
    for _ in range(7):
        page = (
            await stack.http.get("/v1/documents", params={"collection": name, "page_size": 3, "page_token": token})
        ).json()
        assert len(page["documents"]) <= 3
        assert all("text" not in document for document in page["documents"])
        seen += [document["id"] for document in page["documents"]]
        token = page["next_page_token"]
        if not token:
            break

    assert sorted(seen) == [document["id"] for document in documents]


async def test_collection_is_created_described_listed_and_deleted(stack: Stack) -> None:
    name = f"{stack.collection}-birds"
    created = await stack.http.post("/v1/collections", json={"name": name})
    assert created.status_code == 201
    assert created.json() == {
        "name": name, "state": "ready", "chunk_count": 0, "model": "words", "model_fingerprint": "0123456789abcdef" * 4,
        "dimension": 32, "metadata_keys": [], "needs_reindex": False, "coded_chunk_count": 0,
        "settings": None, "earlier_settings": [], "index_beside": None, "comparison": None,
        "sparse_fingerprint": "",
    }  # fmt: skip
    again = await stack.http.post("/v1/collections", json={"name": name})
    assert (again.status_code, again.json()["error"]["reason"]) == (409, "COLLECTION_EXISTS")

    document = {"text": "A stork.", "metadata": {"kind": "bird"}}
    await stack.http.post("/v1/documents", json={"documents": [document], "collection": name})
    described = (await stack.http.get(f"/v1/collections/{name}")).json()
    assert (described["chunk_count"], described["metadata_keys"]) == (1, ["kind"])
    assert described in (await stack.http.get("/v1/collections")).json()["collections"]

    assert (await stack.http.delete(f"/v1/collections/{name}")).json() == {"deleted": name}
    assert (await stack.http.get(f"/v1/collections/{name}")).status_code == 404


async def test_files_without_room_on_their_way_are_refused_and_taken_once_there_is(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {"file": ("a.txt", b"A heron stands in the reeds. " * 80_000)}  # more than is held in memory
    where = {"collection": stack.collection, "id": "on-its-way"}
    with full_disk(tmp_path / "disk") as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.folder))
        disk.fill()
        refused = await stack.http.post("/v1/documents", files=large, data=where)
        disk.make_room()
        taken = await stack.http.post("/v1/documents", files=large, data=where)

    assert refused.status_code == 503
    assert refused.json()["error"]["reason"] == "STORAGE_FULL"
    assert taken.status_code == 200
