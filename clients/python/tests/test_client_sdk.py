"""The SDK against a real gRPC server that says what the test tells it to."""

import dataclasses
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from inspect import ismodule
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2
from trivium_client import (
    AlreadyExists,
    Answer,
    AnswerDelta,
    AnswerSources,
    DeadlineExceeded,
    Degradation,
    FailedPrecondition,
    GatewayUnreachable,
    InternalError,
    InvalidRequest,
    Message,
    NotFound,
    Overloaded,
    TooLarge,
    Trivium,
    TriviumError,
    Unavailable,
    to_json,
)

SUMMARY = pb.AnswerResponse(
    summary=pb.AnswerSummary(
        answer="Blue [1].",
        answerable=True,
        citations=[pb.Citation(index=1, document_id="a", passage_id="p", page=3, heading=["Limits"])],
        passages=[pb.Passage(id="p", document_id="a", score=0.9)],
        timings=pb.StageTimings(embed_ms=1.5, total_ms=9),
        degraded=[
            degradation_pb2.Degradation(
                stage=degradation_pb2.STAGE_SEARCH_DENSE,
                reason=degradation_pb2.DEGRADATION_REASON_TIMEOUT,
                fallback="sparse",
            )
        ],
        model="extractive",
    )
)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD", InvalidRequest),
        ("INVALID_ARGUMENT", "DOCUMENT_TOO_LARGE", TooLarge),
        ("NOT_FOUND", "COLLECTION_NOT_FOUND", NotFound),
        ("ALREADY_EXISTS", "ALREADY_EXISTS", AlreadyExists),
        ("FAILED_PRECONDITION", "MODEL_CHANGED", FailedPrecondition),
        ("RESOURCE_EXHAUSTED", "OVERLOADED", Overloaded),
        ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE", Unavailable),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", DeadlineExceeded),
        ("INTERNAL", "INTERNAL", InternalError),
        ("INVALID_ARGUMENT", "", InvalidRequest),
        ("RESOURCE_EXHAUSTED", "", TooLarge),
        ("UNAVAILABLE", "", GatewayUnreachable),
        ("UNKNOWN", "", InternalError),
    ],
)
def test_error_of_each_code_becomes_its_exception(
    gateway: Any, refusal: Any, code: str, reason: str, kind: type[TriviumError]
) -> None:
    gateway.will("GetStatus", refusal(grpc.StatusCode[code], "so ist es", reason))

    with pytest.raises(TriviumError) as caught, Trivium(gateway.address) as trivium:
        trivium.status()

    assert type(caught.value) is kind
    assert "so ist es" in str(caught.value)
    if reason:
        assert caught.value.reason == reason
        assert caught.value.metadata == {"limit": "7"}


def test_error_details_are_read(gateway: Any, refusal: Any) -> None:
    busy = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "voll", "OVERLOADED", retry_seconds=2.5)
    gateway.will("Retrieve", busy, refusal(grpc.StatusCode.INVALID_ARGUMENT, "nein", "INVALID_FIELD", field="top_n"))

    with Trivium(gateway.address, retries=0) as trivium:
        with pytest.raises(Overloaded) as overloaded:
            trivium.retrieve("x")
        with pytest.raises(InvalidRequest) as invalid:
            trivium.retrieve("x")

    assert overloaded.value.retry_after_seconds == 2.5
    assert invalid.value.field == "top_n"
    assert [overloaded.value.request_id, invalid.value.request_id] == gateway.request_ids


def test_call_without_a_gateway_says_how_to_start_one() -> None:
    with pytest.raises(
        GatewayUnreachable, match=r"cannot reach the gateway at 127\.0\.0\.1:1; start it with .trivium up"
    ):
        Trivium("127.0.0.1:1").status()


def test_call_over_its_timeout_says_how_long_it_waited(gateway: Any) -> None:
    blocked = threading.Event()
    gateway.will("GetStatus", lambda _: blocked.wait(10) and None)

    with pytest.raises(DeadlineExceeded, match=r"did not answer within 0\.1 seconds"):
        Trivium(gateway.address, timeout_seconds=0.1).status()

    blocked.set()


