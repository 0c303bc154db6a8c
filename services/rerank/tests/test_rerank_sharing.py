"""What is computed once for several calls, over gRPC with the real model."""

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.rerank.v1 import rerank_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_worker(serve_rerank: Any) -> "AsyncIterator[Any]":
    """A service that computes one batch at a time."""
    async with serve_rerank(workers=1) as service:
        yield service


def fresh_passages(count: int) -> list[str]:
    """Passages that nobody has asked about."""
    return [f"Passage {next(NUMBERS)} says that the aspen is a tree of cold regions." for _ in range(count)]


def computed(service: Any) -> float:
    """How many texts the model has read."""
    return float(service.metric("trivium_rerank_batch_texts_sum"))


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


async def test_rerank_first_of_two_equal_calls_leaves_the_second_is_answered(one_worker: Any) -> None:
    passages, before = fresh_passages(120), computed(one_worker)
    first = one_worker.stub.Rerank(pb.RerankRequest(query="first", texts=passages))
    second = one_worker.stub.Rerank(pb.RerankRequest(query="second", texts=passages))
    await until(lambda: one_worker.metric("trivium_rerank_in_flight_requests") == 2)
    first.cancel()

    assert len((await second).rankings) == 120
    assert computed(one_worker) <= before + 120 + 2


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
