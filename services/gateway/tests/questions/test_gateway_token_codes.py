"""The vectors of a chunk's tokens: kept with it, handed to the reranker, and shown to nobody."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_gateway.health.probes import rerank_probe
from trivium_gateway.models import rerank
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.models.health import ServiceHealth
from trivium_gateway.qdrant.chunks import QdrantChunks
from trivium_serving.channels import open_channel
from trivium_serving.errors import InvalidField, Unavailable

from .conftest import codes_of

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTS = [
    {"id": "heron", "title": "Herons", "text": "Herons eat fish."},
    {"id": "owl", "text": "Owls eat mice, and herons do not."},
]


NAMES = itertools.count()


async def _ingest(stack: Stack) -> None:
    """Makes a collection of the test's own, with DOCUMENTS."""
    stack.collection = f"codes-{next(NAMES)}"
    assert (await stack.http.post("/v1/collections", json={"name": stack.collection})).status_code < 300
    response = await stack.http.post("/v1/documents", json={"documents": DOCUMENTS, "collection": stack.collection})
    assert [one["status"] for one in response.json()["documents"]] == ["indexed", "indexed"], response.text


async def _retrieve(stack: Stack, **fields: Any) -> Any:
    body = {"query": "What do herons eat?", "collection": stack.collection, **fields}
    response = await stack.http.post("/v1/retrieve", json=body)
    assert response.status_code == 200, response.text
    return response


def _asked(stack: Stack) -> Any:
    return stack.rerank.called("Rerank")[-1].request


async def _let_it_say_what_it_takes(stack: Stack) -> None:
    """A reranker says in each answer whether it takes token codes."""
    stack.rerank.token_fingerprint = "ab" * 32
    await _retrieve(stack)


async def test_retrieve_hands_the_token_codes_of_candidates_to_a_reranker_that_takes_them(stack: Stack) -> None:
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)
    response = await _retrieve(stack)

    passages = {passage.text: passage for passage in _asked(stack).passages}
    assert set(passages) == {"Herons\nHerons eat fish.", "Owls eat mice, and herons do not."}
    for text, passage in passages.items():
        assert passage.token_codes == codes_of(text)
    assert passages["Herons\nHerons eat fish."].search_score != 0
    assert _asked(stack).places == 5
    assert "token_codes" not in response.text
    assert response.json()["degraded"] == []


async def test_retrieve_sends_no_texts_to_a_reranker_that_judges_by_token_codes_alone(stack: Stack) -> None:
    await _ingest(stack)
    stack.rerank.texts_optional = True
    await _let_it_say_what_it_takes(stack)
    response = await _retrieve(stack)

    assert [passage.text for passage in _asked(stack).passages] == ["", ""]
    assert all(passage.token_codes for passage in _asked(stack).passages)
    assert response.json()["passages"][0]["text"] == "Herons eat fish."

    # Of an earlier version, which gives passages without a text no score.
    stack.rerank.texts_optional = False
    await _retrieve(stack)
    assert all(passage.text for passage in _asked(stack).passages)


async def test_retrieve_asks_a_reranker_that_takes_none_by_text(stack: Stack) -> None:
    await _ingest(stack)
    await _retrieve(stack)
    await _retrieve(stack)

    assert len(_asked(stack).texts) == 2
    assert not _asked(stack).passages


async def test_retrieve_of_chunks_stored_without_token_codes_asks_by_text(stack: Stack) -> None:
    stack.embed.gives_codes = False
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)
    response = await _retrieve(stack)

    assert len(_asked(stack).texts) == 2
    assert len(response.json()["passages"]) == 2


async def test_update_replaces_the_token_codes_with_the_text(stack: Stack) -> None:
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)
    changed = [{"id": "owl", "text": "Owls eat voles now, say the herons."}]
    await stack.http.post("/v1/documents", json={"documents": changed, "collection": stack.collection})
    await _retrieve(stack)

    codes = {passage.token_codes for passage in _asked(stack).passages}
    assert codes == {codes_of("Herons\nHerons eat fish."), codes_of("Owls eat voles now, say the herons.")}


async def test_retrieve_when_the_reranker_cannot_read_the_codes_asks_by_text(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)
    stack.rerank.calls.clear()
    meet = stack.rerank.meet

    async def refuse_codes(method: str, request: Any, context: Any) -> None:
        await meet(method, request, context)
        if method == "Rerank" and request.passages:
            raise InvalidField("passages[0].token_codes", "damaged", reason="TOKEN_CODES_UNREADABLE")

    monkeypatch.setattr(stack.rerank, "meet", refuse_codes)
    response = await _retrieve(stack)

    assert [bool(call.request.passages) for call in stack.rerank.called("Rerank")] == [True, False]
    assert response.json()["degraded"] == []


async def test_retrieve_when_the_codes_cannot_be_had_asks_by_text(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("away", reason="UPSTREAM_UNAVAILABLE")

    found = QdrantChunks.found

    async def without_codes(self: QdrantChunks, *arguments: Any, with_codes: bool, **more: Any) -> Any:
        return await (away() if with_codes else found(self, *arguments, with_codes=False, **more))

    monkeypatch.setattr(QdrantChunks, "found", without_codes)
    monkeypatch.setattr(QdrantChunks, "token_codes", away)
    response = await _retrieve(stack)

    assert len(_asked(stack).texts) == 2
    assert response.json()["degraded"] == []


async def test_retrieve_leaves_passages_that_a_reranker_left_out_behind_the_others(stack: Stack) -> None:
    await _ingest(stack)
    stack.rerank.kind = pb.SCORE_KIND_RELEVANCE
    stack.rerank.rankings = [pb.Ranking(index=1, score=0.6)]
    response = await _retrieve(stack, top_n=1)

    [passage] = response.json()["passages"]
    assert passage["score"] == pytest.approx(0.6)
    assert passage["scores"]["rerank"] == pytest.approx(0.6)
    assert response.json()["degraded"] == []


async def test_documents_and_pages_never_show_token_codes(stack: Stack) -> None:
    await _ingest(stack)
    for path in ("/v1/documents", "/v1/documents/owl"):
        response = await stack.http.get(path, params={"collection": stack.collection})
        assert response.status_code == 200
        assert "token_codes" not in response.text


async def test_retrieve_by_a_reranker_of_an_earlier_version_is_asked_by_text_again(stack: Stack) -> None:
    """While replicas are replaced one by one, an earlier one may answer: it knows texts alone."""
    await _ingest(stack)
    await _let_it_say_what_it_takes(stack)
    stack.rerank.token_fingerprint = ""
    await _retrieve(stack)
    await _retrieve(stack)

    assert len(_asked(stack).texts) == 2


async def test_rerank_stage_says_when_it_takes_no_token_codes_that_embed_gives(stack: Stack) -> None:
    async def detail() -> str:
        async with (
            open_channel(f"127.0.0.1:{stack.rerank.port}") as reranks,
            open_channel(f"127.0.0.1:{stack.embed.port}") as embeds,
        ):
            health = ServiceHealth("rerank", reranks, rerank.FULL_NAME)
            probe = rerank_probe(health, rerank.RerankClient(reranks), EmbedClient(embeds))
            status = await probe.look()
            assert status.ready
            return status.detail

    assert "reads the candidates" in await detail()
    stack.rerank.token_fingerprint = stack.embed.model.token_fingerprint
    assert await detail() == ""
    stack.embed.gives_codes = False
    assert "reads the candidates" in await detail()
