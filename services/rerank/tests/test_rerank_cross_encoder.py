"""The cross-encoder backend, with a small model of random weights."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "tree winter"
PASSAGES = ["needles", "tree needles winter", "winter " * 40, "a b c", "tree"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cross_encoder_service(serve_rerank: Any, cross_encoder_folder: Path) -> AsyncIterator[Any]:
    """A service with that model."""
    async with serve_rerank(backend="cross-encoder", model=str(cross_encoder_folder), precision="fp32") as service:
        yield service


async def test_rerank_cross_encoder_scores_as_sentence_transformers_does(
    cross_encoder_service: Any, cross_encoder_folder: Path
) -> None:
    from sentence_transformers import CrossEncoder

    reference = CrossEncoder(str(cross_encoder_folder), device="cpu")
    expected = reference.predict([(QUERY, passage) for passage in PASSAGES])
    response = await cross_encoder_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))

    scores = {ranking.index: ranking.score for ranking in response.rankings}
    assert scores == pytest.approx(dict(enumerate(map(float, expected))), abs=2e-3)
    assert [ranking.index for ranking in response.rankings] == sorted(scores, key=lambda index: -expected[index])
    assert response.token_count > 0


async def test_rerank_cross_encoder_describes_itself(cross_encoder_service: Any) -> None:
    response = await cross_encoder_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))
    model = await cross_encoder_service.stub.GetModel(pb.GetModelRequest())

    assert response.score_kind == model.score_kind == pb.SCORE_KIND_RELEVANCE
    assert response.model == model.model
    assert model.model.backend == "cross-encoder"
    assert model.model.precision == "fp32"
    assert model.model.max_input_tokens == 32


async def test_rerank_cross_encoder_blank_passage_scores_zero(cross_encoder_service: Any) -> None:
    response = await cross_encoder_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["", "tree"]))

    assert [ranking.index for ranking in response.rankings] == [1, 0]
    assert response.rankings[1].score == 0


async def test_rerank_cross_encoder_only_blank_passages_is_answered(cross_encoder_service: Any) -> None:
    response = await cross_encoder_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=[" "]))

    assert [(ranking.index, ranking.score) for ranking in response.rankings] == [(0, 0)]


async def test_rerank_cross_encoder_of_another_family_is_refused_at_start(serve_rerank: Any) -> None:
    with pytest.raises(FailedPrecondition) as refusal:
        async with serve_rerank(backend="cross-encoder", model="sentence-transformers/all-MiniLM-L6-v2"):
            pass

    assert refusal.value.reason == "MODEL_NOT_LOADED"
    assert "all-MiniLM-L6-v2" in refusal.value.message
