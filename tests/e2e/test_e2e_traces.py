"""`trivium explain`, `replay` and `feedback`, against the real stack and its models."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from trivium_client import AsyncTrivium, NotFound
from trivium_client.cli.app import app
from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.stack import Stack

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "corpus"
QUESTION = "How long is the warranty of the KX-200?"


@dataclass(frozen=True)
class Command:
    """The command, before a gateway that has the documents of the examples.

    Attributes:
        address: The gateway's.
    """

    address: str

    def __call__(self, *arguments: str) -> Any:
        """What it prints; read as JSON, if that was asked for."""
        result = self.invoked(*arguments)
        assert result.exit_code == 0, f"{result.output} {result.exception!r}"
        return json.loads(result.stdout) if "--json" in arguments else result.stdout

    def invoked(self, *arguments: str) -> Result:
        """How it ends."""
        return CliRunner().invoke(app, list(arguments), env={"TRIVIUM_GATEWAY": self.address})


@pytest.fixture(scope="module")
def run(stack: Stack) -> Command:
    """Runs the command."""
    command = Command(f"127.0.0.1:{stack.grpc_port}")
    command("ingest", str(CORPUS))
    return command


def _documents(run: Command) -> set[str]:
    return {one["id"] for one in run("documents", "--json")["documents"]}


def test_command_explains_an_answer_and_where_a_document_was_lost(run: Command) -> None:
    answer = run("ask", "--json", QUESTION)
    shown = [one["document_id"] for one in answer["passages"]]
    lost = next(one for one in sorted(_documents(run)) if one not in shown)

    trace = run("explain", answer["request_id"], "--json")
    assert [one["document_id"] for one in trace["passages"]] == shown
    assert trace["request"]["text"] is None
    assert trace["stages"][0]["facts"]["trivium.cached"] in (True, False)
    assert isinstance(trace["candidates"][0]["rank"], int)
    text = run("explain", answer["request_id"], "--texts")
    for word in (QUESTION, answer["answer"], shown[0], "embed", "search", "rerank", "candidates"):
        assert word in text

    explained = run("explain", answer["request_id"], "--document", lost)
    assert explained.startswith(("outranked: ", "near duplicate: "))
    assert run("explain", answer["request_id"], "--document", "nowhere.md").startswith("not in collection: ")
    assert isinstance(run.invoked("explain", "unknown").exception, NotFound)


def test_command_replays_a_question_with_other_settings(run: Command) -> None:
    answer = run("ask", "--json", "-n", "2", QUESTION)

    replay = run("replay", answer["request_id"], "--set", "top_n=4", "--set", "rerank=false", "--json")
    assert (len(replay["before"]["passages"]), len(replay["after"]["passages"])) == (2, 4)
    assert {one["rerank"] for one in replay["after"]["candidates"]} == {None}
    text = run("replay", answer["request_id"], "--set", "top_n=4", "--texts")
    assert "top_n: 2 → 4" in text
    assert "[3]" in text
    assert "new" in text
    assert run.invoked("replay", answer["request_id"], "--set", "top_n").exit_code == 2


def test_command_keeps_feedback_and_exports_labelled_questions(run: Command, tmp_path: Path) -> None:
    right, wrong = run("ask", "--json", QUESTION), run("ask", "--json", "Who wrote the minutes?")
    best = right["citations"][0]["document_id"]
    assert QUESTION in run("feedback", "up", right["request_id"])
    said = run("feedback", "down", wrong["request_id"], "--answer", "Nobody", "--document", best, "--json")
    assert (said["rating"], said["answer"], said["document_ids"]) == (-1, "Nobody", [best])
    assert [one["request_id"] for one in run("feedback", "--json")] == [right["request_id"], wrong["request_id"]]

    folder = tmp_path / "labelled"
    exported = run("feedback", "export", str(folder), "--json")
    assert (exported["questions"], exported["documents"]) == (2, len(_documents(run)))
    questions = {line["text"]: line for line in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())}
    assert questions["Who wrote the minutes?"]["answers"] == ["Nobody"]
    judgements = (folder / "qrels.tsv").read_text().splitlines()[1:]
    assert f"{questions[QUESTION]['_id']}\t{best}\t1" in judgements
    assert run.invoked("feedback", "export", str(folder)).exit_code == 2  # never over what is there
    assert "deleted 1" in run("feedback", "delete", right["request_id"])


async def test_client_of_event_loops_has_the_same(stack: Stack, run: Command) -> None:
    async with AsyncTrivium(f"127.0.0.1:{stack.grpc_port}") as trivium:
        found = await trivium.retrieve(QUESTION)
        trace = await trivium.get_trace(found.request_id, document_id="nowhere.md")
        assert trace["explanation"]["fate"] == "not_in_collection"
        replay = await trivium.replay(found.request_id, {"rerank.candidates": 7})
        assert replay["after"]["request"]["candidates"] == 7
        kept = await trivium.give_feedback(found.request_id, 1, document_ids=[found.passages[0].document_id])
        assert kept in [one async for one in trivium.list_feedback()]
        files = {piece.file async for piece in trivium.export_feedback(judged_only=True)}
        assert files == {"queries.jsonl", "qrels.tsv", "corpus.jsonl"}
        assert await trivium.delete_feedback(found.request_id) == 1
