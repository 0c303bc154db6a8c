"""docs/cli.md: every command and option of the command is in it, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_page_of_the_command_is_current() -> None:
    outcome = subprocess.run(
        [sys.executable, "-m", "reference.command", "--check"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert outcome.returncode == 0, outcome.stderr
