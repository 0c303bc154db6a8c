"""The command: exit statuses, standard output and standard error, JSON."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2
from trivium_client.cli.app import main
from trivium_client.cli.demo import DemoLog

Run = Callable[..., tuple[int, str, str]]

SUMMARY = pb.AnswerSummary(
    answer="It lasts two years [1].",
    answerable=True,
    citations=[pb.Citation(index=1, document_id="a.md")],
    passages=[
        pb.Passage(document_id="a.md", title="Warranty", uri="/docs/a.md", text="two years", score=0.93),
        pb.Passage(document_id="b.md", text="other", score=0.1),
    ],
    degraded=[
        degradation_pb2.Degradation(
            stage=degradation_pb2.STAGE_RERANK,
            reason=degradation_pb2.DEGRADATION_REASON_UNAVAILABLE,
            fallback="fused-order",
        )
    ],
)
ANSWER = (
    pb.AnswerResponse(sources=pb.Sources(passages=SUMMARY.passages)),
    pb.AnswerResponse(delta=pb.AnswerDelta(text="It lasts two ")),
    pb.AnswerResponse(delta=pb.AnswerDelta(text="years [1].", citations=SUMMARY.citations)),
    pb.AnswerResponse(summary=SUMMARY),
)


@pytest.fixture
def run(gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives exit status, standard output, standard error."""
    monkeypatch.setenv("TRIVIUM_GATEWAY", gateway.address)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trivium", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        status = ended.value.code or 0
        assert isinstance(status, int)
        return status, output.out, output.err

    return run


def index_all(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
    documents = [document for request in requests for document in request.documents]
    return pb.IngestDocumentsResponse(
        documents=[
            pb.DocumentResult(
                id=document.id,
                status=pb.DOCUMENT_STATUS_FAILED,
                error=pb.DocumentError(reason="EMPTY", message="there is no text"),
            )
            if document.HasField("file") and not document.file.data
            else pb.DocumentResult(id=document.id, status=pb.DOCUMENT_STATUS_INDEXED, chunk_count=1)
            for document in documents
        ]
    )


def test_ask_prints_answer_and_sources_and_says_what_was_degraded(gateway: Any, run: Run) -> None:
    gateway.will("Answer", *ANSWER)

    status, out, err = run("ask", "How long?", "-n", "2", "--filter", '{"metadata.year": 2020}', "-c", "docs")

    assert status == 0
    assert out.splitlines() == [
        "It lasts two years [1].",
        "",
        "Sources",
        "[1] 0.93 Warranty  /docs/a.md",
        "[2] 0.10 b.md",
    ]
    assert err == "warning: degraded: rerank was unavailable, so fused-order was used instead\n"
    (request,) = gateway.requests
    assert (request.top_n, request.collection, request.filter["metadata.year"]) == (2, "docs", 2020)


def test_ask_shows_below_a_refusal_what_came_nearest_and_no_sources(gateway: Any, run: Run) -> None:
    summary = pb.AnswerSummary(answer="Not there.", refused=True, passages=SUMMARY.passages[1:])
    delta = pb.AnswerDelta(text=summary.answer)
    gateway.will("Answer", pb.AnswerResponse(delta=delta), pb.AnswerResponse(summary=summary))

    assert run("ask", "How long?")[1].splitlines() == ["Not there.", "", "Nearest passages", "[1] 0.10 b.md"]


def test_ask_says_the_page_of_what_is_quoted_and_not_where_its_passage_begins(gateway: Any, run: Run) -> None:
    passages = [
        pb.Passage(document_id="a.pdf", title="Pump", page=4, heading=["Care"], text="first page", score=0.9),
        pb.Passage(document_id="b.pdf", title="Fan", page=7, heading=["Use"], text="other", score=0.1),
    ]
    boxes = [pb.Box(page=5, x0=1, y0=1, x1=9, y1=9)]
    citations = [pb.Citation(index=1, document_id="a.pdf", page=4, boxes=boxes), pb.Citation(index=2, page=7)]
    summary = pb.AnswerSummary(answer="So [1]. So [2].", answerable=True, citations=citations, passages=passages)
    gateway.will("Answer", pb.AnswerResponse(summary=summary))

    _, out, _ = run("ask", "How long?")

    assert out.splitlines()[-2:] == ["[1] 0.90 Pump, page 5  a.pdf", "[2] 0.10 Fan, page 7, Use  b.pdf"]


def test_ask_as_json_prints_json_only(gateway: Any, run: Run) -> None:
    gateway.will("Answer", *ANSWER)

    status, out, _ = run("ask", "How long?", "--json")

    body = json.loads(out)
    assert status == 0
    assert body["answer"] == SUMMARY.answer
    assert body["degraded"] == [{"stage": "rerank", "reason": "unavailable", "fallback": "fused-order"}]


def test_search_prints_passages(gateway: Any, run: Run) -> None:
    gateway.will("Retrieve", pb.RetrieveResponse(passages=SUMMARY.passages))

    status, out, _ = run("search", "warranty", "--no-rerank")

    assert status == 0
    assert out.splitlines() == ["[1] 0.93 Warranty  /docs/a.md", "    two years", "[2] 0.10 b.md", "    other"]
    assert gateway.requests[0].rerank is False


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD", 6),
        ("NOT_FOUND", "COLLECTION_NOT_FOUND", 5),
        ("ALREADY_EXISTS", "COLLECTION_EXISTS", 6),
        ("INTERNAL", "INTERNAL", 1),
        ("RESOURCE_EXHAUSTED", "OVERLOADED", 4),
        ("UNAVAILABLE", "UPSTREAM_UNAVAILABLE", 4),
        ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", 4),
        ("UNAVAILABLE", "", 3),
    ],
)
def test_error_decides_the_exit_status(
    gateway: Any, refusal: Any, run: Run, code: str, reason: str, status: int
) -> None:
    gateway.will("Retrieve", refusal(grpc.StatusCode[code], "not like this", reason, field="query"))

    actual, out, err = run("search", "x")

    assert (actual, out) == (status, "")
    assert err.startswith("error: ")
    assert "not like this" in err
    assert reason in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask",),
        ("ask", "x", "--top-n", "many"),
        ("ask", "x", "--filter", "{"),
        ("ask", "x", "--filter", "[]"),
        ("ask", "x", "--mode", "magic"),
        ("ingest", "/nowhere/at/all"),
        ("documents", "--json", "list"),
        ("collections", "delete", "x"),
        ("up", "--only", "nothing"),
        ("up", "--only", "embed", "--without", "embed"),
        ("fly",),
    ],
)
def test_wrong_usage_ends_with_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)

    assert (status, out) == (2, "")
    assert "Usage: trivium" in err or "usage" in err.lower()


