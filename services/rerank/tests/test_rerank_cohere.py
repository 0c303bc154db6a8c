"""The cohere backend against a server that speaks its wire format."""

import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
import pytest
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition, Overloaded, TriviumError, error_from_rpc

SCORES = {"best": 0.9, "middle": 0.5, "worst": 0.1}


@dataclass
class Reply:
    """What the server answers instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0


@dataclass
class Api:
    """Cohere's API on a local port."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    """Taken in order; when there are none left, the server does its work."""


@contextmanager
def local_api() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            api.requests.append({"path": self.path, **body})
            api.authorizations.append(self.headers["authorization"])
            reply = api.replies.pop(0) if api.replies else Reply(body=json.dumps(work(body)).encode())
            time.sleep(reply.delay_seconds)
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        api.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield api
        server.shutdown()


@asynccontextmanager
async def service_of(serve_rerank: Any, **settings: object) -> AsyncIterator[tuple[Any, Api]]:
    with local_api() as api:
        async with serve_rerank(backend="cohere", api_url=api.url, api_key="co-secret", **settings) as service:
            api.requests.clear()
            yield service, api


async def failure_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, TriviumError]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), error_from_rpc(failure.value)


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


@pytest.mark.parametrize(
    ("reply", "code", "reason", "advice"),
    [
        (Reply(401, b'{"message": "co-secret"}'), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_RERANK_API_KEY"),
        (Reply(498, b'{"message": "co-secret"}'), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_RERANK_API_KEY"),
        (Reply(402, b'{"message": "pay"}'), "FAILED_PRECONDITION", "API_QUOTA_EXHAUSTED", "billing"),
        (Reply(404, b'{"message": "no model"}'), "FAILED_PRECONDITION", "API_MODEL_UNKNOWN", "no model"),
        (Reply(400, b'{"message": "too long"}'), "INVALID_ARGUMENT", "API_REQUEST_REFUSED", "too long"),
    ],
)
async def test_cohere_scores_refusal_is_not_tried_again_and_says_what_to_do(
    serve_rerank: Any, reply: Reply, code: str, reason: str, advice: str
) -> None:
    async with service_of(serve_rerank) as (service, api):
        api.replies = [reply] * 4
        status, error = await failure_of(service.stub.Rerank(pb.RerankRequest(query="q", texts=["best"])))

        assert (status.name, error.reason) == (code, reason)
        assert advice in error.message
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
