"""`trivium eval`."""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Trivium
from trivium_client._counting import counted
from trivium_client.cli.ask import Mode, ModeOption
from trivium_client.cli.completion import complete_collections
from trivium_client.cli.failures import failure_text
from trivium_client.cli.going_on import JOURNAL_FILE, FreshOption, go_on, tell_interrupted
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import fail, print_json, stderr, stdout, warn
from trivium_client.cli.results import show_comparison, show_report
from trivium_client.evaluation.datasets import BadDataset, Dataset, read_dataset
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.observations import Observation
from trivium_client.evaluation.page import report_page
from trivium_client.evaluation.report import KIND, compare_reports, make_report
from trivium_client.evaluation.running import Asking, Outcome, add_documents, ask_all

_SHOWN_FAILURES = 5


def evaluate(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="A folder with corpus.jsonl, queries.jsonl and qrels.tsv, or qrels/SPLIT.tsv, as BEIR has them.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A.json B.json", help="Say what is different between two reports, and ask nothing."),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option(
            "--collection",
            "-c",
            metavar="NAME",
            help="Ask this one as it is, and add no documents. Their ids must be those of the judgements.",
            show_default="one of its own, with the folder's documents",
            autocompletion=complete_collections,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where to put the reports, and what is needed to go on.", show_default="eval-NAME"
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Which judgements, where qrels is a folder.")] = "test",
    questions: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Ask so many, drawn at random, the same ones each time.", show_default="all"
        ),
    ] = None,
    answers: Annotated[
        bool,
        typer.Option("--answers/--no-answers", help="Whether to have answers written beside finding passages."),
    ] = True,
    mode: ModeOption = Mode.auto,
    callers: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many questions are asked at once.")] = 4,
    fresh: FreshOption = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the stack on questions whose answers are known.

    Says how well each leg of the search and the final order find the documents (nDCG@10, MRR@10, recall at 5, 20 and
    100), how often the answer has a right one in it, how surely citations are supported, whether questions without an
    answer are recognised, and how long each stage takes. Questions without an answer say `"is_impossible": true`, right
    answers stand in `"answers"`. A run that breaks off goes on when it is started again.

    `report.json` has all of it, with the values of each question; `report.html` shows it. `--compare` tests by
    randomisation whether two runs of the same questions differ by more than chance.

    **Examples**

        trivium eval scifact

        trivium eval scifact --questions 200 --no-answers --json | jq .retrieval.final

        trivium eval questions --collection manuals

        trivium eval --compare before/report.json after/report.json
    """
    if compare is not None:
        _compare(*compare, as_json=as_json)
        return
    if folder is None:
        raise typer.BadParameter("name a folder, or two reports with --compare", param_hint="DIR")
    try:
        dataset = read_dataset(folder, split=split, with_corpus=collection is None).sample(questions)
    except BadDataset as problem:
        raise typer.BadParameter(str(problem), param_hint="DIR") from None
    _tell_gaps(dataset)
    out = out or Path(f"eval-{dataset.name}")
    out.mkdir(parents=True, exist_ok=True)
    asking = Asking(collection or dataset.collection, answers, mode.value, callers)
    began = datetime.now(UTC)
    with Trivium(gateway) as trivium:
        if collection is None:
            _add(trivium, dataset, asking.collection)
        models = {stage.stage: stage.model for stage in trivium.status().stages}
        journal = _journal(out, dataset, asking, models, fresh=fresh)
        outcome = _ask(trivium, dataset, asking, journal)
    about = {
        "dataset": {"name": dataset.name, "digest": dataset.digest, "split": split, "left_out": dataset.left_out_count},
        "collection": asking.collection,
        "began": f"{began:%Y-%m-%dT%H:%M:%SZ}",
        "models": models,
        "asked": {"mode": asking.mode, "answers": answers, "at_once": callers},
    }
    report = make_report(dataset.questions, journal.entries, about)
    report["failed"] = {one: failure_text(error) for one, error in outcome.failed.items()}
    _write(out, report, dataset)
    if as_json:
        print_json(report)
    else:
        show_report(report, stdout())
    stderr().print(f"{out / 'report.html'} shows it, {out / 'report.json'} has all values", soft_wrap=True)
    final = report["retrieval"].get("final")
    if final and not final["recall_at_100"]:
        warn(
            "no question found a document that answers it: are the ids in qrels.tsv those that `trivium documents list "
            f"--collection {asking.collection}` shows?"
        )
    if outcome.failed:
        _tell_failed(report["failed"])
        raise typer.Exit(1)


def _tell_gaps(dataset: Dataset) -> None:
    if dataset.left_out_count:
        left_out = counted(dataset.left_out_count, "question")
        warn(f"left out: {left_out} without a text, or of whose answers nothing is known")
    if dataset.unknown_document_ids:
        some = ", ".join(sorted(dataset.unknown_document_ids)[:3])
        unknown = counted(len(dataset.unknown_document_ids), "document")
        warn(f"the judgements name {unknown} that the corpus lacks, such as {some}")


def _add(trivium: Trivium, dataset: Dataset, collection: str) -> None:
    with _progress() as bar:
        task = bar.add_task("adding documents", total=None)
        failed = add_documents(trivium, dataset, collection, lambda _: bar.advance(task))
    for result in failed[:_SHOWN_FAILURES]:
        if result.error is not None:
            fail(f"{result.id}: {result.error.message} ({result.error.reason})")
    if failed:
        fail(
            f"{counted(len(failed), 'document')} could not be added, so nothing would be measured rightly; run it "
            "again once that is mended, those that are there cost little"
        )
        raise typer.Exit(1)


def _journal(
    out: Path, dataset: Dataset, asking: Asking, models: dict[str, str], *, fresh: bool
) -> Journal[Observation]:
    conditions = {
        "kind": KIND,
        "digest": dataset.digest,
        "collection": asking.collection,
        "answers": asking.answers,
        "mode": asking.mode,
        "models": models,
    }
    return go_on(Journal(out / JOURNAL_FILE, conditions, Observation.from_json), out, fresh=fresh)


def _ask(trivium: Trivium, dataset: Dataset, asking: Asking, journal: Journal[Observation]) -> Outcome:
    done_before = sum(one.id in journal.entries for one in dataset.questions)
    try:
        with _progress() as bar:
            task = bar.add_task("asking", total=len(dataset.questions), completed=done_before)
            return ask_all(trivium, dataset.questions, asking, journal, lambda: bar.advance(task))
    except KeyboardInterrupt:
        tell_interrupted(journal)
        raise


def _write(out: Path, report: dict[str, Any], dataset: Dataset) -> None:
    texts = {one.id: one.text for one in dataset.questions}
    pages = {"report.json": json.dumps(report, ensure_ascii=False, indent=1), "report.html": report_page(report, texts)}
    for name, text in pages.items():
        part = out / f".{name}"
        part.write_text(text, "utf-8")
        os.replace(part, out / name)


def _tell_failed(failed: dict[str, str]) -> None:
    for question_id, text in list(failed.items())[:_SHOWN_FAILURES]:
        fail(f"{question_id}: {text}")
    fail(f"not in the report: {counted(len(failed), 'question')} that failed; run it again to ask once more")


def _compare(before: Path, after: Path, *, as_json: bool) -> None:
    try:
        found = compare_reports(_read_report(before), _read_report(after))
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--compare") from None
    if as_json:
        print_json({name: asdict(one) | {"difference": one.value} for name, one in found.items()})
    else:
        show_comparison(found, stdout())


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not isinstance(report, dict) or report.get("kind") != KIND:
        raise ValueError(f"{path} is no report of this version; `trivium eval` writes them as report.json")
    return report


def _progress() -> Progress:
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)
