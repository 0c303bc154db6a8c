"""Documents taken out with their vectors and put in again: the same answers, and nothing embedded."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from trivium.gateway.v1 import transfer_service_pb2 as pb
from trivium.gateway.v1.transfer_service_pb2_grpc import TransferServiceStub
from trivium_gateway.library import exporting

from .conftest import DOCUMENTS, Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant

pytestmark = pytest.mark.asyncio(loop_scope="module")

_LONG = {
    "id": "long",
    "title": "Waders",
    "uri": "file:///waders.txt",
    "text": " ".join(f"The wader number {number} eats crab number {number}." for number in range(600)),
    "metadata": {"year": 2020, "tags": ["bird", "shore"], "source": {"page": 4}},
}
_SECRET = {"id": "secret", "text": "The vault opens at noon.", "readers": ["group:hr"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway with a collection of some documents, of which one is long and one is not for everyone."""
    async with running_stack(qdrant) as running:
        await running.create_collection()
        results = await running.add(*DOCUMENTS, _LONG, _SECRET)
        assert {one["status"] for one in results} == {"indexed"}
        yield running


async def _exported(stack: Stack, name: str = "", **parameters: Any) -> bytes:
    response = await stack.http.get(f"/v1/collections/{name or stack.collection}/export", params=parameters)
    assert response.status_code == 200, response.text
    return response.content


async def _new(stack: Stack) -> str:
    name = f"copy-{os.urandom(6).hex()}"
    assert (await stack.http.post("/v1/collections", json={"name": name})).status_code == 201
    return name


async def _import(stack: Stack, name: str, lines: bytes, **parameters: Any) -> list[dict[str, Any]]:
    response = await stack.http.post(f"/v1/collections/{name}/import", content=lines, params=parameters)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["documents"]
    return results


async def _documents(stack: Stack, name: str) -> dict[str, Any]:
    listed = (await stack.http.get("/v1/documents", params={"collection": name})).json()["documents"]
    found = {}
    for one in listed:
        got = (await stack.http.get(f"/v1/documents/{one['id']}", params={"collection": name})).json()
        found[one["id"]] = got
    return found


async def _answers(stack: Stack, name: str) -> list[Any]:
    answers = []
    for question in ("What do herons eat?", "What does the wader number 451 eat?", "When does the vault open?"):
        body = {"question": question, "collection": name}
        answer = (await stack.http.post("/v1/answer", json=body)).json()
        shown = [
            (one["document_id"], one["text"], one["span"], one["metadata"], round(one["score"], 5))
            for one in answer["passages"]
        ]
        answers.append((answer["answer"], shown))
    return answers


async def test_imported_collection_has_the_same_documents_and_answers_and_nothing_is_embedded(stack: Stack) -> None:
    lines = await _exported(stack)
    copy = await _new(stack)
    stack.embed.reset()

    results = await _import(stack, copy, lines)

    assert {one["status"] for one in results} == {"indexed"}
    assert not stack.embed.called("EmbedStream")
    assert not stack.embed.called("Embed")
    assert await _documents(stack, copy) == await _documents(stack, stack.collection)
    assert (await _documents(stack, copy))["secret"]["readers"] == ["group:hr"]
    assert await _answers(stack, copy) == await _answers(stack, stack.collection)
    assert {one["status"] for one in await _import(stack, copy, lines)} == {"unchanged"}


async def test_export_over_grpc_says_where_to_go_on_and_at_last_that_all_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PAGE_DOCUMENTS", 2)
    monkeypatch.setattr(exporting, "_PIECES_AT_ONCE", 3)  # so that the long document comes in parts
    stub: Any = TransferServiceStub(stack.channel)
    request = pb.ExportDocumentsRequest(collection=stack.collection)
    messages = [one async for one in stub.ExportDocuments(request)]
    tokens = [place for place, one in enumerate(messages) if one.page_token]

    rest = [
        one
        async for one in stub.ExportDocuments(
            pb.ExportDocumentsRequest(collection=stack.collection, page_token=messages[tokens[0]].page_token)
        )
    ]

    def ids(some: list[Any]) -> list[str]:
        return [one.document.id for one in some if one.HasField("document") and not one.document.continues]

    assert messages[0].collection.model == "words"
    assert messages[-1].done
    assert len(ids(messages)) == len(DOCUMENTS) + 2
    assert ids(messages[: tokens[0]]) + ids(rest) == ids(messages)
    assert [one for one in messages if one.document.continues]
    assert {len(one.vector) for message in messages for one in message.document.pieces} == {4 * 32}


