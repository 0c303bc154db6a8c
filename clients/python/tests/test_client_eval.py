"""`trivium eval`: folders, measures against values computed by hand, and runs that go on."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client.cli.app import app
from trivium_client.evaluation.datasets import BadDataset, read_dataset
from trivium_client.evaluation.measures import (
    Judged,
    area_under,
    auroc,
    ranking_measures,
    refusal_measures,
    risk_coverage,
    states_any,
)
from trivium_client.evaluation.significance import compare
from typer.testing import CliRunner

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = [
    {"id": "q1", "text": "What is alpha?", "answers": ["first letter"]},
    {"id": "q2", "text": "What is beta?", "answers": ["second letter"]},
    {"id": "q3", "text": "What is omega minus one?", "is_impossible": True},
    {"id": "q4", "text": "Nobody knows?"},
    {"id": "q5", "text": "", "answers": ["nothing"]},
]


def write_dataset(
    folder: Path, questions: list[dict[str, Any]] | None = None, qrels: str = "q1\ta\t1\nq2\tb\t2\n"
) -> None:
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(one) for one in questions or QUESTIONS]
    (folder / "queries.jsonl").write_text("\n".join(lines))
    corpus = [{"_id": name, "title": "", "text": f"text of {name}"} for name in ("a", "b", "c")]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
    (folder / "qrels.tsv").write_text(qrels)


def test_ranking_measures_are_those_computed_by_hand() -> None:
    # Grades 2 and 1 at ranks 3 and 7; one more of grade 1 is not found.
    measured = ranking_measures({"a": 3, "b": 7}, {"a": 2, "b": 1, "c": 1})

    gained = 2 / 2 + 1 / 3
    best = 2 / 1 + 1 / math.log2(3) + 1 / 2
    assert measured["ndcg_at_10"] == pytest.approx(gained / best)
    assert measured["mrr_at_10"] == pytest.approx(1 / 3)
    assert measured["recall_at_5"] == pytest.approx(1 / 3)
    assert measured["recall_at_20"] == pytest.approx(2 / 3)


def test_ranking_measures_of_what_comes_after_the_tenth_are_zero() -> None:
    assert ranking_measures({"a": 11}, {"a": 1}) == {
        "ndcg_at_10": 0.0,
        "mrr_at_10": 0.0,
        "recall_at_5": 0.0,
        "recall_at_20": 1.0,
        "recall_at_100": 1.0,
    }


def test_auroc_counts_ties_as_half() -> None:
    assert auroc([0.9, 0.5], [0.5, 0.1]) == pytest.approx(3.5 / 4)
    assert auroc([0.1], [0.9]) == 0.0
    assert auroc([], [0.5]) is None


def test_refusals_have_the_precision_and_recall_computed_by_hand() -> None:
    judged = [
        Judged(0.9, marked=False, answerable=True, wrong=False),
        Judged(0.6, marked=False, answerable=False, wrong=True),
        Judged(0.6, marked=True, answerable=True, wrong=True),
        Judged(0.1, marked=True, answerable=False, wrong=True),
    ]

    assert refusal_measures(judged) == {"precision": 0.5, "recall": 0.5, "false_refusals": 0.5, "auroc": 0.875}
    curve = risk_coverage(judged)
    assert curve == [(0.25, 0.0), (0.75, 2 / 3), (1.0, 0.75)]
    assert area_under(curve) == pytest.approx(0.5 * 2 / 3 + 0.25 * 0.75)


@pytest.mark.parametrize(
    ("text", "answers", "states"),
    [
        ("It began in October, 1973 [1].", ["october 1973"], True),
        ("It took 19 days.", ["9 days"], False),
        ("生命数耗完即算踢爆。", ["踢爆"], True),
        ("Passage [24] says so.", ["24"], False),
        ("Anything.", ["?"], False),
    ],
)
def test_answer_is_found_word_for_word(text: str, answers: list[str], states: bool) -> None:
    assert states_any(text, answers) is states


def test_difference_of_few_questions_has_its_exact_chance() -> None:
    # Of the 16 ways to give four equal differences signs, two are as extreme.
    found = compare([0, 0, 0, 0, 1], [1, 1, 1, 1, 1])

    assert (found.before, found.after, found.count) == (0.2, 1.0, 5)
    assert found.chance == pytest.approx(2 / 16)
    assert 0 < found.low <= found.value <= found.high


def test_difference_of_many_questions_tells_a_gain_from_noise() -> None:
    gained = compare([0.5] * 100, [0.6] * 80 + [0.4] * 20)
    noise = compare([0.5] * 100, [0.6, 0.4] * 50)

    assert gained.chance < 0.001
    assert noise.chance > 0.9
    assert noise.low < 0 < noise.high


def test_dataset_is_read_in_either_form_of_judgements(tmp_path: Path) -> None:
    write_dataset(tmp_path)
    single = read_dataset(tmp_path)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq1\ta\t1\nq2\tb\t2\n")
    (tmp_path / "qrels.tsv").unlink()

    assert read_dataset(tmp_path, split="dev").questions == single.questions
    assert single.left_out_count == 2
    assert [one.relevant for one in single.questions] == [{"a": 1}, {"b": 2}, {}]
    assert [one.answerable for one in single.questions] == [True, True, False]
    with pytest.raises(BadDataset, match=r"has no test\.tsv; choose one that it has by --split: dev"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("queries.jsonl", '{"id": "q1", "text": "?"}\n{"text": "?"}', r"queries\.jsonl:2: no `id`"),
        ("queries.jsonl", "nonsense", r"queries\.jsonl:1: not JSON"),
        ("queries.jsonl", '{"id": "q1", "text": " "}', "nothing is known of any question"),
        ("queries.jsonl", '{"id": "x", "text": "?"}', "nothing is known of any question"),
        ("corpus.jsonl", '{"id": "a"}', r"corpus\.jsonl:1: text is no text"),
        (
            "corpus.jsonl",
            '{"id": "a", "text": ""}\n{"id": "a", "text": ""}',
            r"corpus\.jsonl:2: there is a document 'a'",
        ),
        ("corpus.jsonl", '{"id": "a", "text": "", "title": 5}', r"corpus\.jsonl:1: title is no text"),
        ("qrels.tsv", "q1\ta\t1\nq1\ta\tinf", r"qrels\.tsv:2: not a query, a document and a grade"),
        ("qrels.tsv", "q1 a 1", r"qrels\.tsv:1: not a query, a document and a grade"),
    ],
)
def test_broken_folder_is_refused_with_the_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    write_dataset(tmp_path)
    (tmp_path / name).write_text(text)

    with pytest.raises(BadDataset, match=message):
        read_dataset(tmp_path)


def test_folder_without_files_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["eval", str(tmp_path)])

    assert outcome.exit_code == 2
    assert "has no queries.jsonl" in said(outcome)


def said(outcome: Any) -> str:
    """What was printed, without the frame around it."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", outcome.output).split())