@pytest.mark.parametrize("address", ["localhost", "http://localhost:50050", ":50050", "localhost:port"])
def test_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="give HOST:PORT"):
        Trivium(address)


def test_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_GATEWAY", "elsewhere:7")

    assert Trivium().address == "elsewhere:7"
    assert Trivium("here:8").address == "here:8"


def test_answer_streams_sources_text_and_summary(gateway: Any) -> None:
    gateway.will(
        "Answer",
        pb.AnswerResponse(sources=pb.Sources(passages=[pb.Passage(id="p")])),
        pb.AnswerResponse(delta=pb.AnswerDelta(text="Blue [1].", citations=[pb.Citation(index=1)])),
        pb.AnswerResponse(),  # an event of a later version
        SUMMARY,
    )

    with Trivium(gateway.address) as trivium:
        events = list(trivium.ask_stream("colour?", history=[Message("user", "hi")], mode="extractive", top_n=3))

    assert [type(event) for event in events] == [AnswerSources, AnswerDelta, Answer]
    answer = events[-1]
    assert isinstance(answer, Answer)
    assert answer.degraded == (Degradation("search.dense", "timeout", "sparse"),)
    assert answer.confidence is None
    assert (answer.timings.embed, answer.timings.rerank) == (1.5, None)
    assert answer.passages[0].score == 0.9
    (request,) = gateway.requests
    assert (request.question, request.mode, request.top_n) == ("colour?", pb.ANSWER_MODE_EXTRACTIVE, 3)
    assert not request.HasField("candidates")


def test_answer_that_is_dropped_is_cancelled(gateway: Any) -> None:
    cancelled = threading.Event()
    gateway.will("Answer", pb.AnswerResponse(delta=pb.AnswerDelta(text="a")), lambda _: cancelled.wait(10) and SUMMARY)
    original = gateway._outcome

    def outcome(name: str, request: Any, context: Any) -> Any:
        context.add_callback(cancelled.set)
        return original(name, request, context)

    gateway._outcome = outcome
    with Trivium(gateway.address) as trivium:
        events = trivium.ask_stream("x")
        next(events)
        events.close()

        assert cancelled.wait(5)


def test_answer_that_breaks_off_is_an_error(gateway: Any, refusal: Any) -> None:
    gateway.will("Answer", pb.AnswerResponse(delta=pb.AnswerDelta(text="a")))
    with Trivium(gateway.address) as trivium, pytest.raises(InternalError, match="without its summary"):
        trivium.ask("x")


def test_documents_are_listed_over_all_pages(gateway: Any) -> None:
    gateway.will(
        "ListDocuments",
        pb.ListDocumentsResponse(documents=[pb.Document(id="a"), pb.Document(id="b")], next_page_token="2"),
        pb.ListDocumentsResponse(documents=[], next_page_token="3"),
        pb.ListDocumentsResponse(documents=[pb.Document(id="c")]),
    )

    with Trivium(gateway.address) as trivium:
        assert [document.id for document in trivium.list_documents(collection="x", page_size=2)] == ["a", "b", "c"]

    assert [request.page_token for request in gateway.requests] == ["", "2", "3"]
    assert {(request.collection, request.page_size) for request in gateway.requests} == {("x", 2)}


