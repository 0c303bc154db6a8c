"""`trivium doctor --fix`: what it finds in the data folder, and what is right after it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from trivium_client.cli.app import main

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a whole converted model, a damaged one, a half made one, and keys that others may read."""
    monkeypatch.setenv("TRIVIUM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRIVIUM_GATEWAY", "127.0.0.1:1")
    cache = tmp_path / "cache/openvino"
    for key, content in ((KEY, b"weights"), (OTHER, b"cut")):
        (cache / key).mkdir(parents=True)
        (cache / key / "model.bin").write_bytes(content)
        files = {"model.bin": hashlib.sha256(b"weights").hexdigest()}
        (cache / key / "manifest.json").write_text(json.dumps({"files": files, "refusal": ""}))
    (cache / f"{KEY}.x1y2").mkdir()
    (cache / f"{KEY}.lock").touch()
    (tmp_path / "settings.env").write_text("TRIVIUM_GENERATE_API_KEY=secret\n")
    (tmp_path / "settings.env").chmod(0o644)
    return tmp_path


def _doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[str, str]:
    monkeypatch.setattr(sys, "argv", ["trivium", "doctor", *options])
    with pytest.raises(SystemExit):
        main()
    output = capsys.readouterr()
    return output.out, output.err


def _told(out: str) -> list[str]:
    return [line for line in out.splitlines() if "\tdata folder\t" in line]


def test_doctor_tells_what_it_could_put_right_and_leaves_it(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(data.rglob("*"))
    found = _told(_doctor(monkeypatch, capsys)[0])

    assert len(found) == 3
    assert all(line.startswith("warning\t") and "trivium doctor --fix" in line for line in found)
    assert sorted(data.rglob("*")) == before
    assert stat.S_IMODE((data / "settings.env").stat().st_mode) == 0o644


def test_doctor_that_may_puts_it_right_says_so_and_keeps_what_is_whole(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = _doctor(monkeypatch, capsys, "--fix")

    assert err.count("put right: ") == 3
    assert [line.split("\t")[0] for line in _told(out)] == ["ok"]
    assert sorted(path.name for path in (data / "cache/openvino").iterdir()) == [KEY, f"{KEY}.lock"]
    assert stat.S_IMODE((data / "settings.env").stat().st_mode) == 0o600
    assert "secret" not in out + err


def test_conversion_that_runs_is_left_alone(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (data / f"cache/openvino/{KEY}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _doctor(monkeypatch, capsys, "--fix")

    assert (data / f"cache/openvino/{KEY}.x1y2").is_dir()
