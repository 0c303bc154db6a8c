"""`trivium tune`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import Collection, Trivium
from trivium_client.cli.collections import NameArgument
from trivium_client.cli.going_on import JOURNAL_FILE, FreshOption, go_on, tell_interrupted
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import echo, print_json, stderr, warn
from trivium_client.evaluation.datasets import BadDataset, KnownQuestion, read_dataset
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.significance import Difference
from trivium_client.tuning.asking import Tried, digest_of
from trivium_client.tuning.confidence import FEWEST, Fitted
from trivium_client.tuning.known_items import known_items
from trivium_client.tuning.running import Tuned, tune
from trivium_client.tuning.searching import UnfitQuestions, Verdict

_KIND = "trivium-tune/1"
_DOCUMENTS = 200
# Minutes of work are not given up for a gateway that has more to do for a while, or answers slowly.
_RETRIES = 30
_SECONDS = 120.0


def tune_collection(
    name: NameArgument,
    questions: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A folder with queries.jsonl and qrels.tsv, as for `trivium eval`. The ids of its documents are the "
            "collection's.",
            show_default="questions made of its own documents",
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="NAME", help="Which judgements, where qrels is a folder.")] = "test",
    count: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=20,
            help="Ask so many, drawn at random, the same ones each time.",
            show_default="all of DIR, 200 that are made",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be set, and change nothing.")] = False,
    rollback: Annotated[
        bool,
        typer.Option("--rollback", help="Put the settings before those in force back in force, and do nothing else."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where to put what is needed to go on.", show_default="tune-NAME"),
    ] = None,
    callers: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="How many questions are asked at once.")] = 4,
    fresh: FreshOption = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the settings by which a collection is searched and judged best, and put them in force.

    Tries on the running stack how much vectors, words and the reranker should count, whether one of them had better be
    off, and how many candidates to rerank. With labelled questions, some of which have no answer, it also fits the
    scale of the confidence and the points below which an answer is marked or refused. One half of the questions
    chooses; nothing is set that is not better on the other half by more than chance. A run that breaks off goes on when
    it is started again.

    **Examples**

        trivium tune manuals --dry-run

        trivium tune manuals --questions labelled

        trivium tune manuals --rollback
    """
    if rollback and (dry_run or fresh or (questions, count, out) != (None, None, None)):
        raise typer.BadParameter("give it alone: it tries nothing, and changes the settings", param_hint="--rollback")
    with Trivium(gateway, timeout_seconds=_SECONDS, retries=_RETRIES) as trivium:
        if rollback:
            _show_rolled_back(trivium.roll_back_settings(name), as_json=as_json)
            return
        labelled = None if questions is None else _labelled(questions, split, count)
        console = stderr()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            reading = bar.add_task("reading documents", total=None, visible=labelled is None)
            asked = labelled or known_items(trivium, name, count or _DOCUMENTS, lambda: bar.advance(reading))
            asking = bar.add_task("asking", total=None)
            journal = _journal(trivium, name, asked, out or Path(f"tune-{name}"), fresh=fresh)
            try:
                tuned = tune(
                    trivium,
                    name,
                    asked,
                    are_made=labelled is None,
                    journal=journal,
                    caller_count=callers,
                    on_each=lambda: bar.advance(asking),
                )
            except UnfitQuestions as problem:
                hint = "NAME" if labelled is None else "--questions"
                raise typer.BadParameter(problem.message, param_hint=hint) from None
            except KeyboardInterrupt:
                tell_interrupted(journal)
                raise
        collection = None
        if tuned.settings and not dry_run:
            collection = trivium.update_collection(name, tuned.settings, note=tuned.note(), based_on=tuned.based_on)
            journal.begin_anew()  # it is of settings that are no longer in force
    if as_json:
        print_json(_json(tuned, collection))
    else:
        _show(tuned, collection, dry_run=dry_run)


def _journal(
    trivium: Trivium, name: str, questions: Sequence[KnownQuestion], out: Path, *, fresh: bool
) -> Journal[Tried]:
    collection = trivium.get_collection(name)
    settings = collection.settings
    conditions = {
        "kind": _KIND,
        "collection": name,
        "chunks": collection.chunk_count,
        "settings": dict(settings.values) if settings else {},
        "questions": digest_of(questions),
        "models": {stage.stage: stage.model for stage in trivium.status().stages},
    }
    return go_on(Journal(out / JOURNAL_FILE, conditions, Tried.from_json), out, fresh=fresh)


def _labelled(folder: Path, split: str, count: int | None) -> list[KnownQuestion]:
    try:
        dataset = read_dataset(folder, split=split, with_corpus=False).sample(count)
    except BadDataset as problem:
        raise typer.BadParameter(str(problem), param_hint="--questions") from None
    return list(dataset.questions)


def _show(tuned: Tuned, collection: Collection | None, *, dry_run: bool) -> None:
    echo(f"search\t{_said(tuned.search.reason, tuned.search.difference, 'nDCG@10')}")
    if tuned.search.settings:
        echo(f"\tbest on the half that chose: {_values(tuned.search.settings)}")
    if tuned.confidence is not None:
        echo(f"confidence\t{_said(tuned.confidence.reason, tuned.confidence.decisions, 'rightly decided')}")
    elif not tuned.are_made:
        warn(
            f"the confidence was left as it is: that takes {2 * FEWEST} questions with an answer and as many without, "
            "and a model whose scores are calibrated"
        )
    if not tuned.settings:
        echo("nothing is changed")
    elif collection is None or collection.settings is None:
        echo(f"would be set\t{_values(tuned.settings)}" if dry_run else f"set\t{_values(tuned.settings)}")
    else:
        echo(f"set, version {collection.settings.number}\t{_values(tuned.settings)}")
        stderr().print(f"`trivium tune {collection.name} --rollback` takes it back", soft_wrap=True)


def _show_rolled_back(collection: Collection, *, as_json: bool) -> None:
    if as_json:
        print_json(collection)
        return
    settings = collection.settings
    number, values = (settings.number, _values(settings.values)) if settings else (0, "")
    echo(f"in force, version {number}\t{values or 'nothing set'}")


def _said(reason: str, difference: Difference | None, measure: str) -> str:
    if difference is None:
        return reason
    return (
        f"{reason}: {measure} {difference.before:.3f} to {difference.after:.3f} "
        f"({difference.low:+.3f} to {difference.high:+.3f}, p {difference.chance:.3f}, {difference.count} questions)"
    )


def _values(settings: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in settings.items())


def _json(tuned: Tuned, collection: Collection | None) -> dict[str, Any]:
    return {
        "questions": tuned.questions,
        "made": tuned.are_made,
        "search": _verdict_json(tuned.search),
        "confidence": None if tuned.confidence is None else _fitted_json(tuned.confidence),
        "settings": dict(tuned.settings),
        "version": collection.settings.number if collection and collection.settings else None,
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "accepted": verdict.accepted,
        "reason": verdict.reason,
        "best": dict(verdict.settings),
        "difference": _difference_json(verdict.difference),
        "tried": [{"settings": dict(settings), "ndcg_at_10": value} for settings, value in verdict.tried],
    }


def _fitted_json(fitted: Fitted) -> dict[str, Any]:
    return {
        "reason": fitted.reason,
        "settings": dict(fitted.settings),
        "scale": _difference_json(fitted.scale),
        "decisions": _difference_json(fitted.decisions),
    }


def _difference_json(difference: Difference | None) -> dict[str, Any] | None:
    return None if difference is None else asdict(difference) | {"difference": difference.value}