def test_metadata_keeps_whole_numbers_whole(gateway: Any) -> None:
    document = pb.Document(id="a", text="t")
    document.metadata.update({"year": 2020, "score": 0.5, "tags": ["a", 1], "ok": True})
    gateway.will("GetDocument", pb.GetDocumentResponse(document=document))

    with Trivium(gateway.address) as trivium:
        metadata = trivium.get_document("a").metadata

    assert metadata == {"year": 2020, "score": 0.5, "tags": ["a", 1], "ok": True}
    assert isinstance(metadata["year"], int)
    assert metadata["ok"] is True


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda trivium: trivium.ask("x", mode="magic"), "mode"),
        (lambda trivium: trivium.ask("x", history=[Message("robot", "x")]), "history.role"),  # type: ignore[arg-type]
        (lambda trivium: trivium.retrieve("x", filter={"metadata.x": object()}), "filter"),
    ],
)
def test_argument_that_the_contract_cannot_say_is_refused(call: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        call(Trivium("127.0.0.1:1"))

    assert caught.value.field == field


def test_filter_takes_dates_filters_and_none(gateway: Any) -> None:
    gateway.will("Retrieve", pb.RetrieveResponse())

    with Trivium(gateway.address) as trivium:
        due = {"lt": date(2026, 1, 31), "gte": datetime(2026, 1, 1, 12, tzinfo=UTC)}
        trivium.retrieve("x", filter={"metadata.due": due, "any": ({"metadata.a": None}, {"metadata.b": (1, 2)})})

    (request,) = gateway.requests
    assert MessageToDict(request.filter) == {
        "metadata.due": {"lt": "2026-01-31", "gte": "2026-01-01T12:00:00+00:00"},
        "any": [{"metadata.a": None}, {"metadata.b": [1.0, 2.0]}],
    }


def test_json_is_that_of_the_http_interface(gateway: Any) -> None:
    gateway.will("Answer", SUMMARY)
    indexed = pb.DocumentResult(id="a", status=pb.DOCUMENT_STATUS_INDEXED, chunk_count=2)
    gateway.will("IngestDocuments", pb.IngestDocumentsResponse(documents=[indexed]))

    with Trivium(gateway.address) as trivium:
        body = to_json(trivium.ask("x"))
        (result,) = to_json(trivium.ingest([{"text": "x"}]))

    assert set(body) == {
        *("answer", "answerable", "confidence", "citations", "passages"),
        *("timings", "degraded", "usage", "model", "request_id", "dropped_passages"),
        *("stages", "search_query", "queries", "reason", "refused", "unsupported", "cached"),
    }
    assert set(body["timings"]) == {"embed", "search", "rerank", "generate", "total"}
    assert body["degraded"] == [{"stage": "search.dense", "reason": "timeout", "fallback": "sparse"}]
    assert set(body["citations"][0]) == {
        *("index", "document_id", "passage_id", "title", "uri", "span", "answer_span"),
        *("page", "heading", "sentence", "support", "verdict", "quote", "boxes", "collection"),
    }
    weights = {"dense_weight", "rerank_weight"}
    assert set(body["passages"][0]["scores"]) == {
        *("dense", "sparse", "learned", "fused", "rerank", "maxsim", "coverage", "calibrated", "calibration"),
        *weights,
    }
    assert result == {"id": "a", "status": "indexed", "chunks": 2}


def test_passages_tell_their_duplicates_and_weights_and_collapsing_can_be_declined(gateway: Any) -> None:
    scores = pb.PassageScores(dense=0.5, dense_weight=0, rerank_weight=0.5)
    gateway.will("Retrieve", pb.RetrieveResponse(passages=[pb.Passage(id="p", duplicates=["b", "c"], scores=scores)]))

    with Trivium(gateway.address) as trivium:
        [passage] = trivium.retrieve("x", collapse=False).passages

    assert passage.duplicates == ("b", "c")
    assert (passage.scores.dense_weight, passage.scores.rerank_weight, passage.scores.sparse) == (0, 0.5, None)
    assert (gateway.requests[-1].HasField("collapse"), gateway.requests[-1].collapse) == (True, False)


def test_public_names_exist_and_results_are_frozen() -> None:
    import trivium_client

    for name in trivium_client.__all__:
        value: Any = getattr(trivium_client, name)
        if dataclasses.is_dataclass(value):
            assert vars(value)["__dataclass_params__"].frozen, name
    public = {name for name, value in vars(trivium_client).items() if not name.startswith("_") and not ismodule(value)}
    assert public == set(trivium_client.__all__)
    assert trivium_client.__all__ == sorted(trivium_client.__all__)


def test_import_of_the_sdk_needs_no_service_and_no_terminal() -> None:
    code = "import sys, trivium_client; print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    foreign = ["trivium_serving", "trivium_gateway", "typer", "rich", "numpy", "qdrant_client"]

    shown = subprocess.run([sys.executable, "-c", code, *foreign], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"
