"""`trivium models`."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from trivium_catalog import CatalogEntry, catalog

from trivium_client.cli.options import JsonOption
from trivium_client.cli.output import print_json, print_row, stdout

_TESTED = {
    "weights": "tested with its weights",
    "architecture": "tested with its architecture",
    "protocol": "tested with its protocol",
    "no": "not tested",
}
# KiB per token make so many MB per 1,000 tokens.
_CACHE_MB = 1.024
# Longest model name that the table makes room for; a longer one only pushes its own numbers aside.
_LONGEST_NAME = 46


class Kind(StrEnum):
    """What models are for: a service's own, or the learned sparse vectors that embed gives as well."""

    EMBED = "embed"
    SPARSE = "sparse"
    RERANK = "rerank"
    GENERATE = "generate"


KindOption = Annotated[
    Kind | None,
    typer.Option(
        "--kind",
        "-k",
        metavar="embed|sparse|rerank|generate",
        help="Only models of this kind.",
        show_default="all kinds",
    ),
]


def models(kind: KindOption = None, as_json: JsonOption = False) -> None:
    """List models that are known to fit, with their limits and licences. Others of the same kinds run as well.

    Nothing is asked of the gateway. *Tested* says what this version was tested with: the published weights, a tiny
    random model of the same architecture, or a server that speaks the API's protocol; a model that this version cannot
    run has the reason instead. *Weights* are what a language model takes in the precision in which it is published, and
    *KV/1k* what 1,000 tokens of each answer in progress take beside them. With `--json` each model has its prompts and
    the settings that choose it.

    **Examples**

        trivium models --kind rerank

        trivium models --json | jq -r '.models[] | select(.name == "BAAI/bge-reranker-base") | .settings[]'
    """
    found = [entry for entry in catalog() if kind is None or entry.kind == kind]
    if as_json:
        print_json({"models": [_as_json(entry) for entry in found]})
        return
    console = stdout()
    if not console.is_terminal:
        for entry in found:
            print_row(*_cells(entry))
        return
    for shown in Kind:
        if entries := [entry for entry in found if entry.kind == shown]:
            _print_models(console, shown, entries)


def _print_models(console: Console, kind: Kind, entries: list[CatalogEntry]) -> None:
    """Prints the models of a kind, each with its numbers below the others' and then what is to be said of it."""
    width = max((len(entry.name) for entry in entries if len(entry.name) <= _LONGEST_NAME), default=_LONGEST_NAME)
    headings = ("Tokens", "Weights", "KV/1k") if kind is Kind.GENERATE else ("Tokens", "Dimension")
    console.print(Text(f"{kind:{width}}" + "".join(f"{heading:>10}" for heading in headings), style="bold"))
    for entry in entries:
        style = "dim" if entry.obstacle else ""
        memory = (_weights(entry), _cache(entry))
        numbers = (str(entry.max_tokens or "-"), *(memory if kind is Kind.GENERATE else (str(entry.dimension or "-"),)))
        console.print(Text(f"{entry.name:{width}}" + "".join(f"{number:>10}" for number in numbers), style=style))
        tested = _tested(entry) if entry.obstacle else _TESTED[entry.tested]
        note = " · ".join((entry.backend, entry.good_for, entry.licence, tested))
        console.print(Padding(Text(note, style="dim"), (0, 0, 0, 2)))


def _cells(entry: CatalogEntry) -> tuple[str, ...]:
    return (
        entry.kind,
        entry.name,
        entry.backend,
        str(entry.dimension or "-"),
        str(entry.max_tokens or "-"),
        entry.licence,
        _tested(entry),
        entry.good_for,
        _weights(entry),
        _cache(entry),
    )


def _tested(entry: CatalogEntry) -> str:
    return f"cannot run: {entry.obstacle}" if entry.obstacle else entry.tested


def _weights(entry: CatalogEntry) -> str:
    return f"{entry.weights_gb:g} GB" if entry.weights_gb else "-"


def _cache(entry: CatalogEntry) -> str:
    """What 1,000 tokens take."""
    return f"{entry.cache_kib_per_token * _CACHE_MB:.0f} MB" if entry.cache_kib_per_token else "-"


def _as_json(entry: CatalogEntry) -> dict[str, object]:
    return asdict(entry) | {"settings": list(entry.settings)}
