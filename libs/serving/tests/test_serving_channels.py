"""Channels to several servers at once. The health service's own RPCs stand in for a service's."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from faults.bad_link import BadLink
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceServicer, add_RerankServiceServicer_to_server
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub as Stub
from trivium_serving.channels import open_channel
from trivium_serving.errors import Unavailable
from trivium_serving.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class PeersServicer(RerankServiceServicer):
    """Notes from which connection each call came, and fails as the query says."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    async def Rerank(self, request: Any, context: Any) -> pb.RerankResponse:
        self.peers.append(context.peer())
        if request.query:
            raise Unavailable("It cannot be done now.", reason=request.query)
        return pb.RerankResponse()

    async def GetModel(self, request: Any, context: Any) -> pb.GetModelResponse:
        return pb.GetModelResponse()


@asynccontextmanager
async def serving(port: int = 0, **options: Any) -> AsyncIterator[tuple[GrpcServer, PeersServicer, int]]:
    """A server, what it noted, and its port."""
    server = GrpcServer(
        service="rerank",
        listen=f"127.0.0.1:{port}",
        full_names=("trivium.rerank.v1.RerankService",),
        registry=CollectorRegistry(),
        **options,
    )
    servicer = PeersServicer()
    add_RerankServiceServicer_to_server(servicer, server.grpc)
    port = await server.start()
    try:
        yield server, servicer, port
    finally:
        await server.stop(0)


async def test_channel_with_several_addresses_uses_each() -> None:
    async with (
        serving() as (_, first, first_port),
        serving() as (_, second, second_port),
        open_channel(f"ipv4:127.0.0.1:{first_port},127.0.0.1:{second_port}") as channel,
        asyncio.timeout(10),
    ):
        while not (first.peers and second.peers):
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=5)


@pytest.mark.parametrize(("reason", "attempts"), [("UPSTREAM_UNAVAILABLE", 1), ("LOADING", 4)])
async def test_channel_repeats_only_what_another_server_could_do(reason: str, attempts: int) -> None:
    async with serving() as (_, seen, port), open_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await Stub(channel).Rerank(pb.RerankRequest(query=reason), timeout=5)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(seen.peers) == attempts


async def test_channel_waits_for_a_connection_that_is_slow_to_come_about() -> None:
    async with serving() as (_, seen, port), BadLink(port).serving() as proxy:
        proxy.delay_seconds = 0.5  # as long as handshakes take on a busy machine
        async with open_channel(f"127.0.0.1:{proxy.port}") as channel:
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=10)

    assert (len(seen.peers), proxy.connections) == (1, 1)


async def test_channel_ends_what_runs_over_a_connection_that_is_forgotten_just_after_something_came() -> None:
    """That is when gRPC has a ping of its own under way."""
    async with (
        serving() as (_, _, port),
        BadLink(port).serving() as proxy,
        open_channel(f"127.0.0.1:{proxy.port}") as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=50)
        await watch.read()
        proxy.silence()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await watch.read()

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE  # not DEADLINE_EXCEEDED


async def test_channel_finds_a_server_that_comes_back_long_before_grpc_itself_would() -> None:
    async with serving() as (server, _, port), open_channel(f"127.0.0.1:{port}") as channel:
        await Stub(channel).Rerank(pb.RerankRequest(), timeout=10)
        await server.stop(0)
        away_until = time.monotonic() + 4  # pauses between attempts have grown as long as they get
        while time.monotonic() < away_until:
            with pytest.raises(grpc.aio.AioRpcError):
                await Stub(channel).Rerank(pb.RerankRequest(), timeout=1)
        async with serving(port=port):
            returned = time.monotonic()
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=20, wait_for_ready=True)

    assert time.monotonic() - returned < 5


async def test_channel_loses_no_call_when_one_of_two_servers_shuts_down() -> None:
    answers: asyncio.Queue[str] = asyncio.Queue()
    done = asyncio.Event()

    async def ask(channel: grpc.aio.Channel) -> None:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while not done.is_set():
            try:
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                answers.put_nowait("OK")
            except grpc.aio.AioRpcError as error:
                answers.put_nowait(f"{error.code().name}: {error.details()}")

    async with (
        serving() as (leaving, _, leaving_port),
        serving() as (_, _, staying_port),
        open_channel(f"ipv4:127.0.0.1:{leaving_port},127.0.0.1:{staying_port}") as channel,
        asyncio.timeout(20),
    ):
        callers = [asyncio.create_task(ask(channel)) for _ in range(16)]
        seen = {await answers.get() for _ in range(200)}
        await leaving.stop(5)
        seen |= {await answers.get() for _ in range(200 + answers.qsize())}
        done.set()
        await asyncio.gather(*callers)
    assert seen == {"OK"}


async def test_server_closes_connections_of_age_so_that_clients_look_for_others() -> None:
    async with serving(connection_seconds=0.2) as (_, seen, port), open_channel(f"127.0.0.1:{port}") as channel:
        async with asyncio.timeout(10):
            while len(set(seen.peers)) < 2:
                await Stub(channel).Rerank(pb.RerankRequest(), timeout=5)
