"""What README and tutorial tell a reader to enter works as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from docs.snippets import snippets
from docs.walkthrough import ELSEWHERE, ROOT, START, steps
from e2e.namespaces import alone, namespaces_work

if TYPE_CHECKING:
    from pathlib import Path

PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")


@pytest.mark.skipif(not namespaces_work(), reason="needs unshare, ip, and the right to make network namespaces")
def test_readme_and_tutorial_entered_as_they_stand_do_what_they_show(tmp_path: Path) -> None:
    # What `make up` would do first, or it would install from the folder of links that the walk takes place in.
    subprocess.run(["scripts/setup", "dev"], cwd=ROOT, check=True)
    command = alone(sys.executable, "-m", "docs.walkthrough", str(tmp_path), *map(str, PAGES))

    outcome = subprocess.run(command, cwd=ROOT / "tests", capture_output=True, text=True, timeout=280, check=False)

    log = (tmp_path / "up.log").read_text(errors="replace") if (tmp_path / "up.log").exists() else ""
    assert outcome.returncode == 0, f"{outcome.stderr[-4000:]}\n{log[-2000:]}"


def test_pages_show_what_each_question_is_answered() -> None:
    for page in PAGES:
        blocks = snippets(page)
        for block, below in zip(blocks, [*blocks[1:], None], strict=True):
            if block.language == "python" and ".ask(" in block.code:
                assert below is not None, block.name
                assert below.language == "text", f"{block.name} does not show what it prints"
            for command, shown in steps(block) if block.language == "console" else ():
                if re.search(r"trivium (ask|chat|search)|/v1/(answer|chat)", command):
                    said = [line for line in shown if not re.fullmatch(r'\[\d+\]|"\w+"', line)]
                    assert said, f"{block.name}: {command} shows nothing of the answer"


def test_pages_start_the_stack_and_name_no_command_without_a_test() -> None:
    commands = [command for page in PAGES for block in snippets(page, "console") for command, _ in steps(block)]

    assert START in commands
    assert set(ELSEWHERE) <= set(commands)
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())
