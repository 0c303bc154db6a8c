"""Ingestion through the SDK: batches, order, repetition, documents that fail alone."""

import hashlib
import threading
from collections import defaultdict
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import (
    DocumentResult,
    GatewayUnreachable,
    IngestProgress,
    NewDocument,
    NotFound,
    Overloaded,
    Trivium,
    TriviumError,
)
from trivium_client._batches import MAX_DOCUMENT_BYTES
from trivium_client._channel import ChannelSettings
from trivium_client._connection import Connection
from trivium_client._ingestion import Ingestion


def echo(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
    """Indexes everything."""
    return pb.IngestDocumentsResponse(
        documents=[
            pb.DocumentResult(id=document.id, status=pb.DOCUMENT_STATUS_INDEXED, chunk_count=1)
            for request in requests
            for document in request.documents
        ]
    )


def documents(count: int) -> list[NewDocument]:
    return [NewDocument(f"text {number}", id=str(number)) for number in range(count)]


def ingest_patiently(
    address: str, count: int, waits: list[float], patience_seconds: float = 60
) -> list[DocumentResult]:
    """Ingests one document a batch, where waiting is instant; `waits` gets how long it would have been."""
    with Connection(ChannelSettings.resolve(address, retries=0), sleep=waits.append) as connection:
        ingestion = Ingestion(
            connection,
            collection="",
            batch_size=1,
            concurrency=1,
            timeout_seconds=10,
            patience_seconds=patience_seconds,
        )
        return list(ingestion.run(documents(count)))


def test_ingest_sends_batches_and_answers_in_order(gateway: Any) -> None:
    gateway.will("IngestDocuments", *[echo] * 3)
    progress: list[IngestProgress] = []

    with Trivium(gateway.address) as trivium:
        results = trivium.ingest(documents(5), collection="c", batch_size=2, on_progress=progress.append)

    assert [result.id for result in results] == ["0", "1", "2", "3", "4"]
    assert sorted(len(request[0].documents) for request in gateway.requests) == [1, 2, 2]
    assert {request[0].collection for request in gateway.requests} == {"c"}
    assert progress[-1] == IngestProgress(5, 0)


def test_ingest_begins_with_small_batches_that_grow(gateway: Any) -> None:
    gateway.will("IngestDocuments", *[echo] * 4)

    with Trivium(gateway.address) as trivium:
        trivium.ingest(documents(60), batch_size=20, concurrency=1)

    assert [len(request[0].documents) for request in gateway.requests] == [8, 16, 20, 16]


def test_ingest_of_nothing_calls_nobody(gateway: Any) -> None:
    with Trivium(gateway.address) as trivium:
        assert trivium.ingest([]) == []
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"text": "x", "colour": "red"}, "no field 'colour'"),
        ({"text": 5}, "text is int"),
        ({"id": "bad"}, "needs either text or data"),
        (NewDocument("x", data=b"x"), "needs either text or data"),
        (NewDocument("x", metadata={"when": object()}), "metadata may hold"),
        (NewDocument("lone \ud800 surrogate"), "not text"),
        (NewDocument(data=b"x" * (MAX_DOCUMENT_BYTES + 1)), "split it"),
    ],
)
def test_ingest_of_a_document_that_cannot_be_sent_fails_it_alone(gateway: Any, document: Any, message: str) -> None:
    gateway.will("IngestDocuments", echo)

    with Trivium(gateway.address) as trivium:
        results = trivium.ingest([{"text": "a", "id": "1"}, document, {"text": "b", "id": "2"}])

    assert [result.status for result in results] == ["indexed", "failed", "indexed"]
    assert [results[0].id, results[2].id] == ["1", "2"]
    assert results[1].error is not None
    assert message in results[1].error.message


def test_ingest_of_refused_documents_only_calls_nobody(gateway: Any) -> None:
    with Trivium(gateway.address) as trivium:
        results = trivium.ingest([{"id": "bad"}])
    assert [(result.id, result.status) for result in results] == [("bad", "failed")]


