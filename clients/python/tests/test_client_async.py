"""The asynchronous SDK against a real gRPC server that says what the test tells it to."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import (
    Answer,
    AnswerDelta,
    AnswerSources,
    AsyncTrivium,
    Cancelled,
    GatewayUnreachable,
    IngestProgress,
    InternalError,
    InvalidRequest,
    NewDocument,
    NotFound,
    Overloaded,
    Trivium,
)

SOURCES = pb.AnswerResponse(sources=pb.Sources(passages=[pb.Passage(id="p")]))
DELTA = pb.AnswerResponse(delta=pb.AnswerDelta(text="Blue [1].", citations=[pb.Citation(index=1)]))
SUMMARY = pb.AnswerResponse(summary=pb.AnswerSummary(answer="Blue [1].", answerable=True))


def echo(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
    """Indexes everything."""
    return pb.IngestDocumentsResponse(
        documents=[
            pb.DocumentResult(id=document.id, status=pb.DOCUMENT_STATUS_INDEXED, chunk_count=1)
            for request in requests
            for document in request.documents
        ]
    )


async def arriving(count: int, read: list[int] | None = None) -> AsyncIterator[NewDocument]:
    """Documents that come one by one."""
    for number in range(count):
        await asyncio.sleep(0)
        if read is not None:
            read.append(number)
        yield NewDocument(f"text {number}", id=str(number))


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    def methods(kind: type) -> dict[str, list[tuple[str, Any]]]:
        return {
            name: [(parameter.name, parameter.default) for parameter in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert methods(AsyncTrivium) == methods(Trivium)
    assert all(inspect.getdoc(getattr(AsyncTrivium, name)) for name in methods(AsyncTrivium))


async def test_answer_streams_sources_text_and_summary(gateway: Any) -> None:
    gateway.will("Answer", SOURCES, DELTA, pb.AnswerResponse(), SUMMARY, SUMMARY)

    async with AsyncTrivium(gateway.address) as trivium:
        events = [event async for event in trivium.ask_stream("colour?", top_n=3)]
        gateway.will("Answer", DELTA, SUMMARY)
        answer = await trivium.ask("colour?")

    assert [type(event) for event in events][:3] == [AnswerSources, AnswerDelta, Answer]
    assert answer.answer == "Blue [1]."
    assert gateway.requests[0].top_n == 3


async def test_answer_without_summary_is_an_error(gateway: Any) -> None:
    gateway.will("Answer", DELTA)
    async with AsyncTrivium(gateway.address) as trivium:
        with pytest.raises(InternalError, match="without its summary"):
            await trivium.ask("x")


@pytest.mark.parametrize("by", ["closing the iterator", "cancelling the task"])
async def test_answer_that_is_given_up_is_cancelled_in_the_gateway(gateway: Any, by: str) -> None:
    cancelled = threading.Event()
    gateway.will("Answer", DELTA, lambda _: cancelled.wait(10) and SUMMARY)
    original = gateway._outcome

    def outcome(name: str, request: Any, context: Any) -> Any:
        context.add_callback(cancelled.set)
        return original(name, request, context)

    gateway._outcome = outcome
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(trivium.ask_stream("x")) as events:
            async for _ in events:
                begun.set()
                if by == "closing the iterator":
                    break

    async with AsyncTrivium(gateway.address) as trivium:
        reading = asyncio.create_task(read())
        await begun.wait()
        if by == "cancelling the task":
            reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled() == (by == "cancelling the task")
        assert await asyncio.to_thread(cancelled.wait, 5)


async def test_documents_are_listed_over_all_pages(gateway: Any) -> None:
    gateway.will(
        "ListDocuments",
        pb.ListDocumentsResponse(documents=[pb.Document(id="a"), pb.Document(id="b")], next_page_token="2"),
        pb.ListDocumentsResponse(documents=[pb.Document(id="c")]),
    )
    async with AsyncTrivium(gateway.address) as trivium:
        listed = [document.id async for document in trivium.list_documents(collection="x", page_size=2)]

    assert listed == ["a", "b", "c"]
    assert [request.page_token for request in gateway.requests] == ["", "2"]


async def test_error_details_are_read(gateway: Any, refusal: Any) -> None:
    gateway.will("Retrieve", refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "voll", "OVERLOADED", retry_seconds=2.5))
    gateway.will("GetStatus", refusal(grpc.StatusCode.INVALID_ARGUMENT, "nein", "INVALID_FIELD", field="top_n"))

    async with AsyncTrivium(gateway.address, retries=0) as trivium:
        with pytest.raises(Overloaded, match="voll") as overloaded:
            await trivium.retrieve("x")
        with pytest.raises(InvalidRequest) as invalid:
            await trivium.status()

    assert overloaded.value.retry_after_seconds == 2.5
    assert overloaded.value.metadata == {"limit": "7"}
    assert (invalid.value.reason, invalid.value.field) == ("INVALID_FIELD", "top_n")
    assert [overloaded.value.request_id, invalid.value.request_id] == gateway.request_ids


async def test_call_without_a_gateway_says_how_to_start_one() -> None:
    async with AsyncTrivium("127.0.0.1:1") as trivium:
        with pytest.raises(GatewayUnreachable, match=r"start it with .trivium up"):
            await trivium.status()


async def test_ingest_takes_documents_as_they_arrive_and_shows_progress(gateway: Any) -> None:
    gateway.will("IngestDocuments", *[echo] * 6)
    progress: list[IngestProgress] = []

    async def shown(state: IngestProgress) -> None:
        progress.append(state)

    async with AsyncTrivium(gateway.address) as trivium:
        arrived = await trivium.ingest(arriving(60), collection="c", batch_size=20, on_progress=shown)
        given = await trivium.ingest([{"text": "a", "id": "1"}, {"id": "bad"}], on_progress=progress.append)

    assert [result.id for result in arrived] == [str(number) for number in range(60)]
    assert sorted(len(request[0].documents) for request in gateway.requests) == [1, 8, 16, 16, 20]
    assert [result.status for result in given] == ["indexed", "failed"]
    assert progress[59] == IngestProgress(60, 0)
    assert progress[-1] == IngestProgress(2, 1)


async def test_ingest_reads_documents_as_they_are_needed(gateway: Any) -> None:
    gateway.will("IngestDocuments", *[echo] * 100)
    read: list[int] = []

    async with (
        AsyncTrivium(gateway.address) as trivium,
        aclosing(trivium.ingest_stream(arriving(10**6, read), batch_size=1, concurrency=2)) as results,
    ):
        async for result in results:
            if result.id == "2":
                break

    assert len(read) < 10


async def test_ingest_repeats_what_the_gateway_cannot_take_and_raises_what_it_refuses(
    gateway: Any, refusal: Any
) -> None:
    busy = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", retry_seconds=0.1)
    gateway.will("IngestDocuments", busy, echo)

    async with AsyncTrivium(gateway.address) as trivium:
        assert [result.status for result in await trivium.ingest(arriving(1))] == ["indexed"]
        gateway.will("IngestDocuments", busy)
        with pytest.raises(Overloaded):
            await trivium.ingest(arriving(1), patience_seconds=0)
        missing = refusal(grpc.StatusCode.NOT_FOUND, "no such collection", "COLLECTION_NOT_FOUND")
        gateway.will("IngestDocuments", *[missing] * 3)
        with pytest.raises(NotFound):
            await trivium.ingest(arriving(3), collection="x", batch_size=1)


async def test_ingest_of_two_versions_of_a_document_sends_the_later_one_later(gateway: Any) -> None:
    seen: list[str] = []
    new_begun = threading.Event()

    def index(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
        seen.append(f"begin {requests[0].documents[0].text}")
        if seen[-1] == "begin old":
            new_begun.wait(0.5)  # which must not come
        else:
            new_begun.set()
        response = echo(requests)
        seen.append(f"end {requests[0].documents[0].text}")
        return response

    gateway.will("IngestDocuments", index, index)
    async with AsyncTrivium(gateway.address) as trivium:
        await trivium.ingest([{"uri": "u", "text": "old"}, {"uri": "u", "text": "new"}], batch_size=1, concurrency=2)

    assert seen == ["begin old", "end old", "begin new", "end new"]


async def test_closing_ends_what_runs_and_what_comes_later(gateway: Any) -> None:
    reached, blocked = threading.Event(), threading.Event()

    def stuck(_request: object) -> None:
        reached.set()
        blocked.wait(10)

    gateway.will("GetStatus", stuck)
    trivium = AsyncTrivium(gateway.address)
    running = asyncio.create_task(trivium.status())
    assert await asyncio.to_thread(reached.wait, 10)

    await trivium.close()

    with pytest.raises(Cancelled, match="this client is closed"):
        await running
    with pytest.raises(Cancelled, match="this client is closed"):
        await trivium.status()
    blocked.set()


def test_client_follows_to_the_next_event_loop_but_not_to_another_at_the_same_time(gateway: Any) -> None:
    gateway.will("GetStatus", *[pb.GetStatusResponse(ready=True)] * 3)
    trivium = AsyncTrivium(gateway.address)  # outside of any loop

    async def status() -> bool:
        return (await trivium.status()).ready

    async def two_loops() -> None:
        assert await status()
        with pytest.raises(InvalidRequest, match="another event loop"):
            await asyncio.to_thread(asyncio.run, status())

    assert asyncio.run(status())
    asyncio.run(two_loops())
