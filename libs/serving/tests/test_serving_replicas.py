"""Replicas of which one is slow, on a clock that the tests turn, and behind real connections."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceServicer, add_RerankServiceServicer_to_server
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub as Stub
from trivium_serving.channels import open_channel
from trivium_serving.replicas import Replicas
from trivium_serving.server import GrpcServer
from trivium_serving.spread_channel import SpreadChannel, addresses_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc
    from trivium_serving.replicas import Replica


class Fleet:
    """Replicas that take as long as the test says, on its clock."""

    def __init__(self, **seconds: float) -> None:
        self.now = 100.0
        self.seconds = seconds
        self.calls = dict.fromkeys(seconds, 0)
        self.ejections: list[str] = []
        self.replicas: Replicas[str] = Replicas(self.ejections.append, lambda: self.now)
        self.replicas.set({name: name for name in seconds})

    def call(self) -> str:
        """One call of whichever replica's turn it is."""
        replica = self.replicas.next(lambda _: True)
        assert replica is not None
        begun = self.replicas.begin(replica, "embed")
        self.now += self.seconds[replica.address]
        self.replicas.end(replica, begun, done=True)
        self.calls[replica.address] += 1
        return replica.address

    def hang(self) -> Replica[str]:
        """A call that does not end."""
        replica = self.replicas.next(lambda _: True)
        assert replica is not None
        self.replicas.begin(replica, "embed")
        return replica


def test_replicas_that_are_equally_fast_have_equal_parts() -> None:
    fleet = Fleet(a=0.01, b=0.012, c=0.02)
    for _ in range(60):
        fleet.call()

    assert fleet.calls == {"a": 20, "b": 20, "c": 20}
    assert fleet.ejections == []


def test_replica_that_is_slower_than_the_others_gets_no_calls() -> None:
    fleet = Fleet(a=0.02, b=0.02, c=0.5)
    for _ in range(100):
        fleet.call()

    assert fleet.ejections == ["c"]
    assert fleet.calls["c"] <= 8


def test_replica_that_is_well_again_is_used_again_after_a_trial() -> None:
    fleet = Fleet(a=0.02, b=0.5)
    while not fleet.replicas.ejected:
        fleet.call()
    fleet.seconds["b"] = 0.02
    fleet.now += 5

    assert fleet.call() == "b"
    assert fleet.replicas.ejected == []
    assert {fleet.call(), fleet.call()} == {"a", "b"}


def test_replica_that_is_still_slow_is_tried_ever_more_rarely() -> None:
    fleet = Fleet(a=0.02, b=0.5)
    while not fleet.replicas.ejected:
        fleet.call()
    before, since = fleet.calls["b"], fleet.now
    while fleet.now < since + 70:
        fleet.now += 0.1
        fleet.call()

    assert fleet.calls["b"] - before <= 4  # after 5, 10, 20 and 40 seconds
    assert fleet.ejections == ["b"]


def test_replicas_that_are_all_slow_are_all_used() -> None:
    fleet = Fleet(a=0.02, b=0.02, c=0.02)
    for _ in range(30):
        fleet.call()
    fleet.seconds = dict.fromkeys("abc", 2.0)
    for _ in range(60):
        fleet.call()

    assert fleet.replicas.ejected == []


def test_replica_that_hangs_is_ejected_when_the_next_call_comes() -> None:
    fleet = Fleet(a=0.02, b=0.02)
    for _ in range(40):
        fleet.call()
    stuck = fleet.hang()
    fleet.now += 0.6

    assert {fleet.call() for _ in range(10)} == {"a", "b"} - {stuck.address}


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        ("127.0.0.1:50051", None),
        ("localhost:50051", None),
        ("[::1]:50051", None),
        ("embed:50051", ("embed", 50051)),
        ("dns:///embed.trivium.svc:50051", ("embed.trivium.svc", 50051)),
        ("dns://127.0.0.1:53/embed:50051", None),
        ("unix:/run/embed.sock", None),
        ("ipv4:127.0.0.1:1", None),
        ("ipv4:127.0.0.1:1,127.0.0.1:2", ["127.0.0.1:1", "127.0.0.1:2"]),
    ],
)
def test_target_has_several_addresses_where_that_can_be_known(target: str, addresses: Any) -> None:
    assert addresses_of(target) == addresses


class SlowServicer(RerankServiceServicer):
    """Takes as long as it is told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    async def Rerank(self, request: Any, context: Any) -> pb.RerankResponse:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        return pb.RerankResponse(token_count=1)

    async def GetModel(self, request: Any, context: Any) -> pb.GetModelResponse:
        return pb.GetModelResponse()


@asynccontextmanager
async def serving(count: int) -> AsyncIterator[tuple[list[SlowServicer], list[GrpcServer], grpc.aio.Channel]]:
    """Servers, and a channel to all of them that is connected."""
    async with AsyncExitStack() as stack:
        servicers, servers, ports = [], [], []
        for _ in range(count):
            server = GrpcServer(
                service="rerank",
                listen="127.0.0.1:0",
                full_names=("trivium.rerank.v1.RerankService",),
                registry=CollectorRegistry(),
            )
            servicer = SlowServicer()
            add_RerankServiceServicer_to_server(servicer, server.grpc)
            ports.append(await server.start())
            stack.push_async_callback(server.stop, 0)
            servicers.append(servicer)
            servers.append(server)
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        channel = await stack.enter_async_context(open_channel(target))
        await until_each_is_asked(channel, servicers)
        yield servicers, servers, channel


async def until_each_is_asked(channel: grpc.aio.Channel, servicers: list[SlowServicer]) -> None:
    """Asks until each has answered often enough to be known."""
    async with asyncio.timeout(30):
        while min(one.calls for one in servicers) < 8:
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=5)


async def test_slow_replica_behind_a_channel_costs_a_few_calls_only() -> None:
    async with serving(3) as (servicers, _, channel):
        servicers[0].seconds, before = 0.2, servicers[0].calls
        for _ in range(60):
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=5)

        assert isinstance(channel, SpreadChannel)
        assert len(channel.replicas.ejected) == 1
        assert servicers[0].calls - before < 20


async def test_call_of_a_replica_that_hangs_is_answered_by_another() -> None:
    async with serving(2) as (servicers, _, channel):
        servicers[0].seconds = 60
        begin = time.monotonic()
        answers = [await Stub(channel).Rerank(pb.RerankRequest(), timeout=30) for _ in range(10)]

        assert [one.token_count for one in answers] == [1] * 10
        assert time.monotonic() - begin < 10


async def test_replica_that_goes_away_loses_no_call() -> None:
    async with serving(2) as (servicers, servers, channel):
        calls = [asyncio.ensure_future(Stub(channel).Rerank(pb.RerankRequest(), timeout=10)) for _ in range(4)]
        await servers[0].stop(0)
        for _ in range(20):
            await Stub(channel).Rerank(pb.RerankRequest(), timeout=10)

        assert len(await asyncio.gather(*calls)) == 4
        assert servicers[1].calls > 20


async def test_call_that_is_cancelled_is_cancelled_where_it_is() -> None:
    async with serving(2) as (servicers, _, channel):
        for one in servicers:
            one.seconds = 60
        call = asyncio.ensure_future(Stub(channel).Rerank(pb.RerankRequest(), timeout=60))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
