"""What the SDK sends again, when, and when it gives up; deadlines; and what closing does."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from faults.bad_link import BadLink
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import (
    AsyncTrivium,
    Cancelled,
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    TemporaryError,
    Trivium,
    TriviumError,
    Unavailable,
    _channel,
)
from trivium_client._errors import GatewayUnreachable
from trivium_client._retries import Attempts

FOUND = pb.RetrieveResponse(request_id="1")
WRITTEN = pb.AnswerResponse(summary=pb.AnswerSummary(answer="Blue."))


@pytest.fixture
def busy(refusal: Any) -> Callable[[float], Any]:
    def make(seconds: float) -> Any:
        return refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", retry_seconds=seconds)

    return make


async def retrieve(address: str, kind: type[Trivium | AsyncTrivium], **options: Any) -> str:
    """Asks by either client."""
    if kind is Trivium:
        with Trivium(address, **options) as trivium:
            return trivium.retrieve("x").request_id
    async with AsyncTrivium(address, **options) as asynchronous:
        return (await asynchronous.retrieve("x")).request_id


@pytest.mark.parametrize("kind", [Trivium, AsyncTrivium])
async def test_call_of_a_busy_gateway_is_sent_again_when_it_says(gateway: Any, busy: Any, kind: Any) -> None:
    gateway.will("Retrieve", busy(0.2), busy(0.1), FOUND)
    begin = time.monotonic()

    assert await retrieve(gateway.address, kind) == "1"

    assert time.monotonic() - begin >= 0.3
    assert len(gateway.requests) == 3
    assert len(set(gateway.request_ids)) == 1


async def test_connection_that_is_slow_to_come_about_is_waited_for(gateway: Any) -> None:
    gateway.will("Retrieve", FOUND)
    async with BadLink(int(gateway.address.rpartition(":")[2])).serving() as proxy:
        proxy.delay_seconds = 0.5  # as long as handshakes take on a busy machine

        assert await retrieve(f"127.0.0.1:{proxy.port}", AsyncTrivium, retries=0) == "1"

    assert proxy.connections == 1


async def test_stream_over_a_connection_that_is_forgotten_ends_long_before_its_deadline(
    gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_channel, "_PING_MS", 200)
    monkeypatch.setattr(_channel, "_PING_TIMEOUT_MS", 300)
    is_over = threading.Event()

    def late(request: Any) -> Any:
        is_over.wait(60)
        return WRITTEN

    gateway.will("Answer", pb.AnswerResponse(delta=pb.AnswerDelta(text="Bl")), late)
    async with (
        BadLink(int(gateway.address.rpartition(":")[2])).serving() as proxy,
        AsyncTrivium(f"127.0.0.1:{proxy.port}", retries=0) as trivium,
    ):
        events = trivium.ask_stream("Which colour?", timeout_seconds=50)
        assert await anext(events)
        proxy.silence()
        with pytest.raises(GatewayUnreachable):  # not DeadlineExceeded
            await anext(events)
    is_over.set()


@pytest.mark.parametrize("kind", [Trivium, AsyncTrivium])
async def test_call_that_may_not_return_before_its_deadline_fails_at_once(gateway: Any, busy: Any, kind: Any) -> None:
    gateway.will("Retrieve", busy(60))
    begin = time.monotonic()

    with pytest.raises(Overloaded) as raised:
        await retrieve(gateway.address, kind, timeout_seconds=30)

    assert time.monotonic() - begin < 20
    assert raised.value.retry_after_seconds == 60
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("kind", [Trivium, AsyncTrivium])
@pytest.mark.parametrize("retries", [0, 1, 2])
async def test_call_is_sent_again_as_often_as_was_said(gateway: Any, refusal: Any, kind: Any, retries: int) -> None:
    gateway.will("Retrieve", refusal(grpc.StatusCode.UNAVAILABLE, "draining", "UNAVAILABLE"))

    with pytest.raises(Unavailable):
        await retrieve(gateway.address, kind, retries=retries)

    assert len(gateway.requests) == 1 + retries


def test_answer_is_asked_for_again_only_before_it_began(gateway: Any, refusal: Any) -> None:
    gone = refusal(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    gateway.will("Answer", gone, pb.AnswerResponse(delta=pb.AnswerDelta(text="Bl")), gone, WRITTEN)

    with Trivium(gateway.address) as trivium:
        events = trivium.ask_stream("x")
        next(events)
        with pytest.raises(TemporaryError):
            next(events)

    assert len(gateway.requests) == 2


def test_call_that_changes_something_is_sent_again_only_if_it_was_refused(
    gateway: Any, refusal: Any, busy: Any
) -> None:
    deleted = pb.DeleteDocumentsResponse(deleted_ids=["a"])
    gateway.will("DeleteDocuments", busy(0.01), deleted, refusal(grpc.StatusCode.UNAVAILABLE, "Socket closed"))

    with Trivium(gateway.address) as trivium:
        assert trivium.delete_documents("a") == ["a"]
        with pytest.raises(GatewayUnreachable):
            trivium.delete_documents(["a"])

    assert [list(request.ids) for request in gateway.requests] == [["a"]] * 3


def test_deadline_is_for_all_attempts_together() -> None:
    attempts = Attempts(100, 0.3, repeatable=True)
    begin, pauses = time.monotonic(), 0
    while (pause := attempts.pause_seconds(Unavailable("loading"))) is not None:
        time.sleep(pause)
        pauses += 1

    assert pauses > 1
    assert time.monotonic() - begin < 0.3 or attempts.remaining_seconds() == 0


@pytest.mark.parametrize("kind", [Trivium, AsyncTrivium])
async def test_deadline_of_a_call_goes_before_that_of_the_client(gateway: Any, kind: Any) -> None:
    blocked = threading.Event()
    gateway.will("GetStatus", lambda _: blocked.wait(10) and None)
    client = kind(gateway.address, timeout_seconds=60)

    with pytest.raises(DeadlineExceeded, match=r"within 0\.1 seconds"):
        client.status(timeout_seconds=0.1) if kind is Trivium else await client.status(timeout_seconds=0.1)

    blocked.set()
    client.close() if kind is Trivium else await client.close()


@pytest.mark.parametrize(
    ("options", "field"), [({"timeout_seconds": 0}, "timeout"), ({"timeout_seconds": -1}, "timeout")]
)
def test_deadline_that_is_none_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as raised, Trivium("127.0.0.1:1") as trivium:
        trivium.status(**options)
    assert raised.value.field == field


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="retries is -1"):
        Trivium("127.0.0.1:1", retries=-1)
    with pytest.raises(InvalidRequest, match="batch_size is 0"), Trivium("127.0.0.1:1") as trivium:
        trivium.ingest([], batch_size=0)


def test_closed_client_says_so(gateway: Any) -> None:
    reached, blocked = threading.Event(), threading.Event()

    def stuck(_request: object) -> None:
        reached.set()
        blocked.wait(10)

    gateway.will("GetStatus", stuck)
    trivium = Trivium(gateway.address)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(trivium.status)
        assert reached.wait(10)
        trivium.close()
        errors: list[TriviumError | None] = [running.exception(10)]  # type: ignore[list-item]
    blocked.set()
    for call in (trivium.status, lambda: list(trivium.ask_stream("x")), lambda: trivium.ingest([{"text": "x"}])):
        with pytest.raises(Cancelled) as raised:
            call()
        errors.append(raised.value)

    assert {error.reason for error in errors if error is not None} == {"CLIENT_CLOSED"}
    assert len(errors) == 4


def test_client_is_shared_by_threads(gateway: Any) -> None:
    gateway.will("Retrieve", *[FOUND] * 40)
    with Trivium(gateway.address) as trivium, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: trivium.retrieve(f"question {number}"), range(40)))

    assert len(found) == len({request.query for request in gateway.requests}) == 40
