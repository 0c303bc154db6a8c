"""`trivium tune`: what it finds, what it holds back, and what it never sets."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import FailedPrecondition, Trivium, Unavailable
from trivium_client.cli.app import app
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.tuning import searching
from trivium_client.tuning.confidence import Told, fit, platt, scaled_by
from trivium_client.tuning.known_items import question_of
from trivium_client.tuning.running import tune
from trivium_client.tuning.searching import halves
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

COUNT = 60


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where commands put what is needed to go on."""
    monkeypatch.chdir(tmp_path)


def labelled(count: int = COUNT) -> list[KnownQuestion]:
    return [KnownQuestion(f"q{one}", f"question {one}", {f"d{one}": 1}) for one in range(count)]


LAST = 21


def serve(
    gateway: Any, rank_of: Callable[[str, Mapping[str, Any]], int], values: Mapping[str, Any] | None = None
) -> None:
    """Has the gateway find the right document at the rank, from 1 to LAST, that a question and settings give.

    Args:
        gateway: The gateway.
        rank_of: The rank.
        values: The settings in force, version 3.
    """

    def retrieve(request: pb.RetrieveRequest) -> Any:
        settings = {field.name: value for field, value in request.settings.ListFields()}
        number = request.query.removeprefix("question ")
        order = [f"other{one}" for one in range(LAST - 1)]
        order.insert(rank_of(number, settings) - 1, f"d{number}")
        passages = [{"id": one, "documentId": one, "text": one} for one in order]
        return json_format.ParseDict({"passages": passages}, pb.RetrieveResponse())

    def described(_: Any) -> Any:
        collection = pb.Collection(name="manuals")
        if values is not None:
            collection.settings.CopyFrom(pb.SettingsVersion(number=3, settings=pb.CollectionSettings(**values)))
        return pb.GetCollectionResponse(collection=collection)

    gateway.will("Retrieve", *[retrieve] * 10_000)
    gateway.will("GetCollection", *[described] * 20)
    gateway.will("GetStatus", *[pb.GetStatusResponse()] * 10)


def without_vectors(number: str, settings: Mapping[str, Any]) -> int:
    """Vectors hurt a third of the questions."""
    return 1 if int(number) % 3 > 0 or settings["dense_weight"] == 0 else LAST


def test_leg_that_hurts_is_turned_off(gateway: Any) -> None:
    serve(gateway, without_vectors)
    with Trivium(gateway.address) as trivium:
        tuned = tune(trivium, "manuals", labelled(), are_made=False)

    assert tuned.search.accepted
    assert tuned.settings["dense_weight"] == 0
    assert tuned.search.difference is not None
    assert tuned.search.difference.value > 0.2
    # All that does not matter stays as it is.
    assert tuned.search.settings == {"dense_weight": 0, "sparse_weight": 1, "rerank_weight": 1, "candidates": 100}


def test_learned_sparse_vectors_are_tuned_where_a_collection_has_them(gateway: Any) -> None:
    def rank_of(number: str, settings: Mapping[str, Any]) -> int:
        return 1 if int(number) % 3 > 0 or settings["learned_weight"] == 0.5 else LAST

    serve(gateway, rank_of, values={"learned_sparse": True})
    with Trivium(gateway.address) as trivium:
        tuned = tune(trivium, "manuals", labelled(), are_made=False)

    assert tuned.settings == {"learned_weight": 0.5}


def test_nothing_is_set_where_nothing_is_better(gateway: Any) -> None:
    serve(gateway, lambda number, _: 1 + int(number) % 2, values={"rerank_weight": 0.5})
    with Trivium(gateway.address) as trivium:
        tuned = tune(trivium, "manuals", labelled(), are_made=False)

    assert not tuned.search.accepted
    assert tuned.settings == {}
    assert tuned.based_on == 3


def test_luck_of_the_half_that_chose_is_not_believed(gateway: Any) -> None:
    choosing, judging = ({one.text.removeprefix("question ") for one in half} for half in halves(labelled()))

    def rank_of(number: str, settings: Mapping[str, Any]) -> int:
        is_lucky = settings["sparse_weight"] == 0
        found = number in choosing if is_lucky else int(number) % 2 == 0
        return 1 if found else LAST

    serve(gateway, rank_of)
    with Trivium(gateway.address) as trivium:
        tuned = tune(trivium, "manuals", labelled(), are_made=False)

    assert choosing.isdisjoint(judging)
    assert tuned.search.settings["sparse_weight"] == 0  # it was best there
    assert tuned.search.difference is not None
    assert tuned.search.difference.value < 0
    assert tuned.settings == {}


