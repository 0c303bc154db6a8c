"""`trivium ask` and `trivium search`."""

from enum import StrEnum
from typing import Annotated

import typer

from trivium_client import Trivium
from trivium_client.cli.answers import from_several, print_answer, print_costs, result_console, source_line
from trivium_client.cli.evidence import excerpt
from trivium_client.cli.options import (
    CandidatesOption,
    CollectionsOption,
    FilterOption,
    GatewayOption,
    JsonOption,
    TopNOption,
    asked_in,
    parse_filter,
)
from trivium_client.cli.output import print_degraded, print_json, stderr, stdout, timings_line
from trivium_client.cli.standard_input import text_or_standard_input

_EXCERPT_LINES = 4


class Mode(StrEnum):
    """By which means an answer is written."""

    auto = "auto"
    model = "model"
    extractive = "extractive"


class RefusalChoice(StrEnum):
    """What becomes of a question that the documents hardly answer."""

    off = "off"
    mark = "mark"
    refuse = "refuse"


ModeOption = Annotated[
    Mode,
    typer.Option(
        metavar="auto|model|extractive",
        help="Written by the language model if it can be (auto), by it or not at all (model), or from the "
        "sentences of the passages (extractive).",
    ),
]


def ask(
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", help="The question; - reads it from standard input.", show_default=False),
    ],
    collections: CollectionsOption = None,
    top_n: TopNOption = None,
    candidates: CandidatesOption = None,
    conditions: FilterOption = None,
    mode: ModeOption = Mode.auto,
    refusal: Annotated[
        RefusalChoice | None,
        typer.Option(
            metavar="off|mark|refuse",
            help="What becomes of a question that the documents hardly answer: answered as any other, answered and "
            "marked, or refused. Default: as the gateway is set.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Leave out the sentences that no source supports.")] = False,
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

        trivium ask -c manuals -c tickets "Which pumps fail in winter?"

        trivium ask - < question.txt
    """
    question = text_or_standard_input(question, "question")
    with Trivium(gateway) as trivium:
        events = trivium.ask_stream(
            question,
            **asked_in(collections),
            top_n=top_n,
            candidates=candidates,
            filter=parse_filter(conditions),
            mode=mode.value,
            refusal=refusal.value if refusal else None,
            strict=strict,
        )
        answer = print_answer(events, result_console(as_json=as_json))
    if as_json:
        print_json(answer)
    else:
        print_costs(answer)


def search(
    query: Annotated[
        str,
        typer.Argument(metavar="QUERY", help="What to look for; - reads it from standard input.", show_default=False),
    ],
    collections: CollectionsOption = None,
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
    query = text_or_standard_input(query, "query")
    with Trivium(gateway) as trivium, stderr().status("searching", spinner_style="cyan"):
        found = trivium.retrieve(
            query,
            **asked_in(collections),
            top_n=top_n,
            candidates=candidates,
            filter=parse_filter(conditions),
            rerank=rerank,
        )
    if as_json:
        print_json(found)
        return
    console = stdout()
    several = from_several(found.passages)
    for number, passage in enumerate(found.passages, 1):
        console.print(source_line(number, passage, cited=True, with_collection=several), soft_wrap=True)
        if console.is_terminal:
            console.print(excerpt(passage, query))
        else:
            console.print(_first_lines(passage.text), soft_wrap=True)
    print_degraded(found.degraded)
    aside = stderr()
    if not found.passages:
        aside.print("nothing found", style="yellow")
    if aside.is_terminal:
        aside.print(f"{timings_line(found)} · request {found.request_id}", style="dim", soft_wrap=True)


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    more = " …" if len(lines) > _EXCERPT_LINES else ""
    return "\n".join(f"    {line}" for line in lines[:_EXCERPT_LINES]) + more
