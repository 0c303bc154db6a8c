"""docs/models.md has the catalog's rows, and what the catalog says can be run, the services take."""

from __future__ import annotations

import importlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from trivium_catalog import CatalogEntry, catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "models.md"
KINDS = ("embed", "sparse", "rerank", "generate")
HEADS = {
    "embed": "| Model | Backend | Dimension | Tokens | Architecture | Prompts | Good for | Licence | Tested |",
    "sparse": "| Model | Backend | Tokens | Architecture | Good for | Licence | Tested |",
    "rerank": "| Model | Backend | Tokens | Architecture | Good for | Licence | Tested |",
    "generate": "| Model | Backend | Tokens | Weights | A token | Architecture | Good for | Licence | Tested |",
}
SETTINGS = {
    "embed": "trivium_embed.settings.EmbedSettings",
    "sparse": "trivium_embed.settings.EmbedSettings",
    "rerank": "trivium_rerank.settings.RerankSettings",
    "generate": "trivium_generate.settings.GenerateSettings",
}


def rows(kind: str) -> list[str]:
    """The table that the page should have for a kind, its head left out."""
    return [_row(entry) for entry in catalog() if entry.kind == kind]


def _row(entry: CatalogEntry) -> str:
    cells = [f"`{entry.name}`", f"`{entry.backend}`"]
    if entry.kind == "embed":
        least = f"{entry.least_dimension:,} to " if entry.least_dimension else ""
        cells.append(f"{least}{entry.dimension:,}")
    cells.append(_number(entry.max_tokens))
    if entry.kind == "generate":
        cells += [_size(entry.weights_gb, "GB"), _size(entry.cache_kib_per_token, "KiB")]
    cells.append(", ".join(filter(None, (entry.architecture, entry.pooling))) or "-")
    if entry.kind == "embed":
        cells.append(_prompts(entry))
    cells += [entry.good_for, entry.licence, f"cannot run: {entry.obstacle}" if entry.obstacle else entry.tested]
    return f"| {' | '.join(cells)} |"


def _number(value: int) -> str:
    return f"{value:,}" if value else "-"


def _size(value: float, unit: str) -> str:
    return f"{value:g} {unit}" if value else "-"


def _prompts(entry: CatalogEntry) -> str:
    shown = [f"`{prompt}`".replace("\n", r"\n") if prompt else "none" for prompt in _both(entry)]
    return "; ".join(shown) if set(shown) != {"none"} else "-"


def _both(entry: CatalogEntry) -> Iterable[str]:
    return (entry.prompts.query, entry.prompts.document)


@pytest.mark.parametrize("kind", KINDS)
def test_page_has_the_catalogs_rows(kind: str) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert HEADS[kind] in lines
    candidates = [index for index, line in enumerate(lines) if line == HEADS[kind]]
    tables = [_table(lines, index + 2) for index in candidates]
    expected = rows(kind)
    assert expected in tables, "the table should be:\n" + "\n".join(expected)


def _table(lines: list[str], start: int) -> list[str]:
    """The rows from a line on."""
    end = next((index for index in range(start, len(lines)) if not lines[index].startswith("|")), len(lines))
    return lines[start:end]


@pytest.mark.parametrize("entry", [entry for entry in catalog() if not entry.obstacle], ids=lambda entry: entry.name)
def test_backend_of_what_can_be_run_is_a_choice_of_its_service(entry: CatalogEntry) -> None:
    module, _, name = SETTINGS[entry.kind].rpartition(".")
    settings = getattr(importlib.import_module(module), name)
    (backend,) = (field for field in fields(settings) if field.name == "backend")
    assert entry.backend in backend.metadata["choices"]


if __name__ == "__main__":
    for a_kind in KINDS:
        print(HEADS[a_kind], *rows(a_kind), sep="\n")
