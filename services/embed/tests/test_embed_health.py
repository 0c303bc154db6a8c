"""What health checks say while the model loads, serves, loses a worker and gets another."""

import asyncio
import ctypes
import threading
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.errors import error_from_rpc

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


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


async def test_embed_worker_dies_health_flips_and_returns_with_its_replacement(serve_embed: Any) -> None:
    threads_before = set(threading.enumerate())
    async with serve_embed(workers=1) as service:
        watch = service.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == SERVING

        for thread in set(threading.enumerate()) - threads_before:
            kill_when_it_works(thread)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await service.stub.Embed(pb.EmbedRequest(texts=["the last words"]))

        assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await watch.read()).status == NOT_SERVING
        assert (await watch.read()).status == SERVING
        response = await service.stub.Embed(pb.EmbedRequest(texts=["and the first of the next"]))
        assert len(response.token_counts) == 1


async def test_embed_stopped_is_not_serving_before_it_stops(serve_embed: Any) -> None:
    async with serve_embed() as service:
        watch = service.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == SERVING

        stopping = asyncio.create_task(service.app.server.stop(5))
        assert (await watch.read()).status == NOT_SERVING
        watch.cancel()
        await stopping


def kill_when_it_works(thread: threading.Thread) -> None:
    """Makes a thread raise SystemExit at the next step that it takes in Python."""
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
