"""A document that one may not read is as if it did not exist: by no surface, for no key, and whoever else asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_gateway.settings import GatewaySettings

from .conftest import running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from .conftest import Qdrant, Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SECRET, _HIDDEN = "zanzibar", "ledger-of-hr"
_QUESTION = "Where does the otter vault open?"
_DOCUMENTS = [
    {"id": "open", "title": "Vault", "text": "The otter vault opens at noon."},
    {"id": _HIDDEN, "title": _SECRET, "text": f"The otter vault opens at {_SECRET}.", "readers": ["group:hr"]},
]


@dataclass
class House:
    """A gateway with the keys of some people, in which `hr` alone may read one of two documents."""

    stack: Stack
    keys: dict[str, str]

    async def call(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Calls it as somebody; `who` may name for whom an application asks, as `app:ann:hr`."""
        name, *rest = who.split(":")
        headers = {"Authorization": f"Bearer {self.keys[name]}"} | dict(
            zip(("X-Trivium-User", "X-Trivium-Groups"), rest, strict=False)
        )
        headers |= more.pop("headers", {})
        return await self.stack.http.request(method, path, headers=headers, **more)

    async def ended(self, who: str, job: str) -> dict[str, Any]:
        """Waits for the end of a job."""
        async with asyncio.timeout(60):
            while True:
                shown: dict[str, Any] = (await self.call(who, "GET", f"/v1/jobs/{job}")).json()
                if shown["state"] in {"done", "failed"}:
                    return shown
                await asyncio.sleep(0.05)

    async def trace_of(self, who: str) -> str:
        """Asks, and gives the id of the request."""
        asked = await self.call(who, "POST", "/v1/retrieve", json={"query": _QUESTION, "rerank": False})
        request_id: str = asked.json()["request_id"]
        return request_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The house."""
    folder: Path = tmp_path_factory.mktemp("data")
    async with running_stack(qdrant, GatewaySettings(auth="keys", data_dir=folder)) as stack:
        house = House(stack, {"first": (folder / "gateway" / "first-key").read_text().strip()})
        for name, scopes, more in (
            ("admin", ["read", "ingest", "admin"], {}),
            ("ann", ["read", "ingest"], {"user": "ann", "groups": ["hr"]}),
            ("bob", ["read", "ingest"], {"user": "bob"}),
            ("bot", ["read", "ingest"], {}),
            ("app", ["read", "ingest", "admin", "act-as"], {}),
        ):
            body = {"name": name, "tenant": "house", "scopes": scopes, **more}
            house.keys[name] = (await house.call("first", "POST", "/v1/keys", json=body)).json()["key"]
        added = await house.call("admin", "POST", "/v1/documents", json={"documents": _DOCUMENTS})
        assert [one["status"] for one in added.json()["documents"]] == ["indexed", "indexed"]
        yield house


def _mcp(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return {"json": call, "headers": headers}


_ASKED = [{"role": "user", "content": _QUESTION}]
_SURFACES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "answer": ("POST", "/v1/answer", {"json": {"question": _QUESTION}}),
    "stream": ("POST", "/v1/answer", {"json": {"question": _QUESTION, "stream": True}}),
    "retrieve": ("POST", "/v1/retrieve", {"json": {"query": _QUESTION}}),
    "phrase": ("POST", "/v1/retrieve", {"json": {"query": 'otter "vault opens at"'}}),
    "words": ("POST", "/v1/retrieve", {"json": {"query": _QUESTION, "rerank": False, "candidates": 1000}}),
    "queries": ("POST", "/v1/retrieve", {"json": {"query": _QUESTION, "queries": ["the vault"]}}),
    "chat": ("POST", "/v1/chat/completions", {"json": {"model": "trivium", "messages": _ASKED}}),
    "responses": ("POST", "/v1/responses", {"json": {"model": "trivium", "input": _QUESTION}}),
    "vector search": ("POST", "/v1/vector_stores/default/search", {"json": {"query": _QUESTION}}),
    "list": ("GET", "/v1/documents", {}),
    "mcp search": ("POST", "/mcp", _mcp("search", {"query": _QUESTION})),
    "mcp answer": ("POST", "/mcp", _mcp("answer", {"question": _QUESTION})),
    "mcp list": ("POST", "/mcp", _mcp("list_documents", {})),
}


@pytest.mark.parametrize("surface", _SURFACES)
async def test_hidden_document_is_on_no_surface(house: House, surface: str) -> None:
    method, path, more = _SURFACES[surface]
    for who in ("bob", "bot", "app:bob", "app:ann:sales", "ann", "admin", "app", "app:eve:hr", "app::hr,sales"):
        response = await house.call(who, method, path, **more)
        assert response.status_code == 200, response.text
        is_reader = who in {"ann", "admin", "app", "app:eve:hr", "app::hr,sales"}
        shown = response.text
        is_shown = _HIDDEN in shown or _SECRET in shown
        assert is_reader or not is_shown, who
        assert is_shown or not is_reader or surface == "mcp answer", who  # which shows the passage that it cites
        assert "noon" in shown or "open" in shown


async def test_headers_that_say_two_things_of_who_asks_are_refused(house: House) -> None:
    for name, values in (("x-trivium-groups", ("none", "hr")), ("x-trivium-user", ("bob", "ann"))):
        twice = [("authorization", f"Bearer {house.keys['app']}"), *((name, value) for value in values)]
        refused = await house.stack.http.request("POST", "/v1/retrieve", headers=twice, json={"query": _QUESTION})
        assert (refused.status_code, refused.json()["error"]["reason"]) == (400, "INVALID_FIELD")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.stack.stub.Retrieve(pb.RetrieveRequest(query=_QUESTION), metadata=tuple(twice))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_hidden_document_is_not_there_by_its_id_nor_counted(house: House) -> None:
    for path in (f"/v1/documents/{_HIDDEN}", "/v1/documents/nowhere"):
        gone = await house.call("bob", "GET", path)
        assert (gone.status_code, gone.json()["error"]["reason"]) == (404, "DOCUMENT_NOT_FOUND")
    hidden, absent = [
        (await house.call("bob", "GET", f"/v1/documents/{one}")).json()["error"]["message"] for one in (_HIDDEN, "none")
    ]
    assert hidden.replace(_HIDDEN, "none") == absent
    read = await house.call("bob", "POST", "/mcp", **_mcp("read_document", {"id": _HIDDEN}))
    assert _SECRET not in read.text
    for who, count in (("bob", 1), ("ann", 2), ("admin", 2)):
        assert (await house.call(who, "GET", "/v1/collections/default")).json()["chunk_count"] == count
        (listed,) = (await house.call(who, "GET", "/v1/collections")).json()["collections"]
        assert listed["chunk_count"] == count
    metadata = (("authorization", f"Bearer {house.keys['bob']}"),)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await house.stack.stub.GetDocument(pb.GetDocumentRequest(id=_HIDDEN), metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    found = await house.stack.stub.Retrieve(pb.RetrieveRequest(query=_QUESTION), metadata=metadata)
    assert [one.document_id for one in found.passages] == ["open"]
    acting = (("authorization", f"Bearer {house.keys['app']}"), ("x-trivium-groups", "hr"))
    found = await house.stack.stub.Retrieve(pb.RetrieveRequest(query=_QUESTION), metadata=acting)
    assert {one.document_id for one in found.passages} == {"open", _HIDDEN}


async def test_hidden_document_is_neither_changed_nor_deleted(house: House) -> None:
    gone = await house.call("bob", "DELETE", f"/v1/documents/{_HIDDEN}")
    assert gone.json() == {"deleted_ids": []}
    opened = await house.call("bob", "PATCH", f"/v1/documents/{_HIDDEN}", json={"readers": ["*"]})
    assert (opened.status_code, opened.json()["error"]["reason"]) == (404, "DOCUMENT_NOT_FOUND")
    for wait in (True, False):
        body = {"documents": [{"id": _HIDDEN, "text": "Mine."}], "wait": wait}
        sent = await house.call("bob", "POST", "/v1/documents", json=body)
        if wait:
            (result,) = sent.json()["documents"]
            assert result["error"]["reason"] == "DOCUMENT_ID_TAKEN"
            continue
        job = sent.json()["job"]
        shown = await house.ended("bob", job)
        assert shown["failed"][0]["error"]["reason"] == "DOCUMENT_ID_TAKEN"
        assert (await house.call("ann", "GET", f"/v1/jobs/{job}")).status_code == 404
        assert (await house.call("admin", "GET", f"/v1/jobs/{job}")).status_code == 200
        assert job not in (await house.call("ann", "GET", "/v1/jobs")).text
    assert _SECRET in (await house.call("ann", "GET", f"/v1/documents/{_HIDDEN}")).text


async def test_trace_of_who_may_read_more_is_not_there(house: House) -> None:
    of_bot, of_hr = await house.trace_of("app:eve"), await house.trace_of("app:eve:hr")
    for viewer, seen in (("app:eve", {of_bot}), ("app:eve:hr", {of_bot, of_hr}), ("bob", set()), ("admin", {of_hr})):
        for request_id in (of_bot, of_hr):
            if viewer == "admin" and request_id == of_bot:
                continue
            for method, path in (("GET", ""), ("POST", "/replay")):
                more: dict[str, Any] = {} if method == "GET" else {"json": {"set": {}}}
                shown = await house.call(viewer, method, f"/v1/traces/{request_id}{path}", **more)
                assert (viewer, shown.status_code) == (viewer, 200 if request_id in seen else 404)
                if viewer == "app:eve":
                    assert _HIDDEN not in shown.text
            said = {"request_id": request_id, "rating": 1}
            assert (await house.call(viewer, "POST", "/v1/feedback", json=said)).status_code == (
                200 if request_id in seen else 404
            )
    assert of_hr not in (await house.call("app:eve", "GET", "/v1/feedback")).text
    # What hr said with documents of its own is theirs, and an export has the documents that one may read.
    named = {"request_id": "r-1", "rating": 1, "question": _QUESTION, "document_ids": [_HIDDEN, "open"]}
    for who in ("bob", "ann"):
        assert (await house.call(who, "POST", "/v1/feedback", json=named)).status_code == 200
        exported = await house.call(who, "GET", "/v1/feedback/export")
        assert exported.status_code == 200
        assert (_SECRET.encode() in _unpacked(exported.content)) == (who == "ann")


async def test_admin_is_told_that_the_asker_may_not_read_a_document_and_the_asker_is_not(house: House) -> None:
    request_id = await house.trace_of("bob")
    for who, fate in (("bob", "not_in_collection"), ("admin", "not_permitted")):
        trace = await house.call(who, "GET", f"/v1/traces/{request_id}", params={"document_id": _HIDDEN})
        assert trace.json()["explanation"]["fate"] == fate


async def test_query_that_somebody_else_asked_is_not_known_to_be_remembered(house: House) -> None:
    query = {"query": "Which walrus has the key?", "rerank": False}
    cached = []
    for who in ("bob", "ann", "bob"):
        request_id = (await house.call(who, "POST", "/v1/retrieve", json=query)).json()["request_id"]
        trace = (await house.call(who, "GET", f"/v1/traces/{request_id}")).json()
        (embed,) = [one for one in trace["stages"] if one["name"] == "embed"]
        cached.append(embed["facts"]["trivium.cached"])
    assert cached == [False, False, True]


async def test_readers_are_told_to_those_who_add_documents(house: House) -> None:
    body = {"name": "r", "tenant": "house", "scopes": ["read"], "user": "ann", "groups": ["hr"]}
    house.keys["only-reads"] = (await house.call("first", "POST", "/v1/keys", json=body)).json()["key"]
    for who, told in (("ann", ["group:hr"]), ("admin", ["group:hr"]), ("only-reads", None)):
        assert (await house.call(who, "GET", f"/v1/documents/{_HIDDEN}")).json()["readers"] == told
    assert (await house.call("bob", "GET", "/v1/documents/open")).json()["readers"] == ["*"]


async def test_readers_are_changed_over_http_and_grpc_without_embedding(house: House) -> None:
    text = {"id": "note", "text": "The heron note.", "readers": ["user:ann"]}
    await house.call("ann", "POST", "/v1/documents", json={"documents": [text]})
    house.stack.embed.calls.clear()
    changed = await house.call("ann", "PATCH", "/v1/documents/note", json={"readers": ["user:bob", "user:ann"]})
    assert changed.json() == {"id": "note", "readers": ["user:ann", "user:bob"]}
    assert (await house.call("bob", "GET", "/v1/documents/note")).status_code == 200
    by_bob = (("authorization", f"Bearer {house.keys['bob']}"),)
    request = pb.SetReadersRequest(ids=["note", "none"], readers=["user:bob"])
    assert list((await house.stack.stub.SetReaders(request, metadata=by_bob)).changed_ids) == ["note"]
    assert (await house.call("ann", "GET", "/v1/documents/note")).status_code == 404
    assert [call.method for call in house.stack.embed.calls if call.method in {"Embed", "EmbedStream"}] == []
    for wrong in ([], ["bob"], ["user:"]):
        refused = await house.call("bob", "PATCH", "/v1/documents/note", json={"readers": wrong})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, "readers")
        body = {"documents": [{"id": "x", "text": "X.", "readers": wrong}]}
        refused = await house.call("bob", "POST", "/v1/documents", json=body)
        assert "INVALID_FIELD" in refused.text


async def test_program_that_is_nobody_keeps_documents_that_it_cannot_read(house: House) -> None:
    document = {"id": "kept", "text": "The kept ledger.", "readers": ["group:hr"]}
    for status, text in (("indexed", "The kept ledger."), ("unchanged", "The kept ledger."), ("updated", "Anew.")):
        sent = await house.call("bot", "POST", "/v1/documents", json={"documents": [{**document, "text": text}]})
        assert [one["status"] for one in sent.json()["documents"]] == [status]
    assert (await house.call("bot", "GET", "/v1/documents/kept")).status_code == 404
    assert (await house.call("bot", "DELETE", "/v1/documents/kept")).json() == {"deleted_ids": ["kept"]}


async def test_files_and_mcp_take_readers(house: House) -> None:
    form = {"readers": '["user:ann"]'}
    files = [("file", ("file.txt", b"A quetzal of a file."))]
    assert (await house.call("ann", "POST", "/v1/documents", data=form, files=files)).status_code == 200
    arguments = {"documents": [{"id": "mcp", "text": "A quetzal of a tool.", "readers": ["user:ann"]}]}
    assert (await house.call("ann", "POST", "/mcp", **_mcp("ingest", arguments))).status_code == 200
    waiting = {"documents": [{"id": "job", "text": "A quetzal of a job.", "readers": ["user:ann"]}], "wait": False}
    job = (await house.call("ann", "POST", "/v1/documents", json=waiting)).json()["job"]
    assert (await house.ended("ann", job))["state"] == "done"
    query = {"query": "quetzal", "rerank": False, "collapse": False}
    found = (await house.call("ann", "POST", "/v1/retrieve", json=query)).json()["passages"]
    assert {one["document_id"] for one in found} >= {"file.txt", "mcp", "job"}
    hidden = (await house.call("bob", "POST", "/v1/retrieve", json=query)).json()["passages"]
    assert not {one["document_id"] for one in hidden} & {"file.txt", "mcp", "job"}


def _unpacked(content: bytes) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())