async def test_long_document_that_comes_in_parts_is_imported_whole(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_PIECES_AT_ONCE", 3)
    lines = await _exported(stack)
    copy = await _new(stack)
    stack.embed.reset()

    await _import(stack, copy, lines)

    assert lines.count(b'"continues":true') >= 2
    assert not stack.embed.called("EmbedStream")
    assert (await _documents(stack, copy))["long"]["text"] == _LONG["text"]


async def test_export_without_vectors_is_embedded_anew_and_answers_the_same(stack: Stack) -> None:
    lines = await _exported(stack, vectors=False)
    copy = await _new(stack)
    stack.embed.reset()

    await _import(stack, copy, lines)

    assert b'"vector"' not in lines
    assert stack.embed.called("EmbedStream")
    assert await _answers(stack, copy) == await _answers(stack, stack.collection)


async def test_vectors_of_another_model_are_refused_until_texts_may_be_embedded(stack: Stack) -> None:
    first, *rest = (await _exported(stack)).splitlines(keepends=True)
    told = json.loads(first)
    told["collection"] |= {"model": "another", "model_fingerprint": "ab" * 32}
    lines = b"".join([json.dumps(told).encode() + b"\n", *rest])
    copy = await _new(stack)
    stack.embed.reset()

    refused = await stack.http.post(f"/v1/collections/{copy}/import", content=lines)
    results = await _import(stack, copy, lines, embed=True)

    assert refused.status_code == 409
    assert refused.json()["error"]["reason"] == "MODEL_DIFFERS"
    assert "another" in refused.json()["error"]["message"]
    assert {one["status"] for one in results} == {"indexed"}
    assert stack.embed.called("EmbedStream")
    assert await _answers(stack, copy) == await _answers(stack, stack.collection)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: lines[1:], "EXPORT_DAMAGED"),
        (lambda lines: [lines[0], lines[1][:-40] + b"\n"], "EXPORT_DAMAGED"),
        (lambda lines: [lines[0], lines[1].replace(b'"pieces"', b'"parts"')], "EXPORT_DAMAGED"),
        (lambda lines: [lines[0].replace(b'"trivium_export":1', b'"trivium_export":2')], "EXPORT_DAMAGED"),
        (lambda lines: [lines[0], b'{"document":{"id":"x","continues":true,"pieces":[]}}\n'], "INVALID_FIELD"),
    ],
    ids=["no first line", "cut off", "another field", "another version", "a part alone"],
)
async def test_damaged_export_is_refused_with_what_is_wrong(stack: Stack, damage: Any, reason: str) -> None:
    lines = (await _exported(stack)).splitlines(keepends=True)
    copy = await _new(stack)

    response = await stack.http.post(f"/v1/collections/{copy}/import", content=b"".join(damage(lines)))

    assert response.status_code == 400, response.text
    assert response.json()["error"]["reason"] == reason
    assert not await _documents(stack, copy)


@pytest.mark.parametrize("vector", ["AAAA", "", "A" * 170 + "A=", "//////" * 28 + "//8="])
async def test_damaged_vector_fails_its_document_alone(stack: Stack, vector: str) -> None:
    first, *rest = (await _exported(stack)).splitlines(keepends=True)
    documents = [json.loads(line) for line in rest if b'"document"' in line]
    heron = next(one for one in documents if one["document"]["id"] == "heron")
    heron["document"]["pieces"][0]["vector"] = vector
    copy = await _new(stack)

    results = await _import(stack, copy, first + b"".join(json.dumps(one).encode() + b"\n" for one in documents))

    failed = {one["id"]: one["error"]["reason"] for one in results if one["status"] == "failed"}
    assert failed == {"heron": "VECTOR_DAMAGED"}
    assert {one["status"] for one in results} == {"failed", "indexed"}


async def test_import_over_documents_replaces_them_and_leaves_the_others(stack: Stack) -> None:
    lines = await _exported(stack)
    copy = await _new(stack)
    own = [{"id": "heron", "text": "Herons eat nothing."}, {"id": "own", "text": "It stays."}]
    await stack.http.post("/v1/documents", json={"collection": copy, "documents": own})

    results = await _import(stack, copy, lines)

    assert {one["id"]: one["status"] for one in results}["heron"] == "updated"
    found = await _documents(stack, copy)
    assert found.pop("own")["text"] == "It stays."
    assert found == await _documents(stack, stack.collection)


async def test_documents_in_a_container_stay_in_it(stack: Stack) -> None:
    mail = (
        b"From: a@example.com\nSubject: Fish\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain\n\nHerons fish.\n'
        b'--b\nContent-Type: text/plain; name="a.txt"\nContent-Disposition: attachment; filename="a.txt"\n\n'
        b"Ibises probe.\n--b--\n"
    )
    name, copy = await _new(stack), await _new(stack)
    files = {"file": ("fish.eml", mail, "message/rfc822")}
    added = await stack.http.post("/v1/documents", files=files, data={"collection": name})
    assert added.json()["documents"][0]["parts"], added.text
    lines = await _exported(stack, name)

    first = await _import(stack, copy, lines)
    await _import(stack, copy, lines)
    back = await _import(stack, name, lines)

    assert {one["status"] for one in first} == {"indexed"}
    assert {one["status"] for one in back} == {"unchanged"}
    before, after = await _documents(stack, name), await _documents(stack, copy)
    assert {one["file"] for one in after.values()} == {None}  # the files themselves are not in an export
    assert before["fish.eml"].pop("file")["format"] == "mail"  # and stay where they are
    for one in (*before.values(), *after.values()):
        one.pop("file", None)
    assert after == before
    assert [one["container"] for one in (await _documents(stack, copy)).values()].count(None) == 1


async def test_token_that_is_none_and_collection_that_is_none_are_refused(stack: Stack) -> None:
    wrong = await stack.http.get(f"/v1/collections/{stack.collection}/export", params={"page_token": "x"})
    none = await stack.http.get("/v1/collections/no-such/export")
    nowhere = await stack.http.post("/v1/collections/no-such/import", content=await _exported(stack))

    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "page_token")
    assert (none.status_code, none.json()["error"]["reason"]) == (404, "COLLECTION_NOT_FOUND")
    assert (nowhere.status_code, nowhere.json()["error"]["reason"]) == (404, "COLLECTION_NOT_FOUND")
