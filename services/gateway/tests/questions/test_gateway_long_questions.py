"""Questions that are longer than the models read at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from trivium.rerank.v1 import rerank_service_pb2 as pb

if TYPE_CHECKING:
    from .conftest import Stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_HERONS = "Herons eat fish and frogs at the water in spring. " * 40
_OTTERS = "Otters sleep in a holt below the roots of a tree. " * 40


async def test_long_questions_that_ask_the_same_are_told_apart_by_the_rest_beside_a_cross_encoder(stack: Stack) -> None:
    stack.rerank.kind = pb.SCORE_KIND_RELEVANCE  # and it gets what they ask alone

    found = [(await stack.retrieve(f"{around}Why is that so?")).json()["passages"] for around in (_HERONS, _OTTERS)]

    assert [passages[0]["document_id"] for passages in found] == ["heron", "otter"]
    assert {passages[0]["scores"]["rerank_weight"] for passages in found} == {1.0}
    scores = [{one["document_id"]: one["score"] for one in passages} for passages in found]
    assert all(scores[0][document] != scores[1][document] for document in scores[0])


async def test_short_question_is_decided_by_a_cross_encoder_alone(stack: Stack) -> None:
    stack.rerank.kind = pb.SCORE_KIND_RELEVANCE

    passage = (await stack.retrieve("Herons eat fish and frogs.")).json()["passages"][0]

    assert passage["score"] == passage["scores"]["rerank"]
    assert passage["scores"]["rerank_weight"] is None


@pytest.mark.parametrize("kind", [pb.SCORE_KIND_SIMILARITY, pb.SCORE_KIND_RELEVANCE])
async def test_long_query_of_a_rerank_call_is_read_whole_in_parts(stack: Stack, kind: pb.ScoreKind.ValueType) -> None:
    stack.rerank.kind = kind
    query = f"{_HERONS}When do otters sleep?"

    response = await stack.http.post("/v2/rerank", json={"query": query, "documents": ["It rains.", "Otters sleep."]})

    assert response.json()["results"][0]["index"] == 1
    focus, *windows = [call.request.query for call in stack.rerank.called("Rerank")]
    assert focus == "When do otters sleep?"
    assert " ".join(windows).split() == query.split()
    assert max(len(window.split()) for window in windows) < stack.embed.model.max_input_tokens


@pytest.mark.parametrize(("kind", "window"), [(pb.SCORE_KIND_SIMILARITY, 80), (pb.SCORE_KIND_RELEVANCE, 160)])
async def test_query_that_only_the_reranker_does_not_read_whole_is_read_in_parts(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, kind: pb.ScoreKind.ValueType, window: int
) -> None:
    """Embedding models behind an API read far more at a time than rerankers of our own."""
    model = type(stack.rerank.model)(name="short", max_input_tokens=window)
    monkeypatch.setattr(stack.rerank, "model", model)
    stack.rerank.kind = kind
    await stack.retrieve("Herons eat fish.")  # each answer says how much is read
    stack.rerank.calls.clear()
    query = f"{_HERONS[:500]}When do otters sleep?"
    assert len(query.split()) < stack.embed.model.max_input_tokens
    passages = (await stack.retrieve(query)).json()["passages"]

    focus, *windows = [call.request.query for call in stack.rerank.called("Rerank")]
    assert focus == "When do otters sleep?"
    if kind == pb.SCORE_KIND_SIMILARITY:
        assert " ".join(windows).split() == query.split()
        assert max(len(part.split()) for part in windows) < window
    assert passages[0]["document_id"] in ("heron", "otter")
