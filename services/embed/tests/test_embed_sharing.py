"""What is computed once for several calls, over gRPC with the real model."""

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
import pytest_asyncio
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY, DOCUMENT = pb.EMBED_ROLE_QUERY, pb.EMBED_ROLE_DOCUMENT
TOO_LONG = "word " * 300
NUMBERS = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_worker(serve_embed: Any) -> "AsyncIterator[Any]":
    """A service that computes one batch at a time."""
    async with serve_embed(workers=1) as service:
        yield service


def computed(service: Any) -> float:
    """How many texts the model has read."""
    return float(service.metric("trivium_embed_batch_texts_sum"))


def lookups(service: Any, role: str) -> dict[str, float]:
    return {
        result: service.metric("trivium_embed_cache_lookups_total", role=role, result=result)
        for result in ("hit", "shared", "miss")
    }


async def busy(service: Any) -> Any:
    """A call that keeps the only worker busy for a while, each time with other texts."""
    texts = [f"{next(NUMBERS)} " + "word " * 200 for _ in range(60)]
    call = service.stub.Embed(pb.EmbedRequest(texts=texts, role=DOCUMENT))
    await until(service, lambda: service.metric("trivium_embed_in_flight_requests") > 0)
    return call


async def until(service: Any, reached: Any) -> None:
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 - a metric has no event
            await asyncio.sleep(0.002)


async def test_embed_hundred_equal_queries_at_once_cost_one_forward_pass(one_worker: Any) -> None:
    before, counted = computed(one_worker), lookups(one_worker, "query")
    request = pb.EmbedRequest(texts=["asked by a hundred"], role=QUERY)

    responses = await asyncio.gather(*(one_worker.stub.Embed(request) for _ in range(100)))

    assert computed(one_worker) == before + 1
    assert len({response.vectors_f32 for response in responses}) == 1
    now = lookups(one_worker, "query")
    assert now["miss"] == counted["miss"] + 1
    assert now["hit"] + now["shared"] == counted["hit"] + counted["shared"] + 99


async def test_embed_text_that_another_tenant_sent_is_computed_anew(one_worker: Any) -> None:
    request = pb.EmbedRequest(texts=["asked by two tenants"], role=QUERY)
    read = []
    for tenant in ("legal", "sales", "legal"):
        before = computed(one_worker)
        await one_worker.stub.Embed(request, metadata=(("x-trivium-tenant", tenant),))
        read.append(computed(one_worker) - before)

    assert read == [1, 1, 0]


async def test_embed_text_again_is_answered_from_memory_bit_for_bit(one_worker: Any) -> None:
    request = pb.EmbedRequest(texts=["asked twice", "asked twice as well"], role=QUERY)
    first = await one_worker.stub.Embed(request)
    before = computed(one_worker)

    again = await one_worker.stub.Embed(request)
    turned = await one_worker.stub.Embed(pb.EmbedRequest(texts=list(reversed(request.texts)), role=QUERY))

    assert computed(one_worker) == before
    assert (again.vectors_f32, list(again.token_counts)) == (first.vectors_f32, list(first.token_counts))
    half = len(first.vectors_f32) // 2
    assert turned.vectors_f32 == first.vectors_f32[half:] + first.vectors_f32[:half]
    assert list(turned.token_counts) == list(reversed(first.token_counts))


async def test_embed_query_with_its_token_codes_and_without_is_computed_once(one_worker: Any) -> None:
    before = computed(one_worker)
    asked: dict[str, Any] = {"texts": ["asked with codes and without"], "role": QUERY}
    plain = await one_worker.stub.Embed(pb.EmbedRequest(**asked))
    coded = await one_worker.stub.Embed(pb.EmbedRequest(**asked, token_codes=pb.TOKEN_CODES_8_BIT))

    assert computed(one_worker) == before + 1
    assert (len(plain.token_codes), len(coded.token_codes)) == (0, 1)
    assert plain.vectors_f32 == coded.vectors_f32