def passage(document: str, *, dense: float, sparse: float) -> dict[str, Any]:
    scores = {"dense": dense, "sparse": sparse, "learned": -sparse, "fused": dense + sparse, "calibration": "m"}
    return {
        "id": f"{document}-0",
        "documentId": document,
        "text": f"text of {document}",
        "score": 0.5,
        "scores": scores,
    }


def script(gateway: Any, *, broken: frozenset[str] = frozenset(), refusal: Any = None) -> list[str]:
    """Has the gateway answer every question, but those that are broken.

    Returns:
        Where the queries are noted that it was asked.
    """
    asked: list[str] = []

    def retrieve(request: pb.RetrieveRequest) -> Any:
        gateway.will("Retrieve", retrieve)
        if request.query in broken:
            return refusal
        asked.append(request.query)
        passages = [passage("a", dense=0.9, sparse=1.0), passage("b", dense=0.1, sparse=3.0)]
        return json_format.ParseDict({"passages": passages, "timings": {"totalMs": 5.0}}, pb.RetrieveResponse())

    def answer(request: pb.AnswerRequest) -> Any:
        gateway.will("Answer", answer)
        known = "omega" not in request.question
        summary = {
            "answer": "It is the first letter [1].",
            "answerable": known,
            "confidence": 0.8 if known else 0.1,
            "citations": [{"index": 1, "documentId": "a", "support": 0.9, "verdict": "VERDICT_SUPPORTED"}],
            "timings": {"totalMs": 9.0},
        }
        return json_format.ParseDict({"summary": summary}, pb.AnswerResponse())

    def status(request: pb.GetStatusRequest) -> Any:
        gateway.will("GetStatus", status)
        return pb.GetStatusResponse()

    gateway.will("Retrieve", retrieve)
    gateway.will("Answer", answer)
    gateway.will("GetStatus", status)
    return asked


