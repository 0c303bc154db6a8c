"""What health checks say when workers die and are replaced."""

import asyncio
import contextlib
import ctypes
import re
import threading
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from trivium.rerank.v1 import rerank_service_pb2 as pb

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

WORKER_THREAD = re.compile(r"rerank-encoder-\d+")


async def test_rerank_workers_keep_dying_health_flips_and_returns_with_the_last(serve_rerank: Any) -> None:
    async def kill_each_worker() -> None:
        while True:
            if service.app.reranker.healthy:
                kill(newest_worker())
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await service.stub.Rerank(pb.RerankRequest(query="the last words", texts=["of a worker"]))
            await asyncio.sleep(0.005)

    async with serve_rerank(workers=1) as service:
        watch = service.health_stub.Watch(health_pb2.HealthCheckRequest(), timeout=60)
        assert (await watch.read()).status == SERVING

        # The first replacement is there sooner than a health check would notice; later ones wait longer each time.
        killing = asyncio.create_task(kill_each_worker())
        assert (await watch.read()).status == NOT_SERVING
        killing.cancel()

        assert (await watch.read()).status == SERVING
        response = await service.stub.Rerank(pb.RerankRequest(query="the last words", texts=["of the last worker"]))
        assert len(response.rankings) == 1


def newest_worker() -> threading.Thread:
    """The thread that computes; services of other tests may have theirs still, which started before."""
    return [thread for thread in threading.enumerate() if WORKER_THREAD.fullmatch(thread.name)][-1]


def kill(thread: threading.Thread) -> None:
    """Makes a thread raise SystemExit at the next step that it takes in Python."""
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
