"""`trivium reindex`."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trivium_client import IndexComparison, ReindexEstimate, ReindexProgress, Trivium
from trivium_client._counting import counted
from trivium_client.cli.collections import NameArgument
from trivium_client.cli.failures import FAILED
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import echo, print_json, print_row, stderr, warn
from trivium_client.cli.patience import patiently


def reindex(
    name: NameArgument,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Change to this embedding model, or to that of the service of this name.",
            show_default="its own",
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say how long it takes, how much room and tokens, and change nothing.")
    ] = False,
    token_price: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="PRICE",
            help="What a million tokens cost at the model's API, for the estimate.",
            show_default=False,
        ),
    ] = 0.0,
    hour_price: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="PRICE",
            help="What an hour of the machine that embeds costs, for the estimate.",
            show_default=False,
        ),
    ] = 0.0,
    force: Annotated[
        bool, typer.Option("--force", help="Let the new index answer even if it finds less than the one before.")
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Let the index before the last change of the model answer again.")
    ] = False,
    discard_old: Annotated[
        bool,
        typer.Option(
            "--discard-old", help="Delete the index that does not answer: the one before, or one that is being made."
        ),
    ] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a collection anew from its stored text, with this version's analyzer of words or another embedding model.

    Questions are answered and documents taken all the while, and nothing is sent again. While the gateway or a service
    behind it is away, it waits, for up to five minutes. Where it breaks off, run it again: it goes on. It needs room
    for a second index.

    Without --model vectors stay as they are. Collections that need it say so in `trivium collections get`. Pieces
    without token vectors get them, also where nothing else is lacking, and then in place.

    With --model, documents are cut and embedded anew by a model that one of the gateway's embed services runs. Then
    both indexes are asked questions made of the documents, and those that people gave feedback on. The new one answers
    if it does not find less by more than chance; else the command ends with status 1, and --force has it answer all
    the same. The index before is kept until --discard-old. Given its own model, a collection is cut anew in this way
    if the lengths of pieces, or the rules for cutting, are others by now.

    **Examples**

        trivium reindex manuals

        trivium reindex manuals --model intfloat/multilingual-e5-small --estimate --hour-price 0.10

        trivium reindex manuals --model intfloat/multilingual-e5-small

        trivium reindex manuals --rollback
    """
    with Trivium(gateway) as trivium:
        if estimate:
            _show_estimate(_estimated(trivium, name, model), token_price, hour_price, as_json=as_json)
            return
        trivium.get_collection(name)  # so that a gateway that goes away from now on is one that was there
        if discard_old:
            patiently(lambda: trivium.discard_index(name))
            if not as_json:
                echo(f"discarded the index of {name} that did not answer")
            else:
                print_json({"name": name, "discarded": True})
            return
        if rollback:
            collection = patiently(lambda: trivium.roll_back_index(name))
            stderr().print(f"the index of {collection.model} answers again", soft_wrap=True)
        progress = _run(trivium, name, "" if rollback else model or "", force=force)
    if as_json:
        print_json(_json(name, progress))
    else:
        _show(name, progress)
    if progress.held:
        raise typer.Exit(FAILED)


def _estimated(trivium: Trivium, name: str, model: str | None) -> ReindexEstimate:
    if not model:
        raise typer.BadParameter("an estimate needs --model", param_hint="--estimate")
    return trivium.estimate_reindex(name, model)


def _run(trivium: Trivium, name: str, model: str, *, force: bool) -> ReindexProgress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = stderr()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("reindexing", total=None)
        while True:
            progress = patiently(lambda: trivium.reindex_collection(name, model=model, force=force))
            if progress.done or progress.held:
                return progress
            bar.update(task, completed=progress.done_count, total=progress.total_count)


def _show_estimate(estimate: ReindexEstimate, token_price: float, hour_price: float, *, as_json: bool) -> None:
    cost = estimate.token_count / 1e6 * token_price + estimate.seconds / 3600 * hour_price
    is_priced = bool(token_price or hour_price) and not estimate.same_model
    if as_json:
        print_json(asdict(estimate) | ({"cost": cost} if is_priced else {}))
        return
    print_row("model", estimate.model)
    print_row("pieces", estimate.piece_count)
    if estimate.same_model:
        print_row("nothing to do", "it makes the vectors that the collection has")
        return
    print_row("time", f"about {_duration(estimate.seconds)}, the longer the more questions come")
    print_row("room", f"about {estimate.bytes / 1e6:,.0f} MB for the second index")
    print_row("tokens", f"about {estimate.token_count / 1e6:,.2f} million")
    if is_priced:
        print_row("cost", f"about {cost:,.2f}, by the prices given")


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min" if seconds >= 60 else "a minute"


def _show(name: str, progress: ReindexProgress) -> None:
    if progress.comparison is not None:
        _show_comparison(progress.comparison)
    if progress.same_model:
        echo(f"nothing to do: the model makes the vectors that {name} has")
    elif progress.held:
        warn(
            f"the new index of {name} finds less and does not answer: --force has it answer all the same, "
            "--discard-old deletes it"
        )
    else:
        echo(f"reindexed {name}: {counted(progress.total_count, 'piece')}")


def _show_comparison(comparison: IndexComparison) -> None:
    print_row("before", comparison.model_before, f"nDCG@10 {comparison.before:.3f}")
    print_row("after", comparison.model_after, f"nDCG@10 {comparison.after:.3f}")
    asked = f"{comparison.made_count} questions made, {comparison.labelled_count} labelled"
    print_row("difference", f"{comparison.low:+.3f} to {comparison.high:+.3f}", asked)
    for document, why in comparison.failed:
        print_row("not taken", document, why)
    if comparison.failed_count > len(comparison.failed):
        print_row("not taken", f"{comparison.failed_count} documents in all")


def _json(name: str, progress: ReindexProgress) -> dict[str, Any]:
    return {
        "name": name,
        "pieces": progress.total_count,
        "held": progress.held,
        "same_model": progress.same_model,
        "comparison": asdict(progress.comparison) if progress.comparison else None,
    }
