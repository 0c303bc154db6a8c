"""Rerank and GetModel over gRPC, by late interaction with the real model."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_serving.errors import Overloaded, TriviumError
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "Which tree keeps its needles in winter?"
PASSAGES = [
    "A larch is a conifer that sheds its needles in autumn.",
    "The harbour of the town was dredged twice.",
    "Spruces are trees that keep their needles through the winter, unlike larches.",
    "In winter the market opens at nine.",
]


async def refused(call: "Awaitable[Any]", code: grpc.StatusCode) -> TriviumError:
    """The domain error of a call that must fail with a code."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    assert failure.value.code() is code, failure.value
    return error_from_rpc(failure.value)


def scores_of(response: pb.RerankResponse) -> dict[int, float]:
    return {ranking.index: ranking.score for ranking in response.rankings}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_service(serve_rerank: Any) -> "AsyncIterator[Any]":
    """A service with small limits."""
    limits = {"max_texts": 3, "max_query_characters": 50, "max_text_characters": 500, "max_call_bytes": 1024}
    async with serve_rerank(**limits) as service:
        yield service


async def test_rerank_passages_returns_all_best_first(rerank_service: Any) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))

    scores = [ranking.score for ranking in response.rankings]
    assert response.rankings[0].index == 2
    assert sorted(ranking.index for ranking in response.rankings) == [0, 1, 2, 3]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert response.score_kind == pb.SCORE_KIND_SIMILARITY
    assert response.model.backend == "late-interaction"
    assert response.timing.total_ms >= response.timing.compute_ms > 0


async def test_rerank_top_n_returns_the_first_of_the_order(rerank_service: Any) -> None:
    everything = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))
    best = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES, top_n=2))

    assert list(best.rankings) == list(everything.rankings)[:2]


@pytest.mark.parametrize("top_n", [0, 4, 2**32 - 1])
async def test_rerank_top_n_of_zero_or_beyond_returns_all(rerank_service: Any, top_n: int) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES, top_n=top_n))

    assert len(response.rankings) == len(PASSAGES)


async def test_rerank_equal_passages_keep_the_order_of_the_request(rerank_service: Any) -> None:
    texts = [PASSAGES[1], PASSAGES[2], PASSAGES[1], PASSAGES[2], PASSAGES[1]]
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))

    assert [ranking.index for ranking in response.rankings] == [1, 3, 0, 2, 4]


async def test_rerank_blank_passages_come_last_with_score_zero(rerank_service: Any) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["", PASSAGES[1], " \n\x00"]))

    assert [ranking.index for ranking in response.rankings] == [1, 0, 2]
    assert [ranking.score for ranking in response.rankings[1:]] == [0, 0]


async def test_rerank_only_blank_passages_is_answered(rerank_service: Any) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["", " "]))

    assert [(ranking.index, ranking.score) for ranking in response.rankings] == [(0, 0), (1, 0)]


async def test_rerank_punctuation_alone_is_judged_by_the_punctuation(rerank_service: Any) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query="?!", texts=["a larch", "?!"]))

    assert [ranking.index for ranking in response.rankings] == [1, 0]


async def test_rerank_long_passage_is_cut_not_refused(rerank_service: Any) -> None:
    long = PASSAGES[2] + " And so on." * 2000
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=[PASSAGES[1], long]))

    assert response.rankings[0].index == 1
    assert response.token_count < 256 + 100


async def test_rerank_long_query_within_the_limit_is_cut_not_refused(rerank_service: Any) -> None:
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY + " tree" * 1500, texts=PASSAGES))

    assert len(response.rankings) == len(PASSAGES)


async def test_rerank_kept_passages_give_the_same_scores(serve_rerank: Any) -> None:
    async with serve_rerank() as service:
        first = await service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))
        hits_before = service.metric("trivium_rerank_cache_lookups_total", result="hit")
        second = await service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))

        assert service.metric("trivium_rerank_cache_lookups_total", result="hit") - hits_before == len(PASSAGES) + 1
        assert list(second.rankings) == list(first.rankings)
        assert second.token_count == first.token_count


async def test_rerank_without_a_cache_gives_the_same_order(serve_rerank: Any, rerank_service: Any) -> None:
    async with serve_rerank(cache_bytes=0) as service:
        uncached = await service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))
        assert service.metric("trivium_rerank_cache_bytes") == 0
    cached = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))

    assert scores_of(uncached) == pytest.approx(scores_of(cached), abs=1e-3)


async def test_rerank_more_passages_than_are_encoded_at_a_time_scores_each(rerank_service: Any) -> None:
    texts = [f"Passage {number} is about the number {number}." for number in range(300)]
    response = await rerank_service.stub.Rerank(pb.RerankRequest(query="the passage about the number 271", texts=texts))

    assert sorted(ranking.index for ranking in response.rankings) == list(range(300))
    assert response.rankings[0].index == 271


