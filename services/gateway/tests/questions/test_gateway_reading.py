"""How much of what a search has found is read: no more than may be shown, and what is shown is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_COPIES = [{"id": f"copy{number}", "text": "The ferry leaves at noon."} for number in range(30)]
_OTHERS = [{"id": f"other{number}", "text": f"The ferry number {number} is late."} for number in range(6)]


async def _retrieve(stack: Stack, **more: Any) -> list[dict[str, Any]]:
    body = {"query": "When does the ferry leave at noon?", "collection": "ferries", "rerank": False} | more
    response = await stack.http.post("/v1/retrieve", json=body)
    assert response.status_code == 200, response.text
    passages: list[dict[str, Any]] = response.json()["passages"]
    return passages


async def test_retrieve_without_reranking_shows_the_same_however_much_of_it_is_read(stack: Stack) -> None:
    await stack.http.post("/v1/collections", json={"name": "ferries"})
    written = await stack.http.post("/v1/documents", json={"documents": _COPIES + _OTHERS, "collection": "ferries"})
    assert {one["status"] for one in written.json()["documents"]} == {"indexed"}

    few = await _retrieve(stack, top_n=5)
    many = await _retrieve(stack, top_n=7)  # as many as say different things: all are read
    first = await _retrieve(stack, top_n=2, collapse=False)

    assert [one["text"] for one in few] == [one["text"] for one in many][:5]  # most of what is read first says the same
    assert len(many) == 7
    assert len(few[0]["duplicates"]) == len(many[0]["duplicates"]) == 29
    assert [one["score"] for one in few] == [one["score"] for one in many][:5]
    assert [one["score"] for one in first] == [many[0]["score"]] * 2
