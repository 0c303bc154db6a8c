"""A cross-encoder that reads only what can reach the top, over gRPC: a random one behind the real embedding model."""

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_encoders import CodeForm, EncoderOptions, TextEncoder
from trivium_serving.rpc_errors import error_from_rpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "winter needles tree"
PLACES = 3
COUNT = 60
NEEDLES = 37
"""The passage that says what the query does."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cascade(serve_rerank: Any, cross_encoder_folder: Path) -> AsyncIterator[Any]:
    async with serve_rerank(backend="cross-encoder", model=str(cross_encoder_folder), cache_bytes=0) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passages(data_dir: Path) -> list[pb.Passage]:
    """Passages with their token codes, one of which is about the query."""
    draw = random.Random(3)
    texts = [" ".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(COUNT)]
    texts[NEEDLES] = "a tree with needles in winter"
    encoder = await TextEncoder.load(
        EncoderOptions(cache_dir=data_dir / "cache", workers=1), registry=CollectorRegistry(), service="embed"
    )
    codes = (await encoder.encode(texts, codes=CodeForm.SIGNS)).token_codes
    await encoder.close()
    assert codes is not None
    return [pb.Passage(text=text, token_codes=code) for text, code in zip(texts, codes, strict=True)]


def request(passages: list[pb.Passage], **fields: Any) -> pb.RerankRequest:
    return pb.RerankRequest(query=QUERY, passages=passages, **fields)


def scores_of(response: pb.RerankResponse) -> dict[int, float]:
    return {one.index: one.score for one in response.rankings}


def read(service: Any) -> float:
    """How many pairs the cross-encoder has read."""
    return float(service.metric("trivium_rerank_batch_texts_sum"))


async def test_rerank_places_that_matter_are_filled_without_reading_all(
    cascade: Any, passages: list[pb.Passage]
) -> None:
    whole = scores_of(await cascade.stub.Rerank(request(passages)))
    assert len(whole) == COUNT
    before = read(cascade)
    response = await cascade.stub.Rerank(request(passages, places=PLACES))

    some = scores_of(response)
    assert read(cascade) - before == len(some)
    assert PLACES <= len(some) < COUNT
    assert some == pytest.approx({index: whole[index] for index in some}, abs=1e-3)
    assert response.score_kind == pb.SCORE_KIND_RELEVANCE
    assert [one.score for one in response.rankings] == sorted(some.values(), reverse=True)


async def test_rerank_reads_first_what_is_similar_by_its_token_codes(cascade: Any, passages: list[pb.Passage]) -> None:
    some = scores_of(await cascade.stub.Rerank(request(passages, places=1)))
    assert len(some) < NEEDLES  # not by its place in the call
    assert NEEDLES in some


async def test_rerank_without_token_codes_reads_first_what_the_search_found_best(cascade: Any) -> None:
    passages = [pb.Passage(text="a " * (number % 10 + 1), search_score=float(number)) for number in range(COUNT)]
    some = scores_of(await cascade.stub.Rerank(request(passages, places=PLACES)))

    assert len(some) < COUNT
    assert set(some) == set(range(COUNT - len(some), COUNT))


async def test_rerank_search_scores_that_are_no_numbers_count_as_none(cascade: Any, passages: list[pb.Passage]) -> None:
    strange = [
        pb.Passage(text=one.text, token_codes=one.token_codes, search_score=float("nan" if index % 2 else "inf"))
        for index, one in enumerate(passages)
    ]
    assert NEEDLES in scores_of(await cascade.stub.Rerank(request(strange, places=PLACES)))


@pytest.mark.parametrize("fields", [{}, {"places": COUNT}, {"places": 2 * COUNT}])
async def test_rerank_when_all_places_matter_reads_all(
    cascade: Any, passages: list[pb.Passage], fields: dict[str, int]
) -> None:
    assert len(scores_of(await cascade.stub.Rerank(request(passages, **fields)))) == COUNT


async def test_rerank_with_little_time_reads_only_the_places_that_matter(
    cascade: Any, passages: list[pb.Passage]
) -> None:
    backend = cascade.app.reranker.backend
    await cascade.stub.Rerank(request(passages, places=PLACES))
    known = backend._seconds_per_passage
    backend._seconds_per_passage = 3600.0
    try:
        started = time.monotonic()
        some = scores_of(await cascade.stub.Rerank(request(passages, places=PLACES), timeout=20))
    finally:
        backend._seconds_per_passage = known
    assert len(some) == PLACES
    assert time.monotonic() - started < 20


async def test_get_model_of_a_cascade_names_the_judge_and_the_codes_that_it_takes(cascade: Any) -> None:
    model = (await cascade.stub.GetModel(pb.GetModelRequest())).model
    assert model.backend == "cross-encoder"
    assert model.token_fingerprint


async def test_rerank_codes_alone_are_refused_by_a_cross_encoder(cascade: Any, passages: list[pb.Passage]) -> None:
    assert not (await cascade.stub.Rerank(request(passages))).texts_optional
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await cascade.stub.Rerank(request([pb.Passage(token_codes=passages[0].token_codes)]))
    assert error_from_rpc(failure.value).reason == "TOKEN_CODES_UNREADABLE"


async def test_rerank_without_a_first_model_takes_no_codes(
    serve_rerank: Any, cross_encoder_folder: Path, passages: list[pb.Passage]
) -> None:
    async with serve_rerank(backend="cross-encoder", model=str(cross_encoder_folder), first_model="") as service:
        assert (await service.stub.GetModel(pb.GetModelRequest())).model.token_fingerprint == ""
        assert len(scores_of(await service.stub.Rerank(request(passages, places=PLACES)))) == COUNT


async def test_rerank_over_the_deadline_before_anything_is_judged_fails(
    cascade: Any, passages: list[pb.Passage]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await cascade.stub.Rerank(request(passages, places=PLACES), timeout=0.0001)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
