"""`trivium eval` and `trivium tune` against the real stack: they add, ask, measure, try, and go on."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import TYPE_CHECKING

from trivium_client import NewDocument, Trivium

if TYPE_CHECKING:
    from pathlib import Path

    from e2e.stack import Stack

DOCUMENTS = {
    "warranty": "The pump KX-200 has a warranty of 36 months from delivery. Wear parts are excluded from it.",
    "lake": "Lake Baikal is the deepest lake of the world; its deepest point lies 1,642 metres below the surface.",
    "bread": "Sourdough bread rises for twelve hours at room temperature before it is baked.",
}
QUESTIONS = [
    {"_id": "1", "text": "How long is the warranty of the pump KX-200?", "answers": ["36 months"]},
    {"_id": "2", "text": "How deep is Lake Baikal?", "answers": ["1,642 metres"]},
    {"_id": "3", "text": "Who composed the opera Fidelio?", "is_impossible": True},
]


def test_eval_measures_a_running_stack_and_costs_nothing_when_it_is_repeated(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    corpus = [json.dumps({"_id": name, "text": text}) for name, text in DOCUMENTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(corpus))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\twarranty\t1\n2\tlake\t1\n")
    command = [sys.executable, "-m", "trivium_client.cli.app", "eval", str(folder), "--out", str(tmp_path / "out")]
    command += ["--gateway", f"127.0.0.1:{stack.grpc_port}", "--json"]

    reports = []
    for _ in range(2):
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert outcome.returncode == 0, outcome.stderr
        reports.append(json.loads(outcome.stdout))

    first, second = reports
    assert set(first["retrieval"]) == {"dense", "sparse", "fused", "rerank", "final"}
    assert {one["mrr_at_10"] for one in first["retrieval"].values()} == {1.0}
    assert first["answers"]["hit"] == 1.0
    assert first["answers"]["cites_relevant"] == 1.0
    assert first["refusal"]["recall"] == 1.0
    assert first["refusal"]["false_refusals"] == 0.0
    assert {"embed", "search", "rerank", "generate", "total"} <= first["latency_ms"].keys()
    assert second["values"] == first["values"]  # times included: nothing was asked again
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()


def test_tune_tries_settings_on_a_running_stack_and_changes_nothing_by_a_dry_run(stack: Stack) -> None:
    pairs = pathlib.Path(__file__).resolve().parents[1] / "quality" / "contrast.jsonl"
    texts = [json.loads(line)["right"] for line in pairs.read_text().splitlines()[:60]]
    with Trivium(f"127.0.0.1:{stack.grpc_port}") as trivium:
        trivium.create_collection("tuned")
        trivium.ingest([NewDocument(text, id=f"d{place}") for place, text in enumerate(texts)], collection="tuned")
        command = [sys.executable, "-m", "trivium_client.cli.app", "tune", "tuned", "--dry-run", "--json"]
        command += ["--gateway", f"127.0.0.1:{stack.grpc_port}"]

        outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
        described = trivium.get_collection("tuned")

    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    assert report["made"]
    assert report["questions"] >= 20
    in_force, *others = report["search"]["tried"]
    assert in_force["settings"] == {"dense_weight": 1, "sparse_weight": 1, "rerank_weight": 1, "candidates": 100}
    assert in_force["ndcg_at_10"] > 0.8
    assert len(others) >= 9
    assert report["version"] is None
    assert described.settings is None


def test_settings_of_a_collection_judge_its_answers_until_they_are_taken_back(stack: Stack) -> None:
    question = "How deep is Lake Baikal?"
    with Trivium(f"127.0.0.1:{stack.grpc_port}") as trivium:
        trivium.create_collection("lakes")
        trivium.ingest([NewDocument(text, id=one) for one, text in DOCUMENTS.items()], collection="lakes")
        before = trivium.ask(question, collection="lakes")
        changed = trivium.update_collection("lakes", {"confidence_intercept": -3.0, "mark_below": 0.999}, note="strict")
        marked = trivium.ask(question, collection="lakes")
        once = trivium.ask(question, collection="lakes", settings={"refuse_below": 0.999})
        back = trivium.roll_back_settings("lakes")
        after = trivium.ask(question, collection="lakes")
    model = stack.http.get("/v1/models/trivium/lakes").json()

    assert model["calibration"] == "all-MiniLM-L6-v2"
    assert changed.settings is not None
    assert (changed.settings.number, changed.settings.note) == (1, "strict")
    assert before.answerable
    assert before.confidence is not None
    assert marked.confidence is not None
    assert marked.confidence < before.confidence
    assert (marked.answerable, marked.reason, marked.refused) == (False, "not_stated", False)
    assert (once.reason, once.refused) == ("weak_evidence", True)
    assert back.settings is not None
    assert (back.settings.number, back.settings.values) == (0, {})
    assert (after.answerable, after.confidence) == (True, before.confidence)
