"""The committed stubs are what the protos generate."""

from __future__ import annotations

import filecmp
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.py*") if "__pycache__" not in path.parts)


def test_stubs_regenerated_are_the_committed_ones(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "gen-protos", tmp_path], check=True, capture_output=True)

    fresh, committed = tmp_path / "trivium", ROOT / "protos" / "python" / "trivium"
    assert _files(fresh) == _files(committed)
    _, different, unreadable = filecmp.cmpfiles(fresh, committed, _files(fresh), shallow=False)
    assert (different, unreadable) == ([], []), "run `make protos` and commit the result"
