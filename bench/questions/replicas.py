"""Calls of three replicas, one of which is slow or hangs: by turns, as gRPC gives them, and as Trivium does.

    .venv/bin/python bench/questions/replicas.py

The replicas are servers in this process that wait as long as they are told, so that nothing but the spreading differs.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import grpc
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import (
    RerankServiceServicer,
    RerankServiceStub,
    add_RerankServiceServicer_to_server,
)
from trivium_serving.channels import CHANNEL_OPTIONS, open_channel
from trivium_serving.server import GrpcServer

_USUAL_SECONDS = 0.02
_PAUSE_SECONDS = 0.025


class Replica(RerankServiceServicer):  # type: ignore[misc]
    """Answers after a while."""

    def __init__(self) -> None:
        self.seconds = _USUAL_SECONDS
        self.calls = 0

    async def Rerank(self, request: Any, context: Any) -> pb.RerankResponse:
        """Waits."""
        self.calls += 1
        await asyncio.sleep(self.seconds)
        return pb.RerankResponse()


async def _serve(stack: AsyncExitStack) -> tuple[list[Replica], str]:
    replicas, ports = [], []
    for _ in range(3):
        server = GrpcServer(
            service="rerank",
            listen="127.0.0.1:0",
            full_names=("trivium.rerank.v1.RerankService",),
            registry=CollectorRegistry(),
        )
        replicas.append(Replica())
        add_RerankServiceServicer_to_server(replicas[-1], server.grpc)
        ports.append(await server.start())
        stack.push_async_callback(server.stop, 0)
    return replicas, "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


async def _measure(name: str, slow_seconds: float, calls: int) -> None:
    async with AsyncExitStack() as stack:
        replicas, target = await _serve(stack)
        by_turns = name == "by turns"
        opened = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS) if by_turns else open_channel(target)
        stub = RerankServiceStub(await stack.enter_async_context(opened))
        times: list[float] = []

        async def call() -> None:
            begin = time.monotonic()
            await stub.Rerank(pb.RerankRequest(), timeout=60)
            times.append(time.monotonic() - begin)

        for _ in range(30):
            await call()
        replicas[0].seconds, before = slow_seconds, replicas[0].calls
        times.clear()
        tasks = []
        for _ in range(calls):
            tasks.append(asyncio.ensure_future(call()))
            await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.gather(*tasks)
        times.sort()
        at = [times[int(part * (calls - 1))] for part in (0.5, 0.95, 0.99, 1.0)]
        print(
            f"one takes {slow_seconds:g} s, {name:>9}: p50 {at[0]:.3f}  p95 {at[1]:.3f}  p99 {at[2]:.3f}  longest "
            f"{at[3]:.3f} s; {replicas[0].calls - before} of {calls} calls went to it",
            flush=True,
        )


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400, help="calls of each run; default: %(default)s")
    calls = parser.parse_args().calls
    for slow_seconds in (0.3, 20.0):
        for name in ("by turns", "ejecting"):
            await _measure(name, slow_seconds, calls)


if __name__ == "__main__":
    asyncio.run(_main())
