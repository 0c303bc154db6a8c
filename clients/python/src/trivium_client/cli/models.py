"""`trivium models`."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Column, Table
from trivium_catalog import CatalogEntry, catalog

from trivium_client.cli.options import JsonOption
from trivium_client.cli.output import print_json, print_row, stdout

_COLUMNS = ("Kind", Column("Model", no_wrap=True), "Backend", "Dimension", "Tokens", "Licence", "Tested", "Good for")


class Kind(StrEnum):
    """The services that run models."""

    EMBED = "embed"
    RERANK = "rerank"
    GENERATE = "generate"


KindOption = Annotated[
    Kind | None, typer.Option("--kind", "-k", help="Only models of this service.", show_default="all kinds")
]


def models(kind: KindOption = None, as_json: JsonOption = False) -> None:
    """List models that are known to fit, with their limits and licences. Others of the same kinds run as well.

    Nothing is asked of the gateway. *Tested* says what this version was tested with: the published weights, a tiny
    random model of the same architecture, or a server that speaks the API's protocol; a model that this version cannot
    run has the reason instead. With `--json` each model has its prompts and the settings that choose it.

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
    table = Table(*_COLUMNS, box=None, header_style="bold")
    for entry in found:
        table.add_row(*_cells(entry), style="dim" if entry.obstacle else "")
    console.print(table)


def _cells(entry: CatalogEntry) -> tuple[str, ...]:
    return (
        entry.kind,
        entry.name,
        entry.backend,
        str(entry.dimension or "-"),
        str(entry.max_tokens or "-"),
        entry.licence,
        f"cannot run: {entry.obstacle}" if entry.obstacle else entry.tested,
        entry.good_for,
    )


def _as_json(entry: CatalogEntry) -> dict[str, object]:
    return asdict(entry) | {"settings": list(entry.settings)}
