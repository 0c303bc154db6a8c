"""The commands of docs/operations.md that back up the volumes of docker compose, with a docker that knows only them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operations.md"
DOCKER = """#!/bin/bash
# Volumes are folders, a container is the name of its service, and what runs in one runs here.
echo "$@" >> "$CALLS"
if [ "$1" = compose ]; then
  case "$2" in ps) echo "$4" ;; stop | start) ;; *) exit 64 ;; esac
  exit
fi
[ "$1 $2 $3 $4 $5" = "run --rm --user 0 --volumes-from" ] && [ "$7" = -v ] && [ "$9" = --entrypoint ] || exit 64
service=$6 from=${8%%:*} entry=${10} && shift 11
exec "$entry" "${@//\\/backup\\//$from/}" >/dev/null < <(true)
"""
LOST = {"embed", "rerank", "generate", "models", "prometheus", "grafana"}
"""Volumes that a restart does not need, as docs/data.md says."""


def _commands(first: str) -> str:
    """The commands of the block that begins with one, up to the next start."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = (
        block for block in blocks if block.startswith("$ docker compose stop gateway qdrant") and first in block
    )
    return re.sub(r"^\$ ", "", found, flags=re.MULTILINE)


def _run(commands: str, folder: Path) -> None:
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "docker").write_text(DOCKER)
    (bin_ / "docker").chmod(0o755)
    # The paths of the containers are in folders of this test.
    for inside in ("/qdrant/storage", "/data"):
        commands = re.sub(rf"(?<=[: ]){inside}(?=[; \n])", f"{folder}/volumes{inside}", commands)
    environ = os.environ | {"PATH": f"{bin_}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    done = subprocess.run(
        ["bash", "-euc", commands], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes()) for path in files}


def test_volumes_are_packed_and_come_back_over_what_is_left(tmp_path: Path) -> None:
    volumes = tmp_path / "volumes"
    for name in ("qdrant/storage/collections/a/points", "data/gateway/keys.sqlite", "data/gateway/files/x/y.pdf"):
        path = volumes / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        path.chmod(0o600)
    before = _tree(volumes)

    _run(_commands("--entrypoint tar "), tmp_path)
    (volumes / "data/gateway/keys.sqlite").unlink()
    (volumes / "qdrant/storage/collections/a/points").write_bytes(b"broken")
    (volumes / "qdrant/storage/later").write_bytes(b"not of the backup")
    _run(_commands("--entrypoint sh "), tmp_path)

    assert _tree(volumes) == before
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if re.search(r" (stop|start) ", call)] == [
        "compose stop gateway qdrant",
        "compose start qdrant gateway",
    ] * 2, "nobody writes meanwhile"


def test_every_volume_of_compose_is_in_the_backup_or_said_to_be_needed_by_no_restart() -> None:
    volumes = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"])
    rows = [line.split("|") for line in (ROOT / "docs/data.md").read_text().splitlines() if line.startswith("| ")]
    needed = {name for row in rows if not row[5].strip().startswith("no") for name in re.findall(r"`(\w+)`", row[3])}

    packed = set(re.findall(r"(\w+):/", _commands("--entrypoint tar ").splitlines()[1]))
    assert packed == volumes - LOST
    assert needed & volumes == packed
    said = {name for row in rows if row[5].strip().startswith("no") for name in re.findall(r"`(\w+)`", row[3])}
    assert said >= LOST


def test_page_of_data_names_every_place_in_which_the_gateway_keeps_something() -> None:
    code = "".join(path.read_text() for path in (ROOT / "services/gateway/src").rglob("*.py"))
    places = set(re.findall(r'"(gateway/[\w.-]+)"', code))
    page = (ROOT / "docs/data.md").read_text()

    assert len(places) >= 7
    assert {place for place in places if f"`.data/{place}" not in page} == set()
