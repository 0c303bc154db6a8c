"""scripts/setup installs with uv where that is, and with pip where uv would not find what pip finds."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In the places of an environment's python and of uv: write down what they are asked for.
PYTHON = """\
#!/bin/sh
case "$*" in *"config list"*) cat "$CONFIG"; exit 0 ;; esac
echo "pip $*" >> "$ASKED"
"""
UV = """\
#!/bin/sh
echo "uv $*" >> "$ASKED"
exit "$UV_STATUS"
"""


@pytest.mark.parametrize(
    ("config", "uv_status", "installers"),
    [
        ("", 0, ["uv"]),
        ("global.timeout='60'\n", 0, ["uv"]),
        ("global.index-url='https://packages.example.com/simple'\n", 0, ["pip"]),
        (":env:.find-links='/wheels'\n", 0, ["pip"]),
        ("", 2, ["uv", "pip"]),
    ],
    ids=["uv", "other settings", "an index of pip's", "folders of pip's", "uv fails"],
)
def test_setup_installs_with_uv_where_that_finds_the_same_packages(
    tmp_path: Path, config: str, uv_status: int, installers: list[str]
) -> None:
    for path, text in ((tmp_path / "venv/bin/python", PYTHON), (tmp_path / "bin/uv", UV)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    (tmp_path / "config").write_text(config)
    environ = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TRIVIUM_VENV": str(tmp_path / "venv"),
        "ASKED": str(tmp_path / "asked"),
        "CONFIG": str(tmp_path / "config"),
        "UV_STATUS": str(uv_status),
    }

    done = subprocess.run(
        ["scripts/setup", "client"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    asked = [line for line in (tmp_path / "asked").read_text().splitlines() if "requirements/client.txt" in line]
    assert [line.split()[0] for line in asked] == installers
    assert all("--no-build-isolation" in line for line in asked)
