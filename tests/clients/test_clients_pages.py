"""Every example in Python of the pages on rerank and MCP does what it says, against a running stack."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from docs.snippets import Snippet, run_python, snippets

DOCS = Path(__file__).resolve().parents[2] / "docs"
ADDRESS = "http://127.0.0.1:8080"
EXAMPLES = [snippet for page in ("rerank.md", "mcp.md") for snippet in snippets(DOCS / page, "python")]


@pytest.mark.parametrize("snippet", EXAMPLES, ids=lambda snippet: snippet.name)
def test_example_of_the_page_runs(snippet: Snippet, base_url: str, tmp_path: Path) -> None:
    assert ADDRESS in snippet.code
    code = snippet.code.replace(ADDRESS, base_url.rstrip("/"))

    printed = run_python(replace(snippet, code=code), tmp_path, os.environ)

    assert printed.strip(), "an example should show what it did"
