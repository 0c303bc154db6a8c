"""The code blocks of documentation pages, and a way to run those in Python as a reader would: each one by itself."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FENCE = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A code block of a page.

    Attributes:
        page: The page's name.
        line: Line of its first line of code, from 1.
        language: What stands after the fence; empty if nothing.
        code: Its text.
    """

    page: str
    line: int
    language: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(page: Path, language: str = "") -> list[Snippet]:
    """The code blocks of a page, or those in one language, in order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Snippet(page.name, text.count("\n", 0, match.start("code")) + 1, match["language"], match["code"])
        for match in _FENCE.finditer(text)
    ]
    return [snippet for snippet in found if language in ("", snippet.language)]


def run_python(snippet: Snippet, folder: Path, environ: Mapping[str, str], *, timeout_seconds: float = 120) -> str:
    """Runs a snippet in a process of its own, in a folder, and returns what it printed.

    Raises:
        AssertionError: If it fails, with what it said.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", snippet.code],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, f"{snippet.name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
