"""The cohere backend against a server that speaks its wire format."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from model_services.api_server import ApiServer, Reply, api_server
from model_services.running import failure_of
from model_services.upstream_words import STATUSES, WORDS, is_logged, logged_lines, told
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition, Overloaded

DIMENSION = 8


@asynccontextmanager
async def service_of(serve_embed: Any, **settings: object) -> AsyncIterator[tuple[Any, ApiServer]]:
    async with (
        api_server(work) as api,
        serve_embed(backend="cohere", api_url=api.url, api_key="co-secret", **settings) as service,
    ):
        api.requests.clear()
        yield service, api


def work(body: dict[str, Any]) -> dict[str, Any]:
    vectors = [vector_of(text, body["input_type"], body.get("output_dimension", DIMENSION)) for text in body["texts"]]
    return {"id": "1", "embeddings": {"float": [vector.tolist() for vector in vectors]}, "texts": body["texts"]}


def vector_of(text: str, input_type: str, dimension: int = DIMENSION) -> Any:
    """Another one for each text and purpose, not of unit length."""
    return np.random.default_rng(list(f"{input_type} {text}".encode())).normal(size=dimension) * 3


async def test_cohere_texts_become_unit_vectors_by_their_role(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, api):
        for role, input_type in ((pb.EMBED_ROLE_QUERY, "search_query"), (pb.EMBED_ROLE_DOCUMENT, "search_document")):
            response = await service.stub.Embed(pb.EmbedRequest(texts=["one", "two"], role=role))

            vectors = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(2, DIMENSION)
            for vector, text in zip(vectors, ["one", "two"], strict=True):
                expected = vector_of(text, input_type)
                assert vector == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
        assert api.requests[0]["path"] == "/v2/embed"
        assert api.requests[0]["model"] == "embed-v4.0"
        assert api.requests[0]["embedding_types"] == ["float"]
        assert api.authorizations[-1] == "Bearer co-secret"


async def test_cohere_dimension_is_asked_for_but_never_of_the_third_generation(serve_embed: Any) -> None:
    async with service_of(serve_embed, dimension=4) as (service, api):
        await service.stub.Embed(pb.EmbedRequest(texts=["short"]))
        assert api.requests[0]["output_dimension"] == 4
        assert (await service.stub.GetModel(pb.GetModelRequest())).dimension == 4
    async with service_of(serve_embed, dimension=DIMENSION, model="embed-multilingual-v3.0") as (service, api):
        await service.stub.Embed(pb.EmbedRequest(texts=["whole"]))
        assert "output_dimension" not in api.requests[0]


async def test_cohere_many_texts_are_sent_by_96_and_cut_by_the_api_when_asked(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, api):
        texts = [f"text {number}" for number in range(200)]
        response = await service.stub.Embed(pb.EmbedRequest(texts=texts, truncate=True))
        await service.stub.Embed(pb.EmbedRequest(texts=["uncut"]))

        assert sorted(len(request["texts"]) for request in api.requests[:-1]) == [8, 96, 96]
        assert [request["truncate"] for request in api.requests] == ["END", "END", "END", "NONE"]
        last = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(200, DIMENSION)[-1]
        expected = vector_of("text 199", "search_document")
        assert last == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(429, b'{"message": "slow down"}', {"Retry-After": "0.05"}), id="rate limit"),
        pytest.param(Reply(503, b"<html>"), id="broken down"),
        pytest.param(Reply(200, b'{"embeddings": {"fl'), id="cut off"),
        pytest.param(Reply(200, b'{"id": "1"}'), id="without vectors"),
        pytest.param(Reply(200, b'{"id": "1", "texts": [], "embeddings": {"float": [[1, 2]]}}'), id="dimension"),
    ],
)
async def test_cohere_vectors_failure_that_passes_is_tried_again(serve_embed: Any, reply: Reply) -> None:
    async with service_of(serve_embed) as (service, api):
        api.replies = [reply]
        response = await service.stub.Embed(pb.EmbedRequest(texts=["again"]))

        assert len(response.vectors_f32) == DIMENSION * 4
        assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("reply", "code", "reason", "advice"),
    [
        (Reply(401, b'{"message": "co-secret"}'), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_EMBED_API_KEY"),
        (Reply(498, b'{"message": "co-secret"}'), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_EMBED_API_KEY"),
        (Reply(402, b'{"message": "pay"}'), "FAILED_PRECONDITION", "API_QUOTA_EXHAUSTED", "billing"),
        (Reply(404, b'{"message": "co-secret"}'), "FAILED_PRECONDITION", "API_MODEL_UNKNOWN", "TRIVIUM_EMBED_MODEL"),
        (Reply(400, b'{"message": "co-secret"}'), "INVALID_ARGUMENT", "API_REQUEST_REFUSED", "too long"),
    ],
)
async def test_cohere_vectors_refusal_is_not_tried_again_and_says_what_to_do(
    serve_embed: Any, reply: Reply, code: str, reason: str, advice: str
) -> None:
    async with service_of(serve_embed) as (service, api):
        api.replies = [reply] * 4
        status, error = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["failing"])))

        assert (status.name, error.reason) == (code, reason)
        assert advice in error.message
        assert "co-secret" not in error.message
        assert len(api.requests) == 1


async def test_cohere_vectors_retry_after_beyond_the_deadline_is_refused_at_once_with_it(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, api):
        api.replies = [Reply(429, b'{"message": "slow down"}', {"Retry-After": "30"})]
        status, error = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["failing"]), timeout=5))

        assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert isinstance(error, Overloaded)
        assert 25 < error.retry_after_seconds <= 30
        assert len(api.requests) == 1


async def test_cohere_vectors_slow_answer_is_deadline_exceeded(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, api):
        api.replies = [Reply(200, b"{}", delay_seconds=1)]
        status, _ = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["failing"]), timeout=0.3))

        assert status is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_cohere_vectors_without_key_and_address_does_not_start(serve_embed: Any) -> None:
    with pytest.raises(FailedPrecondition, match="TRIVIUM_EMBED_API_KEY") as failure:
        async with serve_embed(backend="cohere"):
            pass
    assert failure.value.reason == "API_KEY_MISSING"


async def test_cohere_vectors_failures_words_reach_the_log_and_no_caller(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_attempts=1) as (service, api):
        for status in STATUSES:
            api.replies = [Reply(status, json.dumps({"message": WORDS}).encode())]
            with logged_lines() as lines:
                call = service.stub.Embed(
                    pb.EmbedRequest(texts=["failing"]), metadata=(("x-request-id", f"r{status}"),)
                )
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await call

            assert told(f"{failure.value.details()} {failure.value.trailing_metadata()}") == [], status
            assert api.url not in str(failure.value.details())
            assert is_logged(lines, f"r{status}"), (status, lines)
