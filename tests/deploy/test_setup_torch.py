"""Which build of torch scripts/setup asks for, on a machine with a package index that has no CPU build of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PROGRESS = ("setup: installing", "setup: after", "setup: done")

# In the place of an environment's python: writes down what pip is asked for, and refuses every CPU build.
PYTHON = """\
#!/bin/sh
case "$*" in *'version("torch")'*) cat "$FOUND" 2>/dev/null; exit 0 ;; esac
echo "$*" >> "$ASKED"
case "$*" in
  *uninstall*) ;;
  *+cpu*) echo "WARNING: Retrying" >&2; echo "ERROR: No matching distribution found for torch" >&2; exit 1 ;;
  *" -r "*)
    for word in "$@"; do
      case $word in */requirements/*.txt) cat "$(dirname "$word")"/*.txt > "$READ" ;; esac
    done ;;
esac
"""


@dataclass
class Setup:
    """How it ended.

    Attributes:
        status: Its exit status.
        said: What it wrote.
        asked: What pip was asked for.
        read: The files of requirements that pip read, if they are not the repository's.
    """

    status: int
    said: list[str]
    asked: list[str]
    read: str


def run(folder: Path, profile: str, choice: str | None, installed: str = "") -> Setup:
    """Runs scripts/setup with an environment in a folder."""
    python = folder / "venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    asked, read, found = folder / "asked", folder / "read", folder / "found"
    for path in (asked, read):
        path.write_text("")
    found.write_text(installed)
    environment = {name: value for name, value in os.environ.items() if name != "TRIVIUM_TORCH"}
    environment |= {"TRIVIUM_VENV": str(folder / "venv"), "ASKED": str(asked), "READ": str(read), "FOUND": str(found)}
    if choice is not None:
        environment["TRIVIUM_TORCH"] = choice
    ended = subprocess.run(
        [ROOT / "scripts/setup", profile], env=environment, capture_output=True, text=True, check=False
    )
    said = [line for line in (ended.stdout + ended.stderr).splitlines() if not line.startswith(_PROGRESS)]
    return Setup(ended.returncode, said, asked.read_text().splitlines(), read.read_text())


def test_setup_without_a_cpu_build_says_so_in_a_line_and_takes_the_indexs_own(tmp_path: Path) -> None:
    setup = run(tmp_path, "encoders", None)
    assert setup.status == 0
    [line] = setup.said
    assert "no CPU build of torch" in line
    assert "3 GB" in line
    assert "+cpu" not in setup.asked[-1]

    assert run(tmp_path, "encoders", None).asked == []  # it is up to date, whoever chose


def test_setup_asked_for_a_cpu_build_alone_fails_and_says_what_helps(tmp_path: Path) -> None:
    setup = run(tmp_path, "encoders", "cpu")
    assert setup.status == 1
    assert "No matching distribution" in "\n".join(setup.said)
    assert "TRIVIUM_TORCH_INDEX_URL" in setup.said[-1]
    assert "TRIVIUM_TORCH=any" in setup.said[-1]


def test_setup_asked_for_any_build_asks_for_no_cpu_build_and_keeps_to_it(tmp_path: Path) -> None:
    setup = run(tmp_path, "encoders", "any", installed="2.13.0+cpu")
    assert (setup.status, setup.said) == (0, [])
    assert not [line for line in setup.asked if "+cpu" in line]
    assert any(
        "uninstall" in line and line.endswith("torch") for line in setup.asked
    )  # it would satisfy the constraint

    assert run(tmp_path, "encoders", None).asked == []


def test_setup_of_vllm_with_the_indexs_torch_leaves_triton_to_it(tmp_path: Path) -> None:
    setup = run(tmp_path, "generate-vllm", "any")
    assert setup.status == 0
    assert "torch==" in setup.read
    assert "triton==" not in setup.read


@pytest.mark.parametrize("choice", ["gpu", "CPU"])
def test_setup_choice_that_is_none_is_refused(tmp_path: Path, choice: str) -> None:
    setup = run(tmp_path, "encoders", choice)
    assert (setup.status, setup.asked) == (1, [])
    assert "TRIVIUM_TORCH" in setup.said[-1]