def test_vectors_are_not_weakened_a_little_by_questions_of_the_documents_own_words(gateway: Any) -> None:
    serve(gateway, lambda _, settings: 8 if settings["dense_weight"] == 0 else 9)
    with Trivium(gateway.address) as trivium:
        made = tune(trivium, "manuals", labelled(), are_made=True)
        known = tune(trivium, "manuals", labelled(), are_made=False)

    assert made.settings == {}
    assert "flatter the search by words" in made.search.reason
    assert known.settings["dense_weight"] == 0


def test_command_sets_what_it_found_and_takes_it_back(gateway: Any, tmp_path: Path) -> None:
    serve(gateway, without_vectors, values={})
    questions = labelled()
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps({"id": q.id, "text": q.text}) for q in questions))
    (tmp_path / "qrels.tsv").write_text("".join(f"{q.id}\t{next(iter(q.relevant))}\t1\n" for q in questions))
    version = pb.SettingsVersion(number=4, settings=pb.CollectionSettings(dense_weight=0))
    gateway.will(
        "UpdateCollection", pb.UpdateCollectionResponse(collection=pb.Collection(name="manuals", settings=version))
    )
    gateway.will(
        "RollBackCollectionSettings",
        pb.RollBackCollectionSettingsResponse(collection=pb.Collection(name="manuals")),
    )
    command = ["tune", "manuals", "--gateway", gateway.address]

    dry = CliRunner().invoke(app, [*command, "--questions", str(tmp_path), "--dry-run"])
    sent_by_dry_run = [one for one in gateway.requests if isinstance(one, pb.UpdateCollectionRequest)]
    wet = CliRunner().invoke(app, [*command, "--questions", str(tmp_path), "--json"])
    back = CliRunner().invoke(app, [*command, "--rollback"])

    assert dry.exit_code == wet.exit_code == back.exit_code == 0, dry.output + wet.output + back.output
    assert sent_by_dry_run == []
    assert "would be set\tdense_weight=0" in dry.output
    assert json.loads(wet.output)["version"] == 4
    (sent,) = (one for one in gateway.requests if isinstance(one, pb.UpdateCollectionRequest))
    assert sent.settings == pb.CollectionSettings(dense_weight=0)
    assert sent.based_on == 3
    assert sent.note.startswith("tuned on 60 labelled questions; nDCG@10 0.")
    assert "in force, version 0\tnothing set" in back.output


def test_command_waits_for_a_gateway_that_has_more_to_do(gateway: Any, refusal: Any, tmp_path: Path) -> None:
    busy = refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "OVERLOADED", retry_seconds=0.01)
    gateway.will("Retrieve", *[busy] * 5)
    serve(gateway, lambda number, settings: 1)
    questions = labelled(20)
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps({"id": q.id, "text": q.text}) for q in questions))
    (tmp_path / "qrels.tsv").write_text("".join(f"{q.id}\t{next(iter(q.relevant))}\t1\n" for q in questions))
    command = ["tune", "manuals", "--questions", str(tmp_path), "--callers", "1", "--gateway", gateway.address]

    outcome = CliRunner().invoke(app, command)

    assert outcome.exit_code == 0, outcome.output
    assert "nothing is changed" in outcome.output


def written(folder: Path, answerable: int, unanswerable: int) -> None:
    """A folder of labelled questions."""
    questions: list[dict[str, Any]] = [{"id": q.id, "text": q.text} for q in labelled(answerable)]
    questions += [{"id": f"n{n}", "text": f"question {1000 + n}", "is_impossible": True} for n in range(unanswerable)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, questions)))
    (folder / "qrels.tsv").write_text("".join(f"q{n}\td{n}\t1\n" for n in range(answerable)))


def answered(request: pb.AnswerRequest) -> Any:
    """An answer that is sure where there is one."""
    is_answerable = int(request.question.removeprefix("question ")) < 1000
    summary = {"answer": "x", "answerable": True, "confidence": 0.4 if is_answerable else 0.1}
    return json_format.ParseDict({"summary": summary}, pb.AnswerResponse())


def asked_of(gateway: Any) -> list[bytes]:
    """The questions and settings that it was asked, in no order."""
    asked = [one for one in gateway.requests if isinstance(one, pb.RetrieveRequest | pb.AnswerRequest)]
    gateway.requests.clear()
    return sorted(one.SerializeToString(deterministic=True) for one in asked)


