"""The cohere backend against a server that speaks its wire format."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from model_services.api_server import ApiServer, Reply, api_server
from model_services.running import failure_of
from model_services.upstream_words import STATUSES, WORDS, is_logged, logged_lines, told
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition, Overloaded

SCORES = {"best": 0.9, "middle": 0.5, "worst": 0.1}


@asynccontextmanager
async def service_of(serve_rerank: Any, **settings: object) -> AsyncIterator[tuple[Any, ApiServer]]:
    async with (
        api_server(work) as api,
        serve_rerank(backend="cohere", api_url=api.url, api_key="co-secret", **settings) as service,
    ):
        api.requests.clear()
        yield service, api


def work(body: dict[str, Any]) -> dict[str, Any]:
    results = [
        {"index": index, "relevance_score": SCORES.get(text, 0.3)} for index, text in enumerate(body["documents"])
    ]
    return {"id": "1", "results": sorted(results, key=lambda result: -float(result["relevance_score"]))}


async def test_cohere_passages_are_ordered_by_relevance(serve_rerank: Any) -> None:
    async with service_of(serve_rerank) as (service, api):
        response = await service.stub.Rerank(pb.RerankRequest(query="q", texts=["worst", "", "best", "middle"]))

        assert [ranking.index for ranking in response.rankings] == [2, 3, 0, 1]
        assert [ranking.score for ranking in response.rankings] == pytest.approx([0.9, 0.5, 0.1, 0])
        assert response.score_kind == pb.SCORE_KIND_RELEVANCE
        assert (response.model.name, response.model.backend) == ("rerank-v3.5", "cohere")
        (request,) = api.requests
        assert (request["path"], request["model"], request["query"]) == ("/v2/rerank", "rerank-v3.5", "q")
        assert request["documents"] == ["worst", "best", "middle"]
        assert api.authorizations[-1] == "Bearer co-secret"


async def test_cohere_blank_passages_alone_are_scored_without_the_api(serve_rerank: Any) -> None:
    async with service_of(serve_rerank) as (service, api):
        response = await service.stub.Rerank(pb.RerankRequest(query="q", texts=[" ", ""]))

        assert [ranking.score for ranking in response.rankings] == [0, 0]
        assert api.requests == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(429, b'{"message": "slow down"}', {"Retry-After": "0.05"}), id="rate limit"),
        pytest.param(Reply(503, b"<html>"), id="broken down"),
        pytest.param(Reply(200, b'{"results": [{"ind'), id="cut off"),
        pytest.param(Reply(200, b'{"id": "1"}'), id="without scores"),
        pytest.param(Reply(200, b'{"id": "1", "results": [{"index": 7, "relevance_score": 1}]}'), id="index"),
        pytest.param(Reply(200, b'{"id": "1", "results": [{"index": 0, "relevance_score": null}]}'), id="null"),
    ],
)
async def test_cohere_scores_failure_that_passes_is_tried_again(serve_rerank: Any, reply: Reply) -> None:
    async with service_of(serve_rerank) as (service, api):
        api.replies = [reply]
        response = await service.stub.Rerank(pb.RerankRequest(query="q", texts=["best"]))

        assert response.rankings[0].score == pytest.approx(0.9)
        assert len(api.requests) == 2


async def test_cohere_scores_refused_key_is_not_tried_again_and_names_the_setting(serve_rerank: Any) -> None:
    async with service_of(serve_rerank) as (service, api):
        api.replies = [Reply(401, b'{"message": "co-secret"}')] * 4
        status, error = await failure_of(service.stub.Rerank(pb.RerankRequest(query="q", texts=["best"])))

        assert (status, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "API_KEY_REFUSED")
        assert "TRIVIUM_RERANK_API_KEY" in error.message
        assert "co-secret" not in error.message
        assert len(api.requests) == 1


async def test_cohere_scores_retry_after_beyond_the_deadline_is_refused_at_once_with_it(serve_rerank: Any) -> None:
    async with service_of(serve_rerank) as (service, api):
        api.replies = [Reply(429, b'{"message": "slow down"}', {"Retry-After": "30"})]
        status, error = await failure_of(service.stub.Rerank(pb.RerankRequest(query="q", texts=["best"]), timeout=5))

        assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert isinstance(error, Overloaded)
        assert 25 < error.retry_after_seconds <= 30
        assert len(api.requests) == 1


async def test_cohere_scores_slow_answer_is_deadline_exceeded(serve_rerank: Any) -> None:
    async with service_of(serve_rerank) as (service, api):
        api.replies = [Reply(200, b"{}", delay_seconds=1)]
        status, _ = await failure_of(service.stub.Rerank(pb.RerankRequest(query="q", texts=["best"]), timeout=0.3))

        assert status is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_cohere_scores_without_key_and_address_does_not_start(serve_rerank: Any) -> None:
    with pytest.raises(FailedPrecondition, match="TRIVIUM_RERANK_API_KEY") as failure:
        async with serve_rerank(backend="cohere"):
            pass
    assert failure.value.reason == "API_KEY_MISSING"


async def test_cohere_failures_words_reach_the_log_and_no_caller(serve_rerank: Any) -> None:
    async with service_of(serve_rerank, api_attempts=1) as (service, api):
        for status in STATUSES:
            api.replies = [Reply(status, json.dumps({"message": WORDS}).encode())]
            request = pb.RerankRequest(query="q", texts=["failing"])
            with logged_lines() as lines, pytest.raises(grpc.aio.AioRpcError) as failure:
                await service.stub.Rerank(request, metadata=(("x-request-id", f"r{status}"),))

            assert told(f"{failure.value.details()} {failure.value.trailing_metadata()}") == [], status
            assert api.url not in str(failure.value.details())
            assert is_logged(lines, f"r{status}"), (status, lines)
