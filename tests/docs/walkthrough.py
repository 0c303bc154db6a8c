"""Follows pages as a reader would: every command and program of them in order, against the stack that `make up` starts.

Each line that a page shows below a command, or in a block of text below a program, has to be in what it prints; what
… stands for is not shown.

Run in a network namespace of its own, where the usual ports are free: python -m docs.walkthrough FOLDER PAGE...
FOLDER is a fresh clone, or empty: then it gets links to this one, and data of its own.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from docs.snippets import Snippet, snippets

ROOT = Path(__file__).resolve().parents[2]
START = "make up"

# Where the test of a command is that cannot run here.
ELSEWHERE = {
    "make demo": "tests/e2e/test_e2e_cli.py",
    "docker compose up -d": "tests/compose",
}

_PROMPT = re.compile(r"^\$ ", re.MULTILINE)


def steps(block: Snippet) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that are shown below it."""
    found = []
    for entered in _PROMPT.split(block.code)[1:]:
        lines = entered.splitlines()
        end = next(index for index, line in enumerate(lines) if not line.endswith("\\"))
        found.append(("\n".join(lines[: end + 1]), [line.strip("…") for line in lines[end + 1 :] if line.strip()]))
    return found


def follow(page: Path, folder: Path) -> None:
    """Runs a page's blocks in order.

    Raises:
        AssertionError: One fails, or does not print what the page shows.
    """
    printed = ""
    for block in snippets(page):
        if block.language == "console":
            for command, shown in steps(block):
                if command not in (*ELSEWHERE, START):
                    _run(block, command, ["bash", "-euo", "pipefail", "-c", command], folder, shown)
        elif block.language == "python":
            printed = _run(block, block.code, [".venv/bin/python", "-c", block.code], folder, [])
        elif block.language == "text":
            for line in block.code.splitlines():
                assert line in printed, f"{block.name}: {line!r} is not in what the program prints:\n{printed}"


def _run(block: Snippet, what: str, command: list[str], folder: Path, shown: list[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    said = f"{block.name}: {what}\n{done.stdout}{done.stderr}"
    assert done.returncode == 0, f"{said}\nended with {done.returncode}"
    for line in shown:
        assert line in done.stdout, f"{said}\ndoes not show {line!r}"
    return done.stdout


def _wait_ready(process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen("http://localhost:8080/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"`{START}` is not ready; its exit status is {process.poll()}")


def main(folder: Path, pages: list[Path]) -> None:
    """Starts the stack in a clone, and follows the pages there."""
    if not any(folder.iterdir()):
        _link(folder)
    with open(folder / "up.log", "wb") as log:
        stack = subprocess.Popen(START.split(), cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_ready(stack)
        for page in pages:
            follow(page, folder)
    finally:
        os.killpg(stack.pid, signal.SIGTERM)
        stack.wait(timeout=60)


def _link(folder: Path) -> None:
    """Makes a folder look like this clone, but with data of its own."""
    for entry in ROOT.iterdir():
        if entry.name != ".data":
            (folder / entry.name).symlink_to(entry)
    (folder / ".data").mkdir()
    for models in ("cache", "models"):  # converted once, not once per test
        (ROOT / ".data" / models).mkdir(parents=True, exist_ok=True)
        (folder / ".data" / models).symlink_to(ROOT / ".data" / models)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(page) for page in sys.argv[2:]])