def test_no_gateway_ends_with_status_3(run: Run) -> None:
    status, _, err = run("status", "--gateway", "127.0.0.1:1")

    assert status == 3
    assert "trivium up" in err


def test_demo_keeps_of_the_logs_what_did_not_go_well() -> None:
    log = DemoLog()
    for line in ("20:09:41 info    Collections/List OK 0.0 ms", "20:09:42 warning the disk is full"):
        log.on_line("qdrant", line)
    assert list(log.tail) == ["qdrant   | 20:09:42 warning the disk is full"]


@pytest.mark.parametrize("command", ["", "up", "ingest", "ask", "search", "status", "demo", "documents", "collections"])
def test_help_of_each_command_has_examples(run: Run, command: str) -> None:
    status, out, _ = run(*command.split(), "--help")

    assert status == 0
    assert "trivium" in out
    assert not command or "Examples" in out
    assert "<bool>" not in out, "a flag takes no value"
    assert "<list[" not in out
    assert "{" not in out.partition("Usage:")[2].partition("\n")[0]


def test_ingest_names_what_failed_and_ends_with_status_1(gateway: Any, run: Run, tmp_path: Path) -> None:
    gateway.will("IngestDocuments", index_all)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "good.md").write_text("text")
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "sound.wav").write_text("pass")

    status, out, err = run("ingest", str(tmp_path))

    assert status == 1
    assert out.startswith("1 indexed, 1 failed in ")
    assert err.splitlines() == [
        "warning: passed over 1 file of other types: 1 .wav",
        f"error: {tmp_path}/empty.md: there is no text (EMPTY)",
    ]


def test_ingest_as_json_has_a_result_per_document(gateway: Any, run: Run, tmp_path: Path) -> None:
    gateway.will("IngestDocuments", index_all)
    lines = tmp_path / "docs.jsonl"
    lines.write_text('{"id": "a", "text": "x"}\nnot json\n{"id": "b", "text": "y"}\n')

    status, out, err = run("ingest", "--json", str(lines))

    assert status == 1
    results = json.loads(out)["documents"]
    assert [(result["id"], result["status"]) for result in results] == [
        ("a", "indexed"),
        ("", "failed"),
        ("b", "indexed"),
    ]
    assert f"{lines}:2" in err


def test_documents_are_listed_printed_and_deleted(gateway: Any, run: Run) -> None:
    document = pb.Document(id="a b.md", title="A\nB", uri="u", chunk_count=3, text="the text", content_hash="h")
    gateway.will("ListDocuments", *[pb.ListDocumentsResponse(documents=[document])] * 2)
    gateway.will("GetDocument", pb.GetDocumentResponse(document=document))
    gateway.will("DeleteDocuments", pb.DeleteDocumentsResponse(deleted_ids=["a"]))

    assert run("documents") == (0, "a b.md\t3\tA B\tu\n", "")
    assert json.loads(run("documents", "list", "--json")[1])["documents"][0] == {
        "id": "a b.md",
        "title": "A\nB",
        "uri": "u",
        "metadata": {},
        "chunk_count": 3,
        "content_hash": "h",
        "container": "",
        "readers": [],
    }
    assert run("documents", "get", "a b.md") == (0, "the text\n", "")
    assert run("documents", "delete", "a", "b") == (5, "deleted a\n", "warning: there was no document b\n")


