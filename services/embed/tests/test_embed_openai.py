"""The openai backend against a server that speaks its wire format."""

import asyncio
import base64
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from model_services.api_server import ApiServer, Reply, api_server
from model_services.running import failure_of
from model_services.upstream_words import STATUSES, WORDS, is_logged, logged_lines, told
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.errors import FailedPrecondition, Overloaded, TriviumError

DIMENSION = 8


def work(body: dict[str, Any], *, floats: bool = False) -> dict[str, Any]:
    """Vectors, in base64 or from a server that knows none."""
    items = []
    for index, text in enumerate(body["input"]):
        vector = vector_of(text, body.get("dimensions", DIMENSION))
        coded: Any = vector.tolist() if floats else base64.b64encode(vector.tobytes()).decode()
        items.append({"object": "embedding", "index": index, "embedding": coded})
    items.reverse()  # the order is that of the indices alone
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "model": body["model"], "data": items, "usage": usage}


def vector_of(text: str, dimension: int = DIMENSION) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Another one for each text, not of unit length."""
    return np.random.default_rng(list(text.encode())).normal(size=dimension).astype("<f4") * 3


def error_body(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "some_error", "param": None, "code": code}}).encode()


@asynccontextmanager
async def service_of(serve_embed: Any, **settings: object) -> AsyncIterator[tuple[Any, ApiServer]]:
    async with (
        api_server(work) as server,
        serve_embed(backend="openai", api_url=f"{server.url}/v1", api_key="sk-secret", **settings) as service,
    ):
        server.requests.clear()
        yield service, server


def unit(text: str, dimension: int = DIMENSION) -> Any:
    vector = vector_of(text, dimension)
    return pytest.approx(vector / np.linalg.norm(vector), abs=1e-6)


@pytest.mark.parametrize("floats", [False, True], ids=["base64", "numbers"])
async def test_openai_texts_become_unit_vectors_in_their_order(serve_embed: Any, floats: bool) -> None:
    async with service_of(serve_embed) as (service, server):
        server.work = functools.partial(work, floats=floats)
        response = await service.stub.Embed(pb.EmbedRequest(texts=["one", "two", "three"]))

        vectors = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(3, DIMENSION)
        for vector, text in zip(vectors, ["one", "two", "three"], strict=True):
            assert vector == unit(text)
        assert server.requests[0]["encoding_format"] == "base64"
        assert server.authorizations[-1] == "Bearer sk-secret"
        assert len(response.token_counts) == 3


async def test_openai_model_is_described_with_a_fingerprint_of_name_and_dimension(serve_embed: Any) -> None:
    fingerprints = set()
    for settings in ({}, {"dimension": 4}, {"model": "text-embedding-3-large"}):
        async with service_of(serve_embed, **settings) as (service, _):
            model = await service.stub.GetModel(pb.GetModelRequest())
            fingerprints.add(model.model.fingerprint)
            assert model.dimension == settings.get("dimension", DIMENSION)
            assert model.model.name == settings.get("model", "text-embedding-3-small")
            assert model.model.backend == "openai"

    assert len(fingerprints) == 3


async def test_openai_dimension_is_asked_for_but_never_of_ada_002(serve_embed: Any) -> None:
    async with service_of(serve_embed, dimension=4) as (service, server):
        await service.stub.Embed(pb.EmbedRequest(texts=["short"]))
        assert server.requests[0]["dimensions"] == 4
    async with service_of(serve_embed, dimension=DIMENSION, model="text-embedding-ada-002") as (service, server):
        await service.stub.Embed(pb.EmbedRequest(texts=["whole"]))
        assert "dimensions" not in server.requests[0]
    with pytest.raises(FailedPrecondition, match="text-embedding-ada-002 gives vectors of 8 numbers"):
        async with service_of(serve_embed, dimension=4, model="text-embedding-ada-002"):
            pass


async def test_openai_vectors_cut_by_the_api_or_here_have_one_fingerprint(serve_embed: Any) -> None:
    async with service_of(serve_embed, least_dimension=2) as (service, server):
        cut_here = await service.stub.Embed(pb.EmbedRequest(texts=["short"], dimension=4))
        assert "dimensions" not in server.requests[0]
    async with service_of(serve_embed, dimension=4) as (service, server):
        assert (await service.stub.GetModel(pb.GetModelRequest())).model.fingerprint == cut_here.model.fingerprint


async def test_openai_many_texts_are_sent_in_batches_by_count_and_tokens(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_batch_texts=3, api_batch_tokens=12) as (service, server):
        texts = [f"w{number}" for number in range(8)] + ["word " * 11, "last"]
        response = await service.stub.Embed(pb.EmbedRequest(texts=texts))

        assert sorted(request["input"] for request in server.requests) == sorted(
            [texts[:3], texts[3:6], texts[6:8], texts[8:]]
        )
        vectors = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(len(texts), DIMENSION)
        assert vectors[9] == unit("last")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(429, error_body("slow down"), {"retry-after": "0.05"}), id="rate limit"),
        pytest.param(Reply(503, b"<html>"), id="broken down"),
        pytest.param(Reply(200, b'{"data": [{"ind'), id="cut off"),
        pytest.param(Reply(200, b'{"object": "list"}'), id="without vectors"),
        pytest.param(Reply(200, b'{"data": [{"index": 0, "embedding": "!!"}]}'), id="no base64"),
        pytest.param(Reply(200, b'{"data": [{"index": 0, "embedding": [1, 2]}]}'), id="another dimension"),
        pytest.param(Reply(200, b'{"data": [{"index": 0, "embedding": [0, 0, 0, 0, 0, 0, 0, 0]}]}'), id="zero"),
    ],
)
async def test_openai_failure_that_passes_is_tried_again(serve_embed: Any, reply: Reply) -> None:
    async with service_of(serve_embed) as (service, server):
        server.replies = [reply]
        response = await service.stub.Embed(pb.EmbedRequest(texts=["again"]))

        assert np.frombuffer(response.vectors_f32, dtype="<f4") == unit("again")
        assert len(server.requests) == 2
        result = "overloaded" if reply.status == 429 else "failed"
        assert service.metric("trivium_embed_api_attempts_total", result=result) == 1


async def test_openai_retry_after_is_waited_for(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, server):
        server.replies = [Reply(429, error_body("slow down"), {"retry-after": "0.6"})]
        start = asyncio.get_running_loop().time()
        await service.stub.Embed(pb.EmbedRequest(texts=["patience"]))

        assert asyncio.get_running_loop().time() - start >= 0.6


async def test_openai_retry_after_beyond_the_deadline_is_refused_at_once_with_it(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, server):
        server.replies = [Reply(429, error_body("slow down"), {"retry-after": "30"})]
        for text in ("first", "second"):  # the second is not even sent
            code, error = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=[text]), timeout=5))

            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert isinstance(error, Overloaded)
            assert 25 < error.retry_after_seconds <= 30
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "code", "reason", "advice"),
    [
        (Reply(401, error_body("key sk-secret")), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_EMBED_API_KEY"),
        (Reply(403, error_body("not yours")), "FAILED_PRECONDITION", "API_KEY_REFUSED", "TRIVIUM_EMBED_API_KEY"),
        (Reply(404, error_body("sk-secret")), "FAILED_PRECONDITION", "API_MODEL_UNKNOWN", "TRIVIUM_EMBED_MODEL"),
        (Reply(400, error_body("sk-secret")), "INVALID_ARGUMENT", "API_REQUEST_REFUSED", "too long"),
        (
            Reply(429, error_body("no money", "insufficient_quota")),
            "FAILED_PRECONDITION",
            "API_QUOTA_EXHAUSTED",
            "billing",
        ),
    ],
)
async def test_openai_refusal_is_not_tried_again_and_says_what_to_do(
    serve_embed: Any, reply: Reply, code: str, reason: str, advice: str
) -> None:
    async with service_of(serve_embed) as (service, server):
        server.replies = [reply] * 4
        status, error = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["refused"])))

        assert (status.name, error.reason) == (code, reason)
        assert advice in error.message
        assert "sk-secret" not in error.message
        assert len(server.requests) == 1


async def test_openai_broken_for_good_is_unavailable_after_all_attempts(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_attempts=2) as (service, server):
        server.replies = [Reply(500, error_body("broken"))] * 5
        status, error = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["broken"])))

        assert (status, error.reason) == (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
        assert len(server.requests) == 2


async def test_openai_slow_attempt_is_given_up_and_the_next_answers(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_timeout_seconds=0.3) as (service, server):
        server.replies = [Reply(200, b"{}", delay_seconds=20)]
        response = await service.stub.Embed(pb.EmbedRequest(texts=["slow"]))

        assert np.frombuffer(response.vectors_f32, dtype="<f4") == unit("slow")


async def test_openai_answer_after_the_deadline_is_deadline_exceeded(serve_embed: Any) -> None:
    async with service_of(serve_embed) as (service, server):
        server.replies = [Reply(200, b"{}", delay_seconds=20)]
        status, _ = await failure_of(service.stub.Embed(pb.EmbedRequest(texts=["late"]), timeout=0.3))

        assert status is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_openai_budget_of_requests_refuses_what_the_deadline_does_not_allow(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_requests_per_minute=10) as (service, server):
        status, error = await failure_of(
            _until_refused(lambda text: service.stub.Embed(pb.EmbedRequest(texts=[text]), timeout=1))
        )

        assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert isinstance(error, Overloaded)
        assert 1 <= error.retry_after_seconds <= 6.1
        assert len(server.requests) <= 2


async def _until_refused(call: Callable[[str], Awaitable[Any]]) -> None:
    for number in range(10):
        await call(f"text {number}")


async def test_openai_tokenize_estimates_and_truncate_cuts_by_it(serve_embed: Any) -> None:
    async with service_of(serve_embed, max_length=4) as (service, server):
        tokens = await service.stub.Tokenize(pb.TokenizeRequest(texts=["An aspen, 树 2024", ""]))
        await service.stub.Embed(pb.EmbedRequest(texts=["a b c d e f"], truncate=True))

        assert list(tokens.texts[0].starts) == [0, 3, 8, 10, 12, 15]
        assert list(tokens.texts[1].starts) == []
        assert (tokens.overhead_tokens, tokens.max_input_tokens) == (0, 4)
        assert server.requests[0]["input"] == ["a b c d "]


async def test_openai_without_key_and_address_does_not_start(serve_embed: Any) -> None:
    with pytest.raises(FailedPrecondition, match="TRIVIUM_EMBED_API_KEY") as failure:
        async with serve_embed(backend="openai"):
            pass
    assert failure.value.reason == "API_KEY_MISSING"


async def test_openai_unreachable_does_not_start(serve_embed: Any) -> None:
    async with api_server(work) as server:
        url = server.url
    with pytest.raises(TriviumError, match="cannot be reached") as failure:
        async with serve_embed(backend="openai", api_url=url, api_attempts=1):
            pass
    assert failure.value.reason == "UPSTREAM_UNAVAILABLE"


async def test_openai_failures_words_reach_the_log_and_no_caller(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_attempts=1) as (service, server):
        for status in STATUSES:
            server.replies = [Reply(status, error_body(WORDS))]
            with logged_lines() as lines:
                call = service.stub.Embed(
                    pb.EmbedRequest(texts=["failing"]), metadata=(("x-request-id", f"r{status}"),)
                )
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await call

            assert told(f"{failure.value.details()} {failure.value.trailing_metadata()}") == [], status
            assert server.url not in str(failure.value.details())
            assert is_logged(lines, f"r{status}"), (status, lines)


async def test_openai_failures_words_inside_a_stream_reach_the_log_and_no_caller(serve_embed: Any) -> None:
    async with service_of(serve_embed, api_attempts=1) as (service, server):
        server.replies = [Reply(400, error_body(WORDS))]
        with logged_lines() as lines:
            requests = iter([pb.EmbedStreamRequest(sequence=1, request=pb.EmbedRequest(texts=["failing"]))])
            answers = [one async for one in service.stub.EmbedStream(requests, metadata=(("x-request-id", "r1"),))]

        assert answers[0].HasField("error")
        assert told(str(answers)) == []
        assert is_logged(lines, "r1"), lines
