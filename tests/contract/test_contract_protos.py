"""The committed stubs are what the protos generate, and other languages find their packages in them."""

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


def test_every_proto_names_the_packages_of_go_and_java() -> None:
    protos = sorted((ROOT / "protos" / "trivium").rglob("*.proto"))
    assert protos
    for path in protos:
        package = path.parent.relative_to(ROOT / "protos").as_posix()
        text = path.read_text(encoding="utf-8")
        name = "".join(package.split("/")[1:])
        assert f'option go_package = "{package};{name}";' in text, path
        assert "option java_multiple_files = true;" in text, path
        assert f'option java_package = "{package.replace("/", ".")}";' in text, path
