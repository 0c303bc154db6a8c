"""`trivium eval` against the real stack: it adds, asks, measures, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

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
