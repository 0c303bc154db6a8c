"""EmbedStream over gRPC, with the real model."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from trivium.embed.v1 import embed_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


def request(sequence: int, *texts: str, **fields: Any) -> pb.EmbedStreamRequest:
    return pb.EmbedStreamRequest(sequence=sequence, request=pb.EmbedRequest(texts=texts, **fields))


async def test_embed_stream_many_requests_answers_each_in_order(embed_service: Any) -> None:
    # Long and short in turn, so that later ones are done first.
    requests = [request(number, *["word " * (1 if number % 2 else 200)] * 4) for number in range(12)]

    responses = [response async for response in embed_service.stub.EmbedStream(iter(requests))]

    assert [response.sequence for response in responses] == list(range(12))
    assert all(len(response.response.vectors_f32) == 4 * 384 * 4 for response in responses)


async def test_embed_stream_failing_requests_are_answered_and_the_stream_goes_on(embed_service: Any) -> None:
    responses = [
        response
        async for response in embed_service.stub.EmbedStream(
            iter(
                [
                    request(1, "fine"),
                    request(2, "fine", " "),
                    request(3),
                    request(4, "word " * 300),
                    request(5, "fine", expected_fingerprint="of another model"),
                    request(6, "fine"),
                ]
            )
        )
    ]

    assert [response.sequence for response in responses] == [1, 2, 3, 4, 5, 6]
    assert [response.WhichOneof("result") for response in responses] == ["response", *["error"] * 4, "response"]
    assert [(response.error.code, response.error.reason) for response in responses[1:5]] == [
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "BLANK_TEXT"),
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "NO_TEXTS"),
        (grpc.StatusCode.INVALID_ARGUMENT.value[0], "TEXT_TOO_LONG"),
        (grpc.StatusCode.FAILED_PRECONDITION.value[0], "MODEL_MISMATCH"),
    ]
    assert "texts[1]" in responses[1].error.message
    assert responses[5].response.vectors_f32 == responses[0].response.vectors_f32


async def test_embed_stream_gives_the_vectors_of_embed(embed_service: Any) -> None:
    streamed = [response async for response in embed_service.stub.EmbedStream(iter([request(9, "an aspen")]))]
    single = await embed_service.stub.Embed(pb.EmbedRequest(texts=["an aspen"]))

    assert streamed[0].response.vectors_f32 == single.vectors_f32
    assert streamed[0].response.model == single.model


async def test_embed_stream_without_requests_ends_without_answers(embed_service: Any) -> None:
    assert [response async for response in embed_service.stub.EmbedStream(iter([]))] == []


async def test_embed_stream_caller_that_waits_gets_each_answer_at_once(embed_service: Any) -> None:
    call = embed_service.stub.EmbedStream()
    for number in range(3):
        await call.write(request(number, "one at a time"))
        response = await call.read()
        assert response.sequence == number
    await call.done_writing()
    assert await call.read() == grpc.aio.EOF


async def test_embed_stream_cancelled_by_the_caller_leaves_nothing_in_flight(embed_service: Any) -> None:
    call = embed_service.stub.EmbedStream()
    for number in range(4):
        await call.write(request(number, *(f"{number} {item} " + "word " * 200 for item in range(200))))
    await in_flight(embed_service, lambda count: count > 0)
    call.cancel()

    await in_flight(embed_service, lambda count: count == 0)


async def test_embed_cancelled_by_the_caller_leaves_the_queue(embed_service: Any) -> None:
    call = embed_service.stub.Embed(pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(1500)]))
    await in_flight(embed_service, lambda count: count > 0)
    call.cancel()
    await in_flight(embed_service, lambda count: count == 0)

    # 1,500 such texts take many seconds: only a queue without them answers this soon.
    await embed_service.stub.Embed(pb.EmbedRequest(texts=["next"]), timeout=3)


async def test_embed_short_query_overtakes_a_stream(embed_service: Any) -> None:
    async def bulk() -> AsyncIterator[pb.EmbedStreamRequest]:
        for number in range(4):
            yield request(number, *(f"{number} {item} " + "word " * 200 for item in range(200)))

    call = embed_service.stub.EmbedStream(bulk())
    await in_flight(embed_service, lambda count: count > 0)

    await embed_service.stub.Embed(pb.EmbedRequest(texts=["a query"], role=pb.EMBED_ROLE_QUERY), timeout=3)
    assert embed_service.metric("trivium_embed_in_flight_requests") > 0, "the stream was done before the query"
    call.cancel()
    await in_flight(embed_service, lambda count: count == 0)


async def test_embed_over_the_admitted_tokens_is_refused_at_once_unary_and_streamed(serve_embed: Any) -> None:
    async with serve_embed(max_in_flight_tokens=20_000) as service:
        first = service.stub.Embed(pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(500)]))
        await in_flight(service, lambda count: count > 0)

        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await service.stub.Embed(pb.EmbedRequest(texts=["one more"]), timeout=3)
        streamed = service.stub.EmbedStream(iter([request(1, "one more")]), timeout=3)
        (response,) = [response async for response in streamed]

        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers = dict(refusal.value.trailing_metadata() or ())
        assert int(trailers["grpc-retry-pushback-ms"]) > 0
        assert response.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert response.error.reason == "OVERLOADED"
        assert response.error.retry_after_ms == int(trailers["grpc-retry-pushback-ms"])
        assert service.metric("trivium_embed_rejected_total", reason="OVERLOADED") == 2
        first.cancel()
        await in_flight(service, lambda count: count == 0)


async def test_embed_over_the_admitted_requests_is_refused_at_once(serve_embed: Any) -> None:
    async with serve_embed(max_in_flight_requests=1) as service:
        first = service.stub.Embed(pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(500)]))
        await in_flight(service, lambda count: count > 0)

        for call in (
            service.stub.Embed(pb.EmbedRequest(texts=["one more"]), timeout=3),
            service.stub.Tokenize(pb.TokenizeRequest(texts=["one more"]), timeout=3),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await call
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        streamed = service.stub.EmbedStream(iter([request(1, "one more")]), timeout=3)
        (response,) = [response async for response in streamed]
        assert response.error.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        first.cancel()
        await in_flight(service, lambda count: count == 0)


async def test_embed_text_over_every_budget_is_served_unary_and_streamed(serve_embed: Any) -> None:
    async with serve_embed(max_in_flight_tokens=1, budget_tokens=16) as service:
        response = await service.stub.Embed(pb.EmbedRequest(texts=["word " * 200]), timeout=20)
        streamed = service.stub.EmbedStream(iter([request(1, "words " * 200)]), timeout=20)
        (answer,) = [answer async for answer in streamed]

        assert list(response.token_counts) == list(answer.response.token_counts) == [202]


async def in_flight(service: Any, reached: Callable[[float], bool]) -> None:
    """Waits until the number of requests in flight is as it should be."""
    async with asyncio.timeout(10):
        while not reached(service.metric("trivium_embed_in_flight_requests")):  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.002)
