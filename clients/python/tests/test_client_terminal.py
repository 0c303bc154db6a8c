"""Nothing that a document, a server or a model says is a command to the terminal."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import degradation_pb2
from trivium_client.cli.stack_output import StackOutput

HOSTILE = "a\x1b[31mred\x1b]0;PWNED\x07 \x9b2Jclear\x8f\x7f\x08 \x1b]52;c;aGk=\x1b\\ end\tof\nit."
SHOWN = "a[31mred]0;PWNED 2Jclear"
PASSAGE = pb.Passage(document_id="d", title=HOSTILE, uri=HOSTILE, text=HOSTILE, score=0.9)
SUMMARY = pb.AnswerSummary(
    answer=HOSTILE + " [1]",
    answerable=True,
    model=HOSTILE,
    citations=[pb.Citation(index=1, document_id="d")],
    passages=[PASSAGE],
    degraded=[degradation_pb2.Degradation(stage=degradation_pb2.STAGE_RERANK, fallback=HOSTILE)],
)
ANSWER = (
    pb.AnswerResponse(sources=pb.Sources(passages=[PASSAGE])),
    pb.AnswerResponse(delta=pb.AnswerDelta(text=HOSTILE[:2])),  # a sequence that comes in two parts
    pb.AnswerResponse(delta=pb.AnswerDelta(text=HOSTILE[2:] + " [1]")),
    pb.AnswerResponse(summary=SUMMARY),
)
DOCUMENT = pb.Document(id="d", title=HOSTILE, uri=HOSTILE, chunk_count=1, text=HOSTILE)
STAGE = pb.StageStatus(stage="rerank", detail=HOSTILE, model=HOSTILE)
COLLECTION = pb.Collection(name="c", model=HOSTILE)


def refused(documents: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
    """Says something hostile of each document."""
    error = pb.DocumentError(reason="EMPTY", message=HOSTILE)
    results = [pb.DocumentResult(status=pb.DOCUMENT_STATUS_FAILED, error=error) for _ in documents[0].documents]
    return pb.IngestDocumentsResponse(documents=results)


def run(gateway: Any, *arguments: str, terminal: bool, given: str = "") -> str:
    """Runs the command, on a terminal or not; gives both outputs together."""
    command = [sys.executable, "-m", "trivium_client.cli.app", *arguments]
    environment = os.environ | {"TRIVIUM_GATEWAY": gateway.address, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "500"}
    if not terminal:
        ended = subprocess.run(command, env=environment, input=given.encode(), capture_output=True, timeout=60)
        return (ended.stdout + ended.stderr).decode()
    ours, theirs = os.openpty()
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        read = b""
        try:
            while piece := os.read(ours, 65536):
                read += piece
        except OSError:
            pass  # the other end is closed
        process.wait(60)
    os.close(ours)
    return read.decode().replace("\r\n", "\n")


def controls(output: str) -> set[str]:
    """The control characters in it, line ends and tabs excepted."""
    return {character for character in output if not character.isprintable() and character not in "\n\t"} - {"\u2028"}


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "pipe"])
@pytest.mark.parametrize(
    ("method", "outcomes", "arguments"),
    [
        ("Answer", ANSWER, ("ask", "q")),
        ("Retrieve", [pb.RetrieveResponse(passages=[PASSAGE])], ("search", "q")),
        ("ListDocuments", [pb.ListDocumentsResponse(documents=[DOCUMENT])], ("documents",)),
        ("ListCollections", [pb.ListCollectionsResponse(collections=[COLLECTION])], ("collections",)),
        ("GetStatus", [pb.GetStatusResponse(ready=True, stages=[STAGE])], ("status",)),
        ("IngestDocuments", [refused], ("ingest", __file__)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_command_shows_hostile_text_without_its_control_characters(
    gateway: Any, terminal: bool, method: str, outcomes: Any, arguments: tuple[str, ...]
) -> None:
    gateway.will(method, *outcomes)
    output = run(gateway, *arguments, terminal=terminal)
    assert SHOWN in output
    assert controls(output) == set()


def test_error_of_a_server_is_shown_without_control_characters(gateway: Any, refusal: Any) -> None:
    gateway.will("Retrieve", refusal(grpc.StatusCode.INVALID_ARGUMENT, HOSTILE, "INVALID_FIELD"))
    output = run(gateway, "search", "q", terminal=False)
    assert SHOWN in output
    assert controls(output) == set()


def test_chat_shows_hostile_answers_without_control_characters(gateway: Any) -> None:
    gateway.will("Answer", *ANSWER)
    output = run(gateway, "chat", terminal=False, given="q\n/sources\n/sources 1\n")
    assert output.count(SHOWN) > 3
    assert controls(output) == set()


@pytest.mark.parametrize(("terminal", "expected"), [(True, set()), (False, controls(HOSTILE))])
def test_stored_text_is_exact_in_a_pipe_and_harmless_on_a_terminal(
    gateway: Any, terminal: bool, expected: set[str]
) -> None:
    gateway.will("GetDocument", pb.GetDocumentResponse(document=DOCUMENT))
    assert controls(run(gateway, "documents", "get", "d", terminal=terminal)) == expected


def test_json_escapes_control_characters_and_keeps_them(gateway: Any) -> None:
    gateway.will("GetDocument", pb.GetDocumentResponse(document=DOCUMENT))
    output = run(gateway, "documents", "get", "d", "--json", terminal=False)
    assert controls(output) == set()
    assert json.loads(output)["text"] == HOSTILE


def test_lines_of_services_are_shown_without_control_characters() -> None:
    out = io.StringIO()
    StackOutput(out).on_line("gateway", HOSTILE)
    assert SHOWN in out.getvalue()
    assert controls(out.getvalue()) == set()


def test_ingest_passes_over_pipes_and_sockets(gateway: Any, tmp_path: Path) -> None:
    def index(requests: list[pb.IngestDocumentsRequest]) -> pb.IngestDocumentsResponse:
        return pb.IngestDocumentsResponse(
            documents=[pb.DocumentResult(id=one.id, status=pb.DOCUMENT_STATUS_INDEXED) for one in requests[0].documents]
        )

    gateway.will("IngestDocuments", index)
    (tmp_path / "a.txt").write_text("hi there")
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / "lines.jsonl")
    output = run(
        gateway, "ingest", str(tmp_path), str(tmp_path / "lines.jsonl"), "/dev/null", "/dev/stdin", terminal=False
    )
    assert "1 indexed, 3 failed" in output
    assert "passed over 2 files of other types: 2 pipe" in output
    for name, kind in ((f"{tmp_path}/lines.jsonl", "pipe"), ("/dev/null", "device"), ("/dev/stdin", "pipe")):
        assert f"error: {name}: it is a {kind}; only files are read, and with - as PATH lines of JSON" in output
