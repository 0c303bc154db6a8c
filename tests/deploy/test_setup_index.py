"""scripts/setup with pip itself, where a package index without a CPU build of torch is all that a machine reaches."""

from __future__ import annotations

import http.server
import os
import shutil
import subprocess
import threading
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def _publish(index: Path, name: str, version: str) -> None:
    """Puts a package without content on an index, as pages that name its wheel (PEP 503)."""
    page, info = index / name, f"{name}-{version}.dist-info"
    wheel = f"{name}-{version}-py3-none-any.whl"
    page.mkdir(parents=True)
    (page / "index.html").write_text(f'<a href="{wheel.replace("+", "%2B")}">{wheel}</a>')
    with zipfile.ZipFile(page / wheel, "w") as packed:
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[str]:
    """The address under which a folder of indexes is served."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _set_up(folder: Path, indexes: str, **choice: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Runs a copy of scripts/setup without torch yet, and tells which there is afterwards."""
    clone = folder / "clone"
    for path, text in {
        "requirements/embed.txt": "torch\n",
        "requirements/constraints.txt": "torch==2.13.0\n",
        "services/embed/pyproject.toml": "",
        "scripts/setup": (ROOT / "scripts/setup").read_text(),
    }.items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(text)
    (clone / "scripts/setup").chmod(0o755)
    for left in [*clone.glob(".venv/lib/*/site-packages/torch-*"), clone / ".venv/.trivium-setup"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "TRIVIUM_"))}
    environ |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"{indexes}/index",
        "TRIVIUM_TORCH_INDEX_URL": f"{indexes}/cpu",
        **choice,
    }
    ended = subprocess.run([clone / "scripts/setup", "embed"], env=environ, capture_output=True, text=True, check=False)
    python = clone / ".venv/bin/python"
    tell = "from importlib.metadata import version; print(version('torch'), end='')"
    return ended, subprocess.run([python, "-c", tell], capture_output=True, text=True, check=False).stdout


def test_setup_on_an_index_without_a_cpu_build_takes_what_there_is_unless_told_otherwise(
    tmp_path: Path, indexes: str
) -> None:
    for name, version in (("torch", "2.13.0"), ("hatchling", "1.27.0"), ("editables", "0.5")):
        _publish(tmp_path / "index", name, version)
    _publish(tmp_path / "cpu", "other", "1.0")

    ended, torch = _set_up(tmp_path, indexes)
    assert (ended.returncode, torch) == (0, "2.13.0"), ended.stderr
    [line] = ended.stderr.splitlines()
    assert "no CPU build of torch 2.13.0 can be reached; taking the package index's own" in line

    ended, torch = _set_up(tmp_path, indexes, TRIVIUM_TORCH="cpu")
    assert (ended.returncode, torch) == (1, "")
    assert "TRIVIUM_TORCH=any" in ended.stderr.splitlines()[-1]

    _publish(tmp_path / "cpu", "torch", "2.13.0+cpu")
    ended, torch = _set_up(tmp_path, indexes)
    assert (ended.returncode, torch, ended.stderr) == (0, "2.13.0+cpu", "")