@pytest.mark.parametrize(
    ("query", "texts", "reason", "field", "limit"),
    [
        pytest.param("", ["a"], "BLANK_QUERY", "query", "blank", id="empty query"),
        pytest.param(" \x00", ["a"], "BLANK_QUERY", "query", "blank", id="blank query"),
        pytest.param("q" * 51, ["a"], "QUERY_TOO_LONG", "query", "50", id="query too long"),
        pytest.param("q", [], "NO_TEXTS", "texts", "at least one", id="no passages"),
        pytest.param("q", ["a"] * 4, "TOO_MANY_TEXTS", "texts", "3", id="too many"),
        pytest.param("q", ["a", "b" * 501], "TEXT_TOO_LONG", "texts[1]", "500", id="passage too long"),
        pytest.param("q", ["a" * 400] * 3, "CALL_TOO_LARGE", "texts", "1024", id="too much"),
    ],
)
async def test_rerank_beyond_a_limit_is_refused_with_it(
    small_service: Any, query: str, texts: list[str], reason: str, field: str, limit: str
) -> None:
    rejected_before = small_service.metric("trivium_rerank_rejected_total", reason=reason)

    call = small_service.stub.Rerank(pb.RerankRequest(query=query, texts=texts))
    error = await refused(call, grpc.StatusCode.INVALID_ARGUMENT)

    assert (error.reason, error.field) == (reason, field)
    assert limit in error.message
    assert small_service.metric("trivium_rerank_rejected_total", reason=reason) == rejected_before + 1


async def test_rerank_short_deadline_fails_with_deadline_exceeded(rerank_service: Any) -> None:
    texts = [f"{number} " + "word " * 200 for number in range(500)]
    call = rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts), timeout=0.05)

    await refused(call, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_rerank_cancelled_by_the_caller_leaves_the_queue(rerank_service: Any) -> None:
    texts = [f"cancelled {number} " + "word " * 200 for number in range(1000)]
    call = rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))
    await in_flight(rerank_service, 1)
    call.cancel()
    await in_flight(rerank_service, 0)

    # 1,000 such passages take many seconds: only a queue without them answers this soon.
    await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES), timeout=3)


async def test_rerank_over_the_admitted_requests_is_refused_at_once(serve_rerank: Any) -> None:
    async with serve_rerank(max_in_flight_requests=1) as service:
        texts = [f"first {number} " + "word " * 200 for number in range(500)]
        first = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))
        await in_flight(service, 1)

        call = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES), timeout=3)
        error = await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED)

        assert error.reason == "OVERLOADED"
        first.cancel()
        await in_flight(service, 0)


async def test_rerank_that_cannot_be_done_before_its_deadline_is_refused_at_once(serve_rerank: Any) -> None:
    async with serve_rerank() as service:
        pace = service.app.reranker._admission._pace
        pace.tokens_per_second = 1000.0
        texts = [f"first {number} " + "word " * 200 for number in range(500)]
        first = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))
        await in_flight(service, 1)

        call = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["Nobody has read this yet."]), timeout=10)
        error = await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED)

        assert error.reason == "OVERLOADED"
        assert "tokens are ahead" in error.message
        first.cancel()
        await in_flight(service, 0)


async def test_rerank_over_the_admitted_tokens_is_refused_at_once(serve_rerank: Any) -> None:
    async with serve_rerank(max_in_flight_tokens=20_000) as service:
        texts = [f"first {number} " + "word " * 200 for number in range(500)]
        first = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=texts))
        await in_flight(service, 1)

        call = service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES), timeout=3)
        error = await refused(call, grpc.StatusCode.RESOURCE_EXHAUSTED)

        assert isinstance(error, Overloaded)
        assert error.retry_after_seconds > 0
        first.cancel()
        await in_flight(service, 0)


async def test_rerank_passage_over_every_budget_is_judged(serve_rerank: Any) -> None:
    async with serve_rerank(max_in_flight_tokens=1, budget_tokens=16) as service:
        response = await service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=["word " * 200]), timeout=20)

        assert len(response.rankings) == 1


async def test_rerank_counts_passages_and_tokens(rerank_service: Any) -> None:
    passages_before = rerank_service.metric("trivium_rerank_passages_total")
    tokens_before = rerank_service.metric("trivium_rerank_tokens_total")

    response = await rerank_service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES))

    assert rerank_service.metric("trivium_rerank_passages_total") == passages_before + 4
    assert rerank_service.metric("trivium_rerank_tokens_total") == tokens_before + response.token_count


async def test_get_model_describes_the_model_and_the_limits(rerank_service: Any) -> None:
    response = await rerank_service.stub.GetModel(pb.GetModelRequest())

    assert response.score_kind == pb.SCORE_KIND_SIMILARITY
    assert response.max_texts == 1024
    assert response.model.name == "sentence-transformers/all-MiniLM-L6-v2"
    assert response.model.backend == "late-interaction"
    assert response.model.fingerprint


async def test_rerank_while_loading_is_unavailable_and_not_serving(serve_rerank: Any) -> None:
    async with serve_rerank(warm=False) as service:
        for call in (
            service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=PASSAGES)),
            service.stub.GetModel(pb.GetModelRequest()),
        ):
            error = await refused(call, grpc.StatusCode.UNAVAILABLE)
            assert error.reason == "LOADING"
        assert not await service.is_serving()


async def in_flight(service: Any, count: int) -> None:
    """Waits until this many requests are in flight."""
    async with asyncio.timeout(10):
        while service.metric("trivium_rerank_in_flight_requests") != count:  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.002)
