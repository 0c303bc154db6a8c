"""Learned sparse vectors as a leg of the search: put on by a reindexing, missed when they are away, and carried."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from trivium.type.v1.model_info_pb2 import ModelInfo

from .conftest import DOCUMENTS, EmbedPeer, Stack, running_stack, sparse_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Qdrant

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SPARSE = ModelInfo()
_SPARSE.CopyFrom(EmbedPeer.model)
_SPARSE.sparse_fingerprint = "ab" * 32
_WITHOUT = EmbedPeer.model
# Its one word of nine letters is what the words of these tests' sparse model have in common with the last query.
_CORMORANT = {"id": "cormorant", "text": "A cormorant dries in the sun."}
_BY_LENGTH = "xxxxxxxxx"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(qdrant: Qdrant) -> AsyncIterator[Stack]:
    """A gateway whose embed service has a sparse model, with a collection that was made with its vectors."""
    async with running_stack(qdrant) as running:
        running.process.gateway.library.calls._collections._memory.remember_seconds = 0.02
        running.embed.model = _SPARSE
        await running.create_collection()
        await running.add(*DOCUMENTS, _CORMORANT)
        yield running


async def _set(stack: Stack, **settings: Any) -> Any:
    response = await stack.http.patch(f"/v1/collections/{stack.collection}", json={"settings": settings})
    return response.json()


async def _reindex(stack: Stack, name: str = "", **body: Any) -> None:
    for _ in range(10):
        response = await stack.http.post(f"/v1/collections/{name or stack.collection}/reindex", json=body)
        assert response.status_code == 200, response.text
        if response.json()["state"] == "done":
            return
    raise AssertionError(f"it does not end: {response.text}")


async def _described(stack: Stack, name: str = "") -> Any:
    return (await stack.http.get(f"/v1/collections/{name or stack.collection}")).json()


async def _found(stack: Stack, query: str = _BY_LENGTH, **fields: Any) -> Any:
    response = await stack.retrieve(query, **fields)
    assert response.status_code == 200, response.text
    return response.json()


def _best(found: Any) -> tuple[str, float | None]:
    best = found["passages"][0]
    return best["document_id"], best["scores"]["learned"]


async def test_leg_is_put_on_by_a_reindexing_and_finds_what_the_others_do_not(stack: Stack) -> None:
    assert (await _found(stack))["passages"][0]["scores"]["learned"] is None
    stack.embed.model = _WITHOUT
    assert (await _set(stack, learned_sparse=True))["error"]["reason"] == "LEARNED_SPARSE_NOT_SUPPORTED"
    stack.embed.model = _SPARSE
    assert (await _set(stack, learned_sparse=True))["needs_reindex"]
    assert not any(call.request.request.sparse for call in stack.embed.called("EmbedStream"))
    await _reindex(stack)

    described = await _described(stack)
    found = await _found(stack)
    weighed = await _found(stack, settings={"learned_weight": 0})
    alone = await _found(stack, settings={"dense_weight": 0, "sparse_weight": 0.5, "rerank_weight": 0})
    trace = (await stack.http.get(f"/v1/traces/{alone['request_id']}", params={"document_id": "swift"})).json()

    assert (described["needs_reindex"], described["sparse_fingerprint"]) == (False, "ab" * 32)
    assert found["degraded"] == []
    expected = float(sparse_of(_CORMORANT["text"]).values[-1])  # nine letters stand once in either
    assert _best(alone) == ("cormorant", expected)
    assert [one["scores"]["learned"] for one in weighed["passages"]] == [None] * len(weighed["passages"])
    assert next(one for one in trace["candidates"] if one["document_id"] == "cormorant")["learned"] == expected
    assert trace["explanation"] is not None


async def test_new_documents_have_the_vectors_and_a_service_without_them_is_said(stack: Stack) -> None:
    await _set(stack, learned_sparse=True)
    await stack.http.post(f"/v1/collections/{stack.collection}/discard")
    if (await _described(stack))["needs_reindex"]:
        await _reindex(stack)
    (added,) = await stack.add({"id": "kingfisher", "text": "kingfisher"})
    found = await _found(stack, "xxxxxxxxxx", settings={"dense_weight": 0, "rerank_weight": 0})
    stack.embed.model = _WITHOUT
    without = await _found(stack, "xxxxxxxxxxx of herons")
    (refused,) = await stack.add({"id": "late", "text": "It comes too late."})
    stack.embed.model = _SPARSE

    assert added["status"] == "indexed"
    assert _best(found) == ("kingfisher", 1.0)
    degraded = [(one["stage"], one["reason"], one["fallback"], one["detail"]) for one in without["degraded"]]
    assert degraded == [("search.learned", "unavailable", "other-legs", "SPARSE_MODEL_CHANGED")]
    assert without["passages"]
    assert (refused["status"], refused["error"]["reason"]) == ("failed", "SPARSE_MODEL_CHANGED")


async def test_another_sparse_model_is_taken_up_by_a_reindexing_with_the_same_model(stack: Stack) -> None:
    await _set(stack, learned_sparse=True)
    await stack.http.post(f"/v1/collections/{stack.collection}/discard")
    other = ModelInfo()
    other.CopyFrom(_SPARSE)
    other.sparse_fingerprint = "cd" * 32
    stack.embed.model = other
    try:
        await _reindex(stack, model=other.name)
        assert (await _described(stack))["sparse_fingerprint"] == "cd" * 32
        assert (await _found(stack, "xxxxxxxxx of cormorants"))["degraded"] == []
        await stack.http.post(f"/v1/collections/{stack.collection}/rollback")
        assert (await _found(stack, "xxxxxxxxx of otters"))["degraded"][0]["stage"] == "search.learned"
        await _reindex(stack)  # the one that was gone back from is brought over, and deleted
    finally:
        stack.embed.model = _SPARSE
    assert (await _found(stack, "xxxxxxxxx of swifts"))["degraded"] == []


async def test_export_carries_them_and_an_import_embeds_nothing(stack: Stack) -> None:
    copy = f"copy-{os.urandom(6).hex()}"
    await stack.http.post("/v1/collections", json={"name": copy})
    lines = (await stack.http.get(f"/v1/collections/{stack.collection}/export")).content
    refused = await stack.http.post(f"/v1/collections/{copy}/import", content=lines)
    await stack.http.patch(f"/v1/collections/{copy}", json={"settings": {"learned_sparse": True}})
    await _reindex(stack, copy)  # there is nothing in it, and it is made otherwise all the same
    damaged = lines.replace(b'"learned_indices":[', b'"learned_indices":[7,7,')
    results = (await stack.http.post(f"/v1/collections/{copy}/import", content=damaged)).json()["documents"]
    stack.embed.reset()
    await stack.http.post(f"/v1/collections/{copy}/import", content=lines)

    assert refused.json()["error"]["reason"] == "MODEL_DIFFERS"
    assert {one["error"]["reason"] for one in results} == {"VECTOR_DAMAGED"}
    assert not stack.embed.called("EmbedStream")
    again = (await stack.http.get(f"/v1/collections/{copy}/export")).content
    assert _pieces(again) == _pieces(lines)
    assert all(piece["learned_indices"] for pieces in _pieces(again).values() for piece in pieces)


def _pieces(lines: bytes) -> dict[str, Any]:
    documents = [json.loads(line).get("document") for line in lines.splitlines()]
    return {one["id"]: one["pieces"] for one in documents if one}