def test_collections_are_listed_created_and_deleted(gateway: Any, run: Run) -> None:
    collection = pb.Collection(name="docs", chunk_count=7, model="m", dimension=384)
    gateway.will("ListCollections", pb.ListCollectionsResponse(collections=[collection]))
    gateway.will("CreateCollection", pb.CreateCollectionResponse(collection=collection))
    gateway.will("DeleteCollection", pb.DeleteCollectionResponse())

    assert run("collections") == (0, "docs\t7\tm\tready\n", "")
    assert json.loads(run("collections", "create", "docs", "--json")[1])["dimension"] == 384
    assert run("collections", "delete", "docs", "--yes") == (0, "deleted docs\n", "")


def test_collection_that_is_damaged_is_listed_without_a_count_and_can_be_deleted(gateway: Any, run: Run) -> None:
    damaged = pb.Collection(name="docs", state=pb.COLLECTION_STATE_DAMAGED)
    listed = pb.ListCollectionsResponse(collections=[damaged])
    gateway.will("ListCollections", listed, listed)
    gateway.will("DeleteCollection", pb.DeleteCollectionResponse())

    assert run("collections") == (0, "docs\t?\t\tdamaged\n", "")
    (shown,) = json.loads(run("collections", "--json")[1])["collections"]
    assert (shown["state"], shown["chunk_count"]) == ("damaged", None)
    assert run("collections", "delete", "docs", "--yes") == (0, "deleted docs\n", "")


def test_status_tells_which_stage_is_missing(gateway: Any, run: Run) -> None:
    stages = [
        pb.StageStatus(stage="embed", ready=True, model="all-MiniLM-L6-v2"),
        pb.StageStatus(stage="rerank", ready=False, detail="not there"),
    ]
    gateway.will("GetStatus", pb.GetStatusResponse(ready=True, stages=stages), pb.GetStatusResponse(stages=stages))

    status, out, _ = run("status")
    not_ready_status, not_ready, _ = run("status")

    assert status == 0
    assert out.splitlines() == [
        f"{gateway.address} is ready, without 1 of its stages",
        "ok       embed     all-MiniLM-L6-v2",
        "missing  rerank      not there",
    ]
    assert not_ready_status == 1
    assert "is not ready" in not_ready


def test_ctrl_c_ends_an_answer_cleanly(gateway: Any) -> None:
    asked, over = threading.Event(), threading.Event()

    def wait(_: Any) -> pb.AnswerResponse:
        asked.set()
        over.wait(20)
        return pb.AnswerResponse()

    gateway.will("Answer", wait)
    command = [sys.executable, "-m", "trivium_client.cli.app", "ask", "x"]
    environment = os.environ | {"TRIVIUM_GATEWAY": gateway.address}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        signal.signal(signal.SIGINT, before)
        assert asked.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    over.set()

    assert process.returncode == 130
    assert (out, err) == (b"", b"")


def test_ingest_sends_metadata_of_the_command_line(gateway: Any, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A")
    gateway.will("IngestDocuments", index_all)

    status, _, err = run("ingest", "--metadata", "team=service", "--metadata", "year=2026", str(tmp_path))

    assert status == 0, err
    [document] = gateway.requests[0][0].documents
    assert dict(document.metadata) == {"team": "service", "year": 2026.0}
    assert (document.id, document.default_id, document.uri) == ("", "a.md", (tmp_path / "a.md").as_posix())


def test_ingest_that_is_strict_sends_nothing_where_it_would_pass_over_files(
    gateway: Any, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("A")
    (tmp_path / "b.xyz").write_text("B")

    status, _, err = run("ingest", "--strict", str(tmp_path))

    assert status == 2
    assert "passed over 1 file of other types: 1 .xyz" in " ".join(err.split())
    assert gateway.requests == []


def test_metadata_without_a_value_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    assert run("ingest", "--metadata", "team", str(tmp_path))[0] == 2


def test_ask_without_a_language_model_says_once_how_to_have_one(
    gateway: Any, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    summary = pb.AnswerSummary(answer="Two years [1].", answerable=True, model="extractive")
    answer = (pb.AnswerResponse(delta=pb.AnswerDelta(text="Two years [1].")), pb.AnswerResponse(summary=summary))
    gateway.will("Answer", *answer * 3)

    assert "trivium model use" not in run("ask", "How long?")[2], "a program is told nothing"
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes the captured output for a terminal
    assert "trivium model use ollama" in run("ask", "How long?")[2]
    assert "trivium model use" not in run("ask", "How long?")[2]


@pytest.mark.parametrize("count", [0, 1, 2, 12000])
def test_numbers_of_things_are_said_as_people_say_them(
    gateway: Any, run: Run, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich takes the captured output for a terminal
    document = pb.Document(id="a.md", title="A", text="text", chunk_count=count)
    gateway.will("GetDocument", pb.GetDocumentResponse(document=document))

    said = {0: "0 pieces", 1: "1 piece", 2: "2 pieces", 12000: "12,000 pieces"}[count]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", run("documents", "get", "a.md")[2])
    assert shown.splitlines() == ["A", said]
