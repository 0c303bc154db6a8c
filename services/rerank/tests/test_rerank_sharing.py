"""What is computed once for several calls, over gRPC with real models."""

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.rerank.v1 import rerank_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_worker(serve_rerank: Any) -> "AsyncIterator[Any]":
    """A service that computes one batch at a time."""
    async with serve_rerank(workers=1) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cross_encoder(serve_rerank: Any, cross_encoder_folder: "Path") -> "AsyncIterator[Any]":
    """The same with a cross-encoder, that keeps ten scores."""
    async with serve_rerank(
        workers=1, backend="cross-encoder", model=str(cross_encoder_folder), precision="fp32", cache_bytes=3_500
    ) as service:
        yield service


@pytest.fixture(params=["late-interaction", "cross-encoder"])
def any_backend(request: pytest.FixtureRequest, one_worker: Any, cross_encoder: Any) -> Any:
    """Each of the two services in turn."""
    return one_worker if request.param == "late-interaction" else cross_encoder


def fresh_passages(count: int) -> list[str]:
    """Passages that nobody has asked about."""
    return [f"Passage {next(NUMBERS)} says that the aspen is a tree of cold regions." for _ in range(count)]


def computed(service: Any) -> float:
    """How many texts the model has read."""
    return float(service.metric("trivium_rerank_batch_texts_sum"))


def cost_of(service: Any, passages: int) -> int:
    """How many texts the model reads for a new question; by late interaction, the question is one of them."""
    return passages + int(service.app.reranker.backend.name == "late-interaction")


def lookups(service: Any) -> dict[str, float]:
    return {
        result: service.metric("trivium_rerank_cache_lookups_total", result=result)
        for result in ("hit", "shared", "miss")
    }


async def until(reached: "Callable[[], bool]") -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.002)


async def test_rerank_many_questions_at_once_read_each_passage_once(one_worker: Any) -> None:
    passages, before = fresh_passages(20), computed(one_worker)

    responses = await asyncio.gather(
        *(one_worker.stub.Rerank(pb.RerankRequest(query=f"Question {n}?", texts=passages)) for n in range(48))
    )

    assert computed(one_worker) == before + 20 + 48
    assert all(len(response.rankings) == 20 for response in responses)


async def test_rerank_shared_passages_score_as_they_do_alone(one_worker: Any) -> None:
    passages = fresh_passages(6)
    requests = [
        pb.RerankRequest(query="Where do aspens grow?", texts=passages[:4]),
        pb.RerankRequest(query="Where do aspens grow?", texts=list(reversed(passages))),
    ]
    together = await asyncio.gather(*(one_worker.stub.Rerank(request) for request in requests))

    for request, response in zip(requests, together, strict=True):
        alone = await one_worker.stub.Rerank(request)
        assert list(alone.rankings) == list(response.rankings)


async def test_rerank_hundred_equal_requests_at_once_cost_one_forward_pass(any_backend: Any) -> None:
    request = pb.RerankRequest(query=f"asked by a hundred {next(NUMBERS)}", texts=fresh_passages(5))
    before, counted, cost = computed(any_backend), lookups(any_backend), cost_of(any_backend, 5)

    responses = await asyncio.gather(*(any_backend.stub.Rerank(request) for _ in range(100)))
    responses.append(await any_backend.stub.Rerank(request))

    assert computed(any_backend) == before + cost
    assert len({str((list(response.rankings), response.token_count)) for response in responses}) == 1
    now = lookups(any_backend)
    assert now["miss"] == counted["miss"] + cost
    assert now["hit"] + now["shared"] == counted["hit"] + counted["shared"] + 100 * cost


async def test_rerank_first_of_two_equal_calls_leaves_the_second_is_answered(any_backend: Any) -> None:
    request = pb.RerankRequest(query="wanted by two", texts=fresh_passages(120))
    before, counted = computed(any_backend), lookups(any_backend)
    first, second = any_backend.stub.Rerank(request), any_backend.stub.Rerank(request)
    await until(
        lambda: lookups(any_backend)["shared"] + lookups(any_backend)["hit"] > counted["shared"] + counted["hit"]
    )
    first.cancel()

    assert len((await second).rankings) == 120
    assert computed(any_backend) <= before + cost_of(any_backend, 120)


async def test_rerank_cross_encoder_same_passages_are_judged_for_each_question(cross_encoder: Any) -> None:
    passages, before = fresh_passages(5), computed(cross_encoder)
    requests = [pb.RerankRequest(query=query, texts=passages) for query in ("tree", "winter")]

    together = await asyncio.gather(*(cross_encoder.stub.Rerank(request) for request in requests))
    again = [await cross_encoder.stub.Rerank(request) for request in requests]

    assert computed(cross_encoder) == before + 10
    assert [list(response.rankings) for response in again] == [list(response.rankings) for response in together]
    assert list(together[0].rankings) != list(together[1].rankings)


async def test_rerank_cross_encoder_keeps_scores_within_the_bound(cross_encoder: Any) -> None:
    request = pb.RerankRequest(query="tree", texts=fresh_passages(20))
    before = computed(cross_encoder)
    first, second = [await cross_encoder.stub.Rerank(request) for _ in range(2)]

    assert cross_encoder.metric("trivium_rerank_cache_bytes") == 3_500
    assert computed(cross_encoder) == before + 30  # the last ten were kept
    scores = [{ranking.index: ranking.score for ranking in response.rankings} for response in (first, second)]
    assert scores[1] == pytest.approx(scores[0], abs=1e-5)


async def test_rerank_kept_passages_take_no_tokens_of_the_admission(serve_rerank: Any) -> None:
    async with serve_rerank(workers=1, max_in_flight_tokens=12_000) as service:
        kept = fresh_passages(300)  # about 7,000 tokens, so that there is no room for two such calls
        await service.stub.Rerank(pb.RerankRequest(query="first", texts=kept))
        busy = service.stub.Rerank(pb.RerankRequest(query="second", texts=fresh_passages(300)))
        await until(lambda: service.metric("trivium_rerank_in_flight_requests") > 0)

        assert len((await service.stub.Rerank(pb.RerankRequest(query="third", texts=kept))).rankings) == 300
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await service.stub.Rerank(pb.RerankRequest(query="fourth", texts=fresh_passages(300)))
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        busy.cancel()
