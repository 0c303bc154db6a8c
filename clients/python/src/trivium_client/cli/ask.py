"""`trivium ask` and `trivium search`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trivium_client import Answer, AnswerDelta, AnswerEvent, InternalError, Passage, Trivium
from trivium_client.cli.options import (
    CandidatesOption,
    CollectionOption,
    FilterOption,
    GatewayOption,
    JsonOption,
    TopNOption,
    parse_filter,
)
from trivium_client.cli.output import print_degraded, print_json, stderr, stdout, timings_line

_CITATION = re.compile(r"\[\d+\]")
_EXCERPT_LINES = 4


class Mode(StrEnum):
    """By which means an answer is written."""

    auto = "auto"
    model = "model"
    extractive = "extractive"


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question.", show_default=False)],
    collection: CollectionOption = "",
    top_n: TopNOption = None,
    candidates: CandidatesOption = None,
    conditions: FilterOption = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="Written by the language model if it can be (auto), by it or not at all (model), or from the "
            "sentences of the passages (extractive)."
        ),
    ] = Mode.auto,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question from the documents, with sources.

    The answer streams to standard output, then its sources; `[n]` in the answer is source n. What was done by the next
    best means, because a stage is down or slow, is said on standard error.

    **Examples**

        trivium ask "How long does the warranty last?"

        trivium ask --filter '{"metadata.year": {"gte": 2024}}' "What changed in the last release?"

        trivium ask --json "Who wrote this?" | jq -r .answer
    """
    with Trivium(gateway) as trivium:
        events = trivium.ask_stream(
            question,
            collection=collection,
            top_n=top_n,
            candidates=candidates,
            filter=parse_filter(conditions),
            mode=mode.value,
        )
        answer = print_answer(events, Console(quiet=True) if as_json else stdout())
    aside = stderr()
    if as_json:
        print_json(answer)
    elif aside.is_terminal:
        writer = f" · {answer.model}" if answer.model else ""
        aside.print(f"\n{timings_line(answer.timings)}{writer}", style="dim", soft_wrap=True)


def print_answer(events: Iterable[AnswerEvent], console: Console) -> Answer:
    """Prints an answer as it is written, then its sources and what was degraded; returns the whole."""
    for event in events:
        if isinstance(event, AnswerDelta):
            console.print(_with_citations(event.text), end="", soft_wrap=True)
        elif isinstance(event, Answer):
            _print_evidence(event, console)
            return event
    raise InternalError("the gateway ended the answer without its summary", reason="INCOMPLETE_RESPONSE")


def _print_evidence(answer: Answer, console: Console) -> None:
    console.print()
    cited = {citation.index for citation in answer.citations}
    if answer.passages:
        console.print("\nSources", style="bold")
    for number, passage in enumerate(answer.passages, 1):
        console.print(_source_line(number, passage, cited=number in cited), soft_wrap=True)
    print_degraded(answer.degraded)


def search(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="What to look for.", show_default=False)],
    collection: CollectionOption = "",
    top_n: TopNOption = None,
    candidates: CandidatesOption = None,
    conditions: FilterOption = None,
    rerank: Annotated[bool, typer.Option("--rerank/--no-rerank", help="Whether to rerank the candidates.")] = True,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that answer a query, without writing an answer.

    **Examples**

        trivium search "warranty period"

        trivium search -n 20 --no-rerank --json "warranty period"
    """
    with Trivium(gateway) as trivium:
        found = trivium.retrieve(
            query,
            collection=collection,
            top_n=top_n,
            candidates=candidates,
            filter=parse_filter(conditions),
            rerank=rerank,
        )
    if as_json:
        print_json(found)
        return
    console = stdout()
    for number, passage in enumerate(found.passages, 1):
        console.print(_source_line(number, passage, cited=True), soft_wrap=True)
        console.print(_excerpt(passage.text), style="dim", soft_wrap=True)
    print_degraded(found.degraded)
    aside = stderr()
    if not found.passages:
        aside.print("nothing found", style="yellow")
    if aside.is_terminal:
        aside.print(timings_line(found.timings), style="dim", soft_wrap=True)


def _with_citations(text: str) -> Text:
    shown = Text(text)
    shown.highlight_regex(_CITATION, "bold cyan")
    return shown


def _source_line(number: int, passage: Passage, *, cited: bool) -> Text:
    name = passage.title or passage.document_id
    place = passage.uri or (passage.document_id if passage.title else "")
    return Text.assemble(
        (f"[{number}]", "bold cyan" if cited else "dim"),
        (f" {passage.score:.2f} ", "green" if cited else "dim"),
        (name, "bold" if cited else ""),
        (f"  {place}" if place else "", "dim"),
    )


def _excerpt(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    more = " …" if len(lines) > _EXCERPT_LINES else ""
    return "\n".join(f"    {line}" for line in lines[:_EXCERPT_LINES]) + more