def run(gateway: Any, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["eval", *arguments, "--gateway", gateway.address, "--callers", "1"])


def test_run_measures_every_leg_and_answers(gateway: Any, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set")
    script(gateway)

    outcome = run(gateway, str(tmp_path / "set"), "-c", "there", "--out", str(tmp_path / "out"), "--json")

    assert outcome.exit_code == 0, outcome.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["questions"] == {"asked": 3, "measured": 3, "answerable": 2, "degraded": 0}
    # Document a is first by vectors, b by words and in sum: each answers one of two questions.
    second = (1 + 1 / math.log2(3)) / 2
    assert report["retrieval"]["dense"]["mrr_at_10"] == pytest.approx(0.75)
    assert report["retrieval"]["sparse"]["ndcg_at_10"] == pytest.approx(second)
    assert report["values"]["q2"]["sparse.mrr_at_10"] == 1.0
    assert report["values"]["q2"]["dense.mrr_at_10"] == 0.5
    assert report["values"]["q2"]["learned.mrr_at_10"] == 0.5
    assert report["answers"]["hit"] == 0.5
    assert report["answers"]["support"] == pytest.approx(0.9)
    assert report["refusal"]["recall"] == 1.0
    assert report["refusal"]["auroc"] == 1.0
    assert report["latency_ms"]["total"] == {"p50": 9.0, "p95": 9.0}
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "What is beta?" in page
    assert not re.search(r"(src|href)=|url\(|https?://", page)  # it needs nothing else


def test_run_that_failed_in_part_asks_only_what_is_missing(gateway: Any, refusal: Any, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set")
    arguments = (str(tmp_path / "set"), "-c", "there", "--out", str(tmp_path / "out"))
    broken = refusal(grpc.StatusCode.INTERNAL, "broken", "INTERNAL")
    asked = script(gateway, broken=frozenset({"What is beta?"}), refusal=broken)
    first = run(gateway, *arguments)
    gateway.script.clear()
    asked_again = script(gateway)
    second = run(gateway, *arguments)

    assert first.exit_code == 1
    assert "q2: broken" in first.output
    assert asked == ["What is alpha?", "What is omega minus one?"]
    assert second.exit_code == 0, second.output
    assert asked_again == ["What is beta?"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["questions"]["measured"] == 3


def test_run_under_other_conditions_is_not_mixed_with_an_earlier_one(gateway: Any, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set")
    out = ("--out", str(tmp_path / "out"))
    script(gateway)
    run(gateway, str(tmp_path / "set"), "-c", "there", *out)

    other = run(gateway, str(tmp_path / "set"), "-c", "elsewhere", *out)
    anew = run(gateway, str(tmp_path / "set"), "-c", "elsewhere", *out, "--fresh")

    assert other.exit_code == 2
    assert "collection: 'there' then, 'elsewhere' now" in said(other)
    assert anew.exit_code == 0, anew.output


def test_comparison_tells_what_changed(gateway: Any, tmp_path: Path) -> None:
    write_dataset(tmp_path / "set")
    script(gateway)
    run(gateway, str(tmp_path / "set"), "-c", "there", "--out", str(tmp_path / "a"))
    report = json.loads((tmp_path / "a" / "report.json").read_text())
    report["values"]["q1"]["final.mrr_at_10"] = 0.5
    (tmp_path / "b.json").write_text(json.dumps(report))

    reports = ("--compare", str(tmp_path / "a" / "report.json"), str(tmp_path / "b.json"))
    outcome = CliRunner().invoke(app, ["eval", *reports, "--json"])
    none = CliRunner().invoke(app, ["eval", "--compare", str(tmp_path / "b.json"), str(tmp_path / "set")])

    found = json.loads(outcome.output)
    assert found["final.mrr_at_10"]["difference"] == pytest.approx(-0.25)
    assert found["final.mrr_at_10"]["chance"] == 1.0  # one question tells nothing
    assert found["final.ndcg_at_10"]["difference"] == 0
    assert none.exit_code == 2
