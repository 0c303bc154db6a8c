"""Streams to clients that do not read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from prometheus_client import CollectorRegistry
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import gateway_service_pb2_grpc as pb_grpc
from trivium_serving.rpc_errors import error_from_rpc
from trivium_serving.server import GrpcServer
from trivium_serving.slow_readers import SlowReaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVICE = "trivium.gateway.v1.GatewayService"


class Endless(pb_grpc.GatewayServiceServicer):
    """Answers without end."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.ended_count = 0

    async def Answer(self, request: Any, context: Any) -> AsyncIterator[pb.AnswerResponse]:
        try:
            while True:
                yield pb.AnswerResponse(delta=pb.AnswerDelta(text="heron " * 20_000))
        finally:
            self.ended.set()
            self.ended_count += 1


async def test_stream_that_is_not_read_ends_and_says_so_once_it_is() -> None:
    registry, servicer = CollectorRegistry(), Endless()  # type: ignore[abstract]
    server = GrpcServer(
        service="gateway", listen="127.0.0.1:0", full_names=(SERVICE,), registry=registry, stall_seconds=0.3
    )
    pb_grpc.add_GatewayServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = pb_grpc.GatewayServiceStub(channel).Answer(pb.AnswerRequest(question="q"))
        await call.read()
        await asyncio.wait_for(servicer.ended.wait(), 20)

        async def read_on() -> None:
            while await call.read() is not grpc.aio.EOF:
                pass

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_on()
        assert error_from_rpc(caught.value).reason == "SLOW_READER"
    labels = {"method": "Answer", "code": "DEADLINE_EXCEEDED"}
    assert registry.get_sample_value("trivium_gateway_requests_total", labels) == 1
    await server.stop(0)


async def test_streams_that_are_not_read_beyond_the_most_are_given_up_and_others_go_on() -> None:
    servicer = Endless()  # type: ignore[abstract]
    server = GrpcServer(
        service="gateway", listen="127.0.0.1:0", full_names=(SERVICE,), registry=CollectorRegistry(),
        stall_seconds=600, slow_readers=SlowReaders(2),
    )  # fmt: skip
    pb_grpc.add_GatewayServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    channels = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(5)
    ]
    unread = [pb_grpc.GatewayServiceStub(channel).Answer(pb.AnswerRequest(question="q")) for channel in channels[:4]]
    for call in unread:
        await call.read()
    read = pb_grpc.GatewayServiceStub(channels[4]).Answer(pb.AnswerRequest(question="q"))
    async with asyncio.timeout(20):
        while servicer.ended_count < 2:
            assert await read.read() is not grpc.aio.EOF
    for _ in range(100):
        assert await read.read() is not grpc.aio.EOF
    assert servicer.ended_count == 2
    for channel in channels:
        await channel.close()
    await server.stop(0)


async def test_stream_that_is_read_slowly_but_read_goes_on() -> None:
    server = GrpcServer(
        service="gateway", listen="127.0.0.1:0", full_names=(SERVICE,), registry=CollectorRegistry(), stall_seconds=5
    )
    pb_grpc.add_GatewayServiceServicer_to_server(Endless(), server.grpc)  # type: ignore[abstract]
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = pb_grpc.GatewayServiceStub(channel).Answer(pb.AnswerRequest(question="q"))
        for _ in range(100):
            assert await call.read() is not grpc.aio.EOF
        call.cancel()
    await server.stop(0)
