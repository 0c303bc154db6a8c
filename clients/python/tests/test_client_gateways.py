"""Several gateways behind one client: one that stops without ending costs its callers about a second, and no answer."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import AsyncTrivium, GatewayUnreachable, InvalidRequest, Trivium
from trivium_client._spread import SpreadChannel

from .conftest import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import ScriptedGateway

_KNOWN_SECONDS = 0.85
_PATIENCE_SECONDS = 8.0
"""For a machine that others use up; gRPC's own watch takes fifteen."""


class Relay:
    """Leads connections to a server; frozen, it takes them and sends nothing on, as a stopped process does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.frozen = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        with selectors.DefaultSelector() as ready, self._listener:
            ready.register(self._listener, selectors.EVENT_READ)
            while not self._ended.is_set():
                if self.frozen.is_set():
                    self._ended.wait(0.01)
                    continue
                for key, _ in ready.select(0.05):
                    if key.fileobj is self._listener:
                        near, far = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._port))
                        other |= {near: far, far: near}
                        for one in (near, far):
                            ready.register(one, selectors.EVENT_READ)
                        continue
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    try:
                        other[source].sendall(source.recv(1 << 16))
                    except OSError:
                        ready.unregister(source)
            for one in other:
                one.close()


@pytest.fixture
def relays(gateway: ScriptedGateway) -> Iterator[list[Relay]]:
    passage = pb.Passage(document_id="heron")
    gateway.will("Retrieve", *[pb.RetrieveResponse(passages=[passage])] * 200)
    gateway.will("CreateCollection", *[pb.CreateCollectionResponse()] * 20)
    gateway.will("Answer", *[pb.AnswerResponse(summary=pb.AnswerSummary(answer="Fish."))] * 20)
    some = [Relay(int(gateway.address.rpartition(":")[2])) for _ in range(2)]
    yield some
    for one in some:
        one.end()


def _address(relays: list[Relay]) -> str:
    return ", ".join(one.address for one in relays)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.monotonic()
    call()
    return time.monotonic() - begin


def test_stopped_gateway_costs_no_call_more_than_the_time_until_it_is_noticed(relays: list[Relay]) -> None:
    with Trivium(_address(relays)) as trivium:
        for _ in range(4):
            trivium.retrieve("herons?")
        relays[0].frozen.set()
        first = [_seconds(lambda: trivium.retrieve("herons?")) for _ in range(2)]
        later = [_seconds(lambda: trivium.retrieve("herons?")) for _ in range(6)]
        assert max(first) < _PATIENCE_SECONDS
        assert max(later) < _KNOWN_SECONDS + _PATIENCE_SECONDS / 4
        assert [one.document_id for one in trivium.retrieve("herons?").passages]

        relays[0].frozen.clear()
        channel = trivium._connection._channel
        assert isinstance(channel, SpreadChannel)
        gateways = channel.gateways
        end = time.monotonic() + 30
        while any(one.is_silent for one in gateways.all):
            assert time.monotonic() < end, "it was not taken back"
            trivium.retrieve("herons?")
            time.sleep(0.01)  # a quick machine would use up what the gateway has to say
        assert {gateways.next().address for _ in range(2)} == {one.address for one in relays}


def test_answer_that_breaks_off_is_asked_for_again_and_a_stream_of_it_is_not(gateway: ScriptedGateway) -> None:
    begun = pb.AnswerResponse(sources=pb.Sources())
    broken, whole = (
        Refusal(grpc.StatusCode.UNAVAILABLE, "gone"),
        pb.AnswerResponse(summary=pb.AnswerSummary(answer="Fish.")),
    )
    gateway.will("Answer", begun, broken, begun, whole, begun, broken)
    with Trivium(gateway.address) as trivium:
        assert trivium.ask("herons?").answer == "Fish."
        with pytest.raises(GatewayUnreachable):
            list(trivium.ask_stream("herons?"))


def test_stream_that_has_not_begun_is_made_elsewhere(relays: list[Relay]) -> None:
    with Trivium(_address(relays)) as trivium:
        for _ in range(2):
            trivium.ask("herons?")
        relays[1].frozen.set()
        assert all(trivium.ask("herons?").answer for _ in range(3))


def test_gateway_that_is_gone_is_passed_over(relays: list[Relay]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"127.0.0.1:{listener.getsockname()[1]}"
    with Trivium(f"{gone},{relays[0].address}") as trivium:
        assert all(trivium.retrieve("herons?").passages for _ in range(4))


def test_gateways_that_all_stand_still_are_waited_for(relays: list[Relay]) -> None:
    with Trivium(_address(relays)) as trivium:
        trivium.retrieve("herons?")
        for one in relays:
            one.frozen.set()
        for one in relays:
            threading.Timer(1.2, one.frozen.clear).start()
        assert trivium.retrieve("herons?").passages


async def test_stopped_gateway_costs_asyncio_no_more_either(relays: list[Relay]) -> None:
    async with AsyncTrivium(_address(relays)) as trivium:
        await asyncio.gather(*(trivium.retrieve("herons?") for _ in range(4)))
        relays[0].frozen.set()
        begin = time.monotonic()
        found = await asyncio.gather(*(trivium.retrieve("herons?") for _ in range(6)))
        assert time.monotonic() - begin < _PATIENCE_SECONDS
        assert all(one.passages for one in found)
        assert (await trivium.ask("herons?")).answer


def test_call_that_may_not_be_repeated_says_that_the_gateway_fell_silent(relays: list[Relay]) -> None:
    with Trivium(_address(relays)) as trivium:
        trivium.retrieve("herons?")
        relays[0].frozen.set()
        refused = []
        for _ in range(2):
            try:
                trivium.create_collection("new")
            except GatewayUnreachable as error:
                refused.append(str(error))
        assert len(refused) == 1
        assert "has stopped answering" in refused[0]


@pytest.mark.parametrize("address", ["a:1,", "a:1,b", ",", "a:1,u@b:2", ",".join(["a:1"] * 17)])
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(InvalidRequest):
        Trivium(address)