def test_ingest_repeats_a_batch_that_the_gateway_cannot_take_now(gateway: Any, refusal: Any) -> None:
    busy = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", retry_seconds=3)
    loading = refusal(grpc.StatusCode.UNAVAILABLE, "loading", "LOADING")
    gateway.will("IngestDocuments", busy, loading, echo)
    waits: list[float] = []

    (result,) = ingest_patiently(gateway.address, 1, waits)

    assert result.status == "indexed"
    assert waits == [3, 1]


def test_ingest_gives_up_when_its_patience_ends(gateway: Any, refusal: Any) -> None:
    busy = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", retry_seconds=30)
    gateway.will("IngestDocuments", busy)
    waits: list[float] = []

    with pytest.raises(Overloaded):
        ingest_patiently(gateway.address, 1, waits, patience_seconds=10)

    assert waits == []


def test_ingest_without_a_gateway_ends_at_once() -> None:
    waits: list[float] = []

    with pytest.raises(GatewayUnreachable):
        ingest_patiently("127.0.0.1:1", 1, waits)

    assert waits == []


def test_ingest_goes_on_when_a_gateway_that_was_there_comes_back(gateway: Any, refusal: Any) -> None:
    gone = refusal(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    gateway.will("IngestDocuments", echo, gone, echo)
    waits: list[float] = []

    results = ingest_patiently(gateway.address, 2, waits)

    assert [result.id for result in results] == ["0", "1"]
    assert waits == [0.5]


def test_ingest_into_an_unknown_collection_raises(gateway: Any, refusal: Any) -> None:
    gateway.will("IngestDocuments", refusal(grpc.StatusCode.NOT_FOUND, "no such collection", "COLLECTION_NOT_FOUND"))
    with Trivium(gateway.address) as trivium, pytest.raises(NotFound):
        trivium.ingest(documents(1), collection="x")


def test_ingest_with_too_few_results_raises(gateway: Any) -> None:
    gateway.will("IngestDocuments", pb.IngestDocumentsResponse())
    with Trivium(gateway.address) as trivium, pytest.raises(TriviumError, match="answered 0 of 1"):
        trivium.ingest(documents(1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"id": "a", "text": "old"}, {"id": "a", "text": "new"}),
        ({"uri": "https://example.org/ü", "text": "old"}, {"uri": "https://example.org/ü", "text": "new"}),
        ({"uri": "u", "text": "old"}, {"id": hashlib.sha256(b"u").hexdigest()[:32], "text": "new"}),
        ({"text": "new", "title": "old"}, {"text": "new", "title": "new"}),
    ],
    ids=["id", "uri", "uri and its id", "content"],
)
def test_ingest_of_two_versions_of_a_document_sends_the_later_one_later(
    gateway: Any, old: dict[str, Any], new: dict[str, Any]
) -> None:
    seen: list[str] = []
    begun: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def index(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
        version = requests[0].documents[0].title or requests[0].documents[0].text
        seen.append(f"begin {version}")
        begun[version].set()
        if version == "old":
            begun["new"].wait(0.5)  # which must not come
        response = echo(requests)
        seen.append(f"end {version}")
        return response

    gateway.will("IngestDocuments", index, index)

    with Trivium(gateway.address) as trivium:
        trivium.ingest([old, new], batch_size=1, concurrency=2)

    assert seen == ["begin old", "end old", "begin new", "end new"]


def test_ingest_stream_reads_documents_as_they_are_needed(gateway: Any) -> None:
    gateway.will("IngestDocuments", *[echo] * 100)
    read: list[int] = []

    def endless() -> Any:
        for number in range(1_000_000):
            read.append(number)
            yield NewDocument("x", id=str(number))

    with Trivium(gateway.address) as trivium:
        results = trivium.ingest_stream(endless(), batch_size=1, concurrency=2)
        for _ in range(3):
            next(results)
        results.close()

    assert len(read) < 10
