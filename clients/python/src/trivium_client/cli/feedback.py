"""`trivium feedback`."""

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Literal

import typer
from rich.text import Text

from trivium_client import Feedback, Trivium
from trivium_client._counting import counted
from trivium_client.cli.command import App
from trivium_client.cli.options import CollectionOption, GatewayOption, JsonOption, refuse_options_before_command
from trivium_client.cli.output import echo, print_json, print_row, stderr, stdout
from trivium_client.cli.traces import RequestArgument

feedback_app = App(no_args_is_help=False)

_RATINGS = {1: "up", -1: "down"}


@feedback_app.callback(invoke_without_command=True)
def feedback(context: typer.Context, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Say whether answers are right, and make labelled questions of what was said. Without a command: list.

    **Examples**

        trivium feedback up 5f0c2b9a1d

        trivium feedback down 5f0c2b9a1d --answer "36 months" --document warranty.pdf

        trivium feedback export labelled
    """
    if context.invoked_subcommand is None:
        list_feedback(gateway, as_json)
    else:
        refuse_options_before_command(context)


CommentOption = Annotated[str, typer.Option("--comment", metavar="TEXT", help="What to say of it.")]
AnswerOption = Annotated[str, typer.Option("--answer", metavar="TEXT", help="The right answer.")]
DocumentOption = Annotated[
    list[str] | None,
    typer.Option("--document", metavar="ID", help="A document that answers the question; may be repeated."),
]


@feedback_app.command("up")
def thumb_up(
    request: RequestArgument,
    comment: CommentOption = "",
    answer: AnswerOption = "",
    document: DocumentOption = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that an answer is right.

    **Examples**

        trivium feedback up 5f0c2b9a1d --comment "to the point"
    """
    _give(request, 1, comment, answer, document, gateway, as_json=as_json)


@feedback_app.command("down")
def thumb_down(
    request: RequestArgument,
    comment: CommentOption = "",
    answer: AnswerOption = "",
    document: DocumentOption = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that an answer is wrong, and what is right.

    **Examples**

        trivium feedback down 5f0c2b9a1d --answer "36 months" --document warranty.pdf
    """
    _give(request, -1, comment, answer, document, gateway, as_json=as_json)


@feedback_app.command("list")
def list_feedback(gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """List what was said, the oldest first: request, rating, collection, question, right answer, right documents.

    **Examples**

        trivium feedback list --json | jq -r '.[] | select(.rating == -1) | .question'
    """
    with Trivium(gateway) as trivium:
        found = list(trivium.list_feedback())
    if as_json:
        print_json([_plain(one) for one in found])
        return
    console = stdout()
    for one in found:
        row = (one.request_id, _RATINGS.get(one.rating, "?"), one.collection, one.question, one.answer)
        documents = " ".join(one.document_ids)
        if console.is_terminal:
            right = ", ".join(part for part in (one.answer, documents, one.comment) if part)
            console.print(
                Text.assemble(f"{row[0]}  {row[1]:<4}  ", (one.question, "bold"), f"  {right}"), soft_wrap=True
            )
        else:
            print_row(*row, documents)


@feedback_app.command("delete")
def delete_feedback(request: RequestArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Delete what was said of an answer.

    **Examples**

        trivium feedback delete 5f0c2b9a1d
    """
    with Trivium(gateway) as trivium:
        count = trivium.delete_feedback(request)
    if as_json:
        print_json({"deleted": count})
    else:
        echo(f"deleted {count}")


@feedback_app.command("export")
def export_feedback(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.", show_default=False)],
    collection: CollectionOption = "",
    judged_only: Annotated[
        bool, typer.Option("--judged-only", help="Leave out the documents that no question is about.")
    ] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a set of labelled questions: queries.jsonl, qrels.tsv and corpus.jsonl, as BEIR has them.

    A thumb up says that the documents cited are right, or that a refusal is; a corrected answer or document says what
    would be. A thumb down alone says nothing of that, and is left out.

    **Examples**

        trivium feedback export labelled --collection manuals
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise typer.BadParameter(f"{folder} is there already; name a new or empty folder", param_hint="DIR")
    counts: dict[str, int] = {}
    with Trivium(gateway) as trivium, ExitStack() as opened, stderr().status("exporting", spinner_style="cyan"):
        files: dict[str, IO[bytes]] = {}
        for piece in trivium.export_feedback(collection=collection, judged_only=judged_only):
            name = Path(piece.file).name  # whatever the gateway says, it stays in the folder
            if name not in files:
                folder.mkdir(parents=True, exist_ok=True)
                files[name] = opened.enter_context((folder / name).open("wb"))
            files[name].write(piece.lines)
            counts[name] = counts.get(name, 0) + piece.lines.count(b"\n")
    questions, documents = counts.get("queries.jsonl", 0), counts.get("corpus.jsonl", 0)
    if as_json:
        print_json({"folder": str(folder), "questions": questions, "documents": documents})
    else:
        echo(f"wrote {counted(questions, 'question')} and {counted(documents, 'document')} to {folder}")


def _give(
    request: str,
    rating: Literal[-1, 1],
    comment: str,
    answer: str,
    document: list[str] | None,
    gateway: str | None,
    *,
    as_json: bool,
) -> None:
    with Trivium(gateway) as trivium:
        kept = trivium.give_feedback(request, rating, comment=comment, answer=answer, document_ids=document or [])
    if as_json:
        print_json(_plain(kept))
    else:
        echo(f"kept: {_RATINGS[rating]} for “{kept.question}”")


def _plain(feedback: Feedback) -> dict[str, object]:
    return {
        "request_id": feedback.request_id,
        "rating": feedback.rating,
        "comment": feedback.comment,
        "answer": feedback.answer,
        "document_ids": list(feedback.document_ids),
        "question": feedback.question,
        "collection": feedback.collection,
        "given_answer": feedback.given_answer,
        "cited_document_ids": list(feedback.cited_document_ids),
        "refused": feedback.refused,
        "user": feedback.user or None,
        "created_at": f"{feedback.created_at:%Y-%m-%dT%H:%M:%SZ}",
    }