def test_run_that_broke_off_asks_only_what_is_missing(gateway: Any, refusal: Any, tmp_path: Path) -> None:
    written(tmp_path, 45, 45)
    broken = refusal(grpc.StatusCode.INTERNAL, "broken", "INTERNAL")
    command = ["tune", "manuals", "--questions", str(tmp_path), "--callers", "2", "--dry-run", "--json"]
    command += ["--gateway", gateway.address]

    def run(stage: str, good: int) -> Any:
        """All goes well but one request of a stage."""
        gateway.script.clear()
        serve(gateway, without_vectors)
        gateway.will("Answer", *[answered] * 1000)
        gateway.script[stage].insert(good, broken)
        outcome = CliRunner().invoke(app, command)
        return outcome, asked_of(gateway)

    whole, asked_whole = run("Retrieve", 5000)
    again, asked_again = run("Retrieve", 5000)
    (tmp_path / "tune-manuals" / "questions.jsonl").unlink()
    first, asked_first = run("Retrieve", 70)
    second, asked_second = run("Answer", 30)
    third, asked_third = run("Answer", 1000)

    assert [one.exit_code for one in (whole, again, first, second, third)] == [0, 0, 1, 1, 0], third.output
    assert asked_again == []
    assert third.output == again.output == whole.output
    assert json.loads(third.output)["confidence"]["decisions"]["count"] > 40
    assert len(asked_first) in (71, 72)
    assert asked_second
    assert asked_third
    asked = asked_first + asked_second + asked_third
    assert set(asked) == set(asked_whole)
    assert len(asked) <= len(asked_whole) + 2 * 2  # what was under way at each break


def test_run_is_not_mixed_with_one_over_other_settings(gateway: Any, tmp_path: Path) -> None:
    written(tmp_path, 20, 0)
    options = ["--questions", str(tmp_path), "--dry-run"]
    serve(gateway, without_vectors)
    CliRunner().invoke(app, ["tune", "manuals", *options, "--gateway", gateway.address])
    gateway.script.clear()
    serve(gateway, without_vectors, values={"rerank_weight": 0.5})

    assert "settings: {} then, {'rerank_weight': 0.5} now). Choose another folder" in refused(gateway, *options)
    anew = CliRunner().invoke(app, ["tune", "manuals", *options, "--fresh", "--gateway", gateway.address])
    assert anew.exit_code == 0, anew.output


def refused(gateway: Any, *options: str) -> str:
    outcome = CliRunner().invoke(app, ["tune", "manuals", *options, "--gateway", gateway.address])
    assert outcome.exit_code == 2, outcome.output
    return " ".join(outcome.output.replace("│", " ").split())


def test_too_few_questions_are_refused(gateway: Any, tmp_path: Path) -> None:
    serve(gateway, without_vectors)
    (tmp_path / "queries.jsonl").write_text('{"id": "q1", "text": "?"}')
    (tmp_path / "qrels.tsv").write_text("q1\ta\t1\n")

    said = refused(gateway, "--questions", str(tmp_path))

    assert "Invalid value for --questions: only 1 question of those asked" in said


def test_too_few_documents_are_not_blamed_on_questions_that_nobody_gave(gateway: Any) -> None:
    serve(gateway, without_vectors)
    gateway.will("ListDocuments", pb.ListDocumentsResponse(documents=[pb.Document(id="a")]))
    text = "All of the pumps are cleaned once a week by the staff."
    gateway.will("GetDocument", pb.GetDocumentResponse(document=pb.Document(id="a", text=text)))

    said = refused(gateway)

    assert "Invalid value for NAME: only 1 question could be made of the documents of 'manuals'" in said


def test_questions_about_other_documents_are_refused_and_not_taken_for_hard_ones(gateway: Any, tmp_path: Path) -> None:
    serve(gateway, without_vectors)
    lines = [(f"q{one}", f"other{one}x") for one in range(20)]
    (tmp_path / "queries.jsonl").write_text(
        "\n".join(json.dumps({"id": one, "text": "question 1"}) for one, _ in lines)
    )
    (tmp_path / "qrels.tsv").write_text("".join(f"{one}\t{document}\t1\n" for one, document in lines))

    assert "no question finds a document that answers it" in refused(gateway, "--questions", str(tmp_path))


def test_rollback_that_is_to_try_something_is_refused(gateway: Any) -> None:
    assert "give it alone" in refused(gateway, "--rollback", "--dry-run")
    assert gateway.requests == []


