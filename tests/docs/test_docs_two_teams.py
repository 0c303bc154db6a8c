"""What docs/tenants.md tells two teams to enter works as it stands there, against what the compose file starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from docs.snippets import snippets
from docs.walkthrough import ROOT, steps
from e2e.stack import stacks_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack

_PAGE = ROOT / "docs" / "tenants.md"
_BEGIN, _END = "## Two teams, step by step", "## What a key may do"

_DOCKER = """#!/bin/bash
# In the place of containers: the same processes run already, and their gateway's /data is a folder here.
set -euo pipefail
case "$1 $2" in
  "compose up") ;;
  "compose exec") shift 4; exec bash -c "$(printf '%q ' "$@" | sed "s#/data/#{data}/#g")" ;;
  *) exit 64 ;;
esac
"""


def _gateway_variables() -> dict[str, str]:
    """What the compose file gives its gateway that is the same without containers: who may ask, above all."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    given = dict(one.split("=", 1) for one in services["gateway"]["environment"] if "=" in one)
    plain = {name: re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value) for name, value in given.items()}
    return {name: plain[name] for name in ("TRIVIUM_GATEWAY_AUTH", "TRIVIUM_GATEWAY_ALLOW_ANONYMOUS")}


@pytest.fixture(scope="module")
def keyed_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("teams")
    variables = {**_gateway_variables(), "TRIVIUM_GATEWAY_CACHE": "on"}
    assert variables["TRIVIUM_GATEWAY_AUTH"] == "keys"
    for make in stacks_in(lambda: folder):
        stack = make(**variables)
        stack.start()
        stack.wait_ready()
        yield stack


def test_two_teams_do_what_the_page_shows(keyed_stack: Stack, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    data = keyed_stack.environ["TRIVIUM_DATA_DIR"]
    (programs / "docker").write_text(_DOCKER.replace("{data}", data))
    (programs / "docker").chmod(0o755)
    (programs / "trivium").symlink_to(Path(sys.executable).parent / "trivium")
    environ = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TRIVIUM_GATEWAY": f"127.0.0.1:{keyed_stack.grpc_port}",
    }
    first, last = (_PAGE.read_text().split(mark)[0].count("\n") + 1 for mark in (_BEGIN, _END))
    blocks = [one for one in snippets(_PAGE, "console") if first < one.line < last]
    walk = [(block, command, shown) for block in blocks for command, shown in steps(block)]
    assert len(walk) > 20
    # One shell for all, as a reader has; what each command prints stands between marks.
    script = "set -uo pipefail\n" + "\n".join(
        f"echo '#{n}'\n{command} || exit" for n, (_, command, _) in enumerate(walk)
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    printed = re.split(r"^#\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for (block, command, shown), said in zip(walk, printed, strict=True):
        for line in shown:
            assert line in said, f"{block.name}: {command}\nshows no {line!r}, but:\n{said}\n{done.stderr[-1000:]}"
