"""What health checks say while the model loads, serves, loses a worker and gets another."""

import asyncio
import contextlib
import ctypes
import itertools
import re
import threading
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.rpc_errors import error_from_rpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

WORKER_THREAD = re.compile(r"embed-encoder-\d+")


async def test_embed_while_loading_is_unavailable_and_not_serving(serve_embed: Any) -> None:
    async with serve_embed(warm=False) as service:
        calls = [
            service.stub.Embed(pb.EmbedRequest(texts=["a"])),
            service.stub.Tokenize(pb.TokenizeRequest(texts=["a"])),
            service.stub.GetModel(pb.GetModelRequest()),
        ]
        for call in calls:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
            assert error_from_rpc(failure.value).reason == "LOADING"
        assert not await service.is_serving()


async def test_embed_warmed_up_is_serving(serve_embed: Any) -> None:
    async with serve_embed() as service:
        assert await service.is_serving()


async def test_embed_worker_dies_under_a_call_it_fails_and_the_next_is_served(serve_embed: Any) -> None:
    async with serve_embed(workers=1, express_tokens=0) as service:
        call = service.stub.Embed(pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(400)]))
        async with asyncio.timeout(10):
            while not 0 < service.metric("trivium_embed_queue_texts", priority="interactive") < 400:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        kill(newest_worker())

        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call
        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        response = await service.stub.Embed(pb.EmbedRequest(texts=["the next"]))
        assert len(response.token_counts) == 1


async def test_embed_workers_keep_dying_health_flips_and_returns_with_the_last(serve_embed: Any) -> None:
    number = itertools.count()

    async def kill_each_worker() -> None:
        while True:
            if service.app.embedder.healthy:
                kill(newest_worker())
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await service.stub.Embed(pb.EmbedRequest(texts=[f"the last words {next(number)}"]))
            await asyncio.sleep(0.005)

    async with serve_embed(workers=1, express_tokens=0) as service:
        watch = service.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == SERVING

        # The first replacement is there sooner than a health check would notice; later ones wait longer each time.
        killing = asyncio.create_task(kill_each_worker())
        assert (await watch.read()).status == NOT_SERVING
        killing.cancel()

        assert (await watch.read()).status == SERVING
        response = await service.stub.Embed(pb.EmbedRequest(texts=["the first text of the last worker"]))
        assert len(response.token_counts) == 1


async def test_embed_stopped_is_not_serving_before_it_stops(serve_embed: Any) -> None:
    async with serve_embed() as service:
        watch = service.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == SERVING

        stopping = asyncio.create_task(service.app.server.stop(5))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await stopping


def newest_worker() -> threading.Thread:
    """The thread that computes; services of other tests may have theirs still, which started before."""
    return [thread for thread in threading.enumerate() if WORKER_THREAD.fullmatch(thread.name)][-1]


def kill(thread: threading.Thread) -> None:
    """Makes a thread raise SystemExit at the next step that it takes in Python."""
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