def test_change_that_somebody_else_has_overtaken_is_not_made(gateway: Any, refusal: Any) -> None:
    gateway.will("UpdateCollection", refusal(grpc.StatusCode.FAILED_PRECONDITION, "changed", "SETTINGS_CHANGED"))
    with Trivium(gateway.address) as trivium, pytest.raises(FailedPrecondition, match="changed"):
        trivium.update_collection("manuals", {"dense_weight": 0.5}, based_on=1)


def test_line_over_log_odds_is_the_one_that_the_answers_follow() -> None:
    chance = random.Random(3)
    said = [chance.uniform(0.02, 0.98) for _ in range(4000)]
    true = [chance.random() < scaled_by(one, 2.0, -1.0) for one in said]

    slope, intercept = platt(said, true)

    assert slope == pytest.approx(2.0, abs=0.2)
    assert intercept == pytest.approx(-1.0, abs=0.2)
    assert scaled_by(0.5, 2.0, -1.0) == pytest.approx(1 / (1 + math.e))


def told(count: int, *, seed: int, sharp: bool) -> list[Told]:
    """Half of the questions have an answer; a confidence that is far too low for them, and marks all or none."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        answerable = number % 2 == 0
        odds = chance.gauss(-1.0 if answerable else -5.0, 1.0 if sharp else 40.0)
        confidence = 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))
        made.append(Told(confidence, confidence, marked=False, answerable=answerable))
    return made


def test_scale_and_points_are_fitted_where_the_confidence_tells() -> None:
    fitted = fit(told(200, seed=1, sharp=True), told(200, seed=2, sharp=True))

    assert fitted.decisions is not None
    assert fitted.decisions.after > 0.9 > fitted.decisions.before
    assert fitted.scale is not None
    assert fitted.scale.chance < 0.01
    settings = fitted.settings
    assert settings.keys() == {"confidence_slope", "confidence_intercept", "mark_below", "refuse_below"}
    assert 0 < float(settings["refuse_below"] or 0) <= float(settings["mark_below"] or 0) < 1


def test_nothing_is_fitted_where_those_in_force_decide_as_well() -> None:
    right = [Told(0.99, 0.99, marked=False, answerable=True), Told(0.01, 0.01, marked=True, answerable=False)] * 50
    noise = [Told(one.unscaled, one.confidence, one.marked, number % 4 < 2) for number, one in enumerate(right)]

    assert fit(right, right).settings == {}
    assert fit(noise, right).settings == {}


def test_scale_whose_points_mark_too_many_that_are_answered_is_left() -> None:
    judging = told(200, seed=2, sharp=True)
    # A third of the answered are less sure on this half than any was on the other.
    unsure = [
        Told(0.008, 0.008, marked=False, answerable=True) if one.answerable and number % 3 == 0 else one
        for number, one in enumerate(judging)
    ]
    fitted = fit(told(200, seed=1, sharp=True), unsure)

    assert fitted.scale is not None
    assert fitted.scale.value > 0
    assert fitted.settings == {}
    assert "mark too many" in fitted.reason


def test_question_of_a_document_has_its_words_but_the_rarest() -> None:
    text = "The pump KX-200 needs new oil after each winter on the coast."
    frequencies = Counter(dict.fromkeys(("the", "pump", "needs", "new", "oil", "after", "each", "on"), 5))

    question = question_of(text, frequencies, random.Random(0))

    assert question == "the pump needs new oil after each on the"
    assert question_of("Too short.", frequencies, random.Random(0)) == ""
    assert " " not in question_of("生命数耗完即算踢爆玩家用水枪", Counter(), random.Random(0))


def test_degraded_results_are_asked_for_again_and_never_judged(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "_PAUSE_SECONDS", 0.0)
    lame = json_format.ParseDict(
        {"degraded": [{"stage": "STAGE_RERANK", "reason": "DEGRADATION_REASON_TIMEOUT"}]}, pb.RetrieveResponse()
    )
    gateway.will("Retrieve", lame, lame, pb.RetrieveResponse())
    gateway.will("Retrieve", *[lame] * 100)
    with Trivium(gateway.address) as trivium:
        assert not searching.undegraded(lambda: trivium.retrieve("anything")).degraded
        with pytest.raises(Unavailable, match=r"lack a stage: rerank \(timeout\)"):
            searching.undegraded(lambda: trivium.retrieve("anything"))
    assert len(gateway.requests) == 3 + searching._TRIES
