"""Every example in Python of docs/sdk.md does what it says, against a running stack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docs.snippets import Snippet, run_python, snippets

if TYPE_CHECKING:
    from e2e.stack import Stack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"


@pytest.mark.parametrize("snippet", snippets(PAGE, "python"), ids=lambda snippet: snippet.name)
def test_example_of_the_sdk_page_runs(snippet: Snippet, stack: Stack, gateway: str, tmp_path: Path) -> None:
    (tmp_path / "manuals").mkdir()
    (tmp_path / "manuals" / "pump.md").write_text("# Pump\n\nDrain the pump before the winter.\n")

    printed = run_python(snippet, tmp_path, os.environ | {"TRIVIUM_GATEWAY": gateway})

    assert printed.strip(), "an example should show what it did"
