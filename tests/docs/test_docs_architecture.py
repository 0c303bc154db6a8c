"""The page that leads through the files leads to files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = re.compile(r"`([\w/-]+(?:\.(?:py|toml)|/))`(?:, `(\w+)`)?")
STREETS = re.compile(r"^(\w+)/  +\S", re.MULTILINE)
GATEWAY = "services/gateway/src/trivium_gateway"


@pytest.mark.parametrize("path", sorted({path for path, _ in FILES.findall(PAGE)}))
def test_architecture_names_a_file_that_there_is(path: str) -> None:
    # Of some only the name stands there, behind what names the folder.
    found = [ROOT / path, ROOT / GATEWAY / path, *ROOT.glob(f"*/*/src/*/{path}"), *ROOT.glob(f"*/*/src/*/*/*/{path}")]

    assert any(one.exists() for one in found)


@pytest.mark.parametrize(("path", "name"), sorted({found for found in FILES.findall(PAGE) if found[1]}))
def test_architecture_names_what_the_file_defines(path: str, name: str) -> None:
    source = next(one for one in (ROOT / GATEWAY / path, ROOT / path) if one.exists()).read_text(encoding="utf-8")

    assert re.search(rf"^(?:class|(?:async )?def) {name}\b", source, re.MULTILINE)


def test_architecture_draws_all_streets_of_the_gateway() -> None:
    folders = {path.parent.name for path in (ROOT / GATEWAY).glob("*/__init__.py")}

    # `app` puts the streets together, and `health` is drawn beside `gateway`.
    assert set(STREETS.findall(PAGE)) == folders - {"app", "health"}