async def test_embed_same_text_several_times_in_a_call_is_computed_once_and_returned_for_each(one_worker: Any) -> None:
    before = computed(one_worker)
    response = await one_worker.stub.Embed(pb.EmbedRequest(texts=["twin", "single", "twin"], role=DOCUMENT))

    vectors = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(3, -1)
    assert computed(one_worker) == before + 2
    assert np.array_equal(vectors[0], vectors[2])
    assert not np.array_equal(vectors[0], vectors[1])


async def test_embed_calls_that_share_some_texts_get_their_own_in_order(one_worker: Any) -> None:
    call = await busy(one_worker)
    before = computed(one_worker)
    orders = [["red", "green"], ["green", "blue", "red"], ["blue", "green"]]
    responses = await asyncio.gather(*(one_worker.stub.Embed(pb.EmbedRequest(texts=texts)) for texts in orders))
    alone = {}
    async with asyncio.timeout(120):
        await call
        for text in ("red", "green", "blue"):
            alone[text] = (await one_worker.stub.Embed(pb.EmbedRequest(texts=[text]))).vectors_f32

    for texts, response in zip(orders, responses, strict=True):
        assert response.vectors_f32 == b"".join(alone[text] for text in texts)
    assert computed(one_worker) <= before + 60 + 3


async def test_embed_first_of_two_equal_calls_leaves_the_second_is_answered(one_worker: Any) -> None:
    call = await busy(one_worker)
    shared = lookups(one_worker, "query")["shared"]
    request = pb.EmbedRequest(texts=["wanted by two"], role=QUERY)
    first, second = one_worker.stub.Embed(request), one_worker.stub.Embed(request)
    await until(one_worker, lambda: lookups(one_worker, "query")["shared"] > shared)
    first.cancel()

    assert len((await second).token_counts) == 1
    call.cancel()


async def test_embed_text_too_long_beside_shared_and_kept_ones_is_named_by_its_own_place(one_worker: Any) -> None:
    await one_worker.stub.Embed(pb.EmbedRequest(texts=["kept"]))
    call = await busy(one_worker)
    fine = one_worker.stub.Embed(pb.EmbedRequest(texts=["fine"]))
    bad = one_worker.stub.Embed(pb.EmbedRequest(texts=["kept", "fine", "another", TOO_LONG]))
    also_fine = one_worker.stub.Embed(pb.EmbedRequest(texts=["another"]))

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await bad
    assert error_from_rpc(failure.value).field == "texts[3]"
    assert len((await fine).token_counts) == len((await also_fine).token_counts) == 1
    call.cancel()


async def test_embed_text_kept_after_cutting_is_still_refused_without_truncate(one_worker: Any) -> None:
    await one_worker.stub.Embed(pb.EmbedRequest(texts=[TOO_LONG], truncate=True))

    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await one_worker.stub.Embed(pb.EmbedRequest(texts=[TOO_LONG]))
    assert error_from_rpc(failure.value).reason == "TEXT_TOO_LONG"


async def test_embed_same_text_as_query_and_as_document_is_computed_for_each(one_worker: Any) -> None:
    before = computed(one_worker)
    for role in (QUERY, DOCUMENT):
        await one_worker.stub.Embed(pb.EmbedRequest(texts=["query or document"], role=role))

    assert computed(one_worker) == before + 2


async def test_embed_cache_of_zero_bytes_keeps_nothing(serve_embed: Any) -> None:
    async with serve_embed(workers=1, cache_bytes=0) as service:
        before = computed(service)
        for _ in range(2):
            await service.stub.Embed(pb.EmbedRequest(texts=["not kept"]))
        assert computed(service) == before + 2
        assert service.metric("trivium_embed_cache_bytes") == 0


async def test_embed_kept_texts_are_answered_when_there_is_no_room_for_tokens(serve_embed: Any) -> None:
    async with serve_embed(workers=1, max_in_flight_tokens=5_000) as service:
        await service.stub.Embed(pb.EmbedRequest(texts=["kept"]))
        call = await busy(service)

        assert len((await service.stub.Embed(pb.EmbedRequest(texts=["kept"]), timeout=3)).token_counts) == 1
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await service.stub.Embed(pb.EmbedRequest(texts=["not kept"]), timeout=3)
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        call.cancel()
