"""Converted models: made once, checked, made again when damaged."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import openvino.frontend  # type: ignore[import-untyped]
import pytest
from trivium_encoders import ConversionFailed, EncoderClosed, TextEncoder, convert
from trivium_encoders.cache_entries import read_entry
from trivium_encoders.children import REFUSED_STATUS
from trivium_encoders.conversion import conversion_key, converted
from trivium_encoders.description import ModelDescription, describe
from trivium_encoders.resolution import resolve

CONVERT = """
import logging, sys
from pathlib import Path
from trivium_encoders.conversion import converted
from trivium_encoders.description import describe
from trivium_encoders.resolution import resolve
logging.basicConfig(level="INFO")
print(converted(describe(resolve(sys.argv[1])), "hidden", Path(sys.argv[2])).graph)
"""


@pytest.fixture
def model(tiny_models: Any) -> ModelDescription:
    """A tiny model."""
    return describe(resolve(str(tiny_models.transformer())))


@pytest.fixture
def entry(model: ModelDescription, cache_dir: Path, tmp_path: Path) -> Path:
    """A copy of its whole converted form, in a cache of the test's own."""
    original = converted(model, "hidden", cache_dir).graph.parent
    copy = tmp_path / "openvino" / original.name
    shutil.copytree(original, copy)
    return copy


def _cut_weights(entry: Path) -> None:
    content = (entry / "model.bin").read_bytes()
    (entry / "model.bin").write_bytes(content[: len(content) // 2])


def _flip_a_bit(entry: Path) -> None:
    content = bytearray((entry / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (entry / "model.bin").write_bytes(content)


def _lose_graph(entry: Path) -> None:
    (entry / "model.xml").unlink()


def _garble_manifest(entry: Path) -> None:
    (entry / "manifest.json").write_text("{")


def _change_manifest_kind(entry: Path) -> None:
    (entry / "manifest.json").write_text("[]")


def _lose_manifest(entry: Path) -> None:
    (entry / "manifest.json").unlink()


@pytest.mark.parametrize(
    "damage", [_cut_weights, _flip_a_bit, _lose_graph, _garble_manifest, _change_manifest_kind, _lose_manifest]
)
def test_read_damaged_entry_counts_as_missing(entry: Path, damage: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read_entry(entry) is not None
    damage(entry)
    assert read_entry(entry) is None
    assert "is damaged" in caplog.text


def test_converted_damaged_entry_and_two_processes_at_once_convert_once(
    model: ModelDescription, entry: Path, tmp_path: Path
) -> None:
    _flip_a_bit(entry)
    command = [sys.executable, "-c", CONVERT, str(model.folder), str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert {output.strip() for output, _ in outputs} == {str(entry / "model.xml")}
    assert sum(log.count("this happens once") for _, log in outputs) == 1
    assert read_entry(entry) is not None
    assert sorted(path.suffix for path in entry.parent.iterdir()) == ["", ".lock"]  # no scratch folder is left


def test_converted_abandoned_while_another_converts_does_not_wait(model: ModelDescription, tmp_path: Path) -> None:
    key = conversion_key(model, "hidden", tmp_path)
    (tmp_path / "openvino").mkdir()
    abandoned = threading.Event()
    abandoned.set()
    with (tmp_path / "openvino" / f"{key}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(EncoderClosed, match="abandoned"):
            converted(model, "hidden", tmp_path, abandoned)


def test_converted_abandoned_while_converting_kills_the_child(model: ModelDescription, tmp_path: Path) -> None:
    abandoned = threading.Event()
    abandoned.set()
    with pytest.raises(EncoderClosed, match="abandoned while converting"):
        converted(model, "hidden", tmp_path, abandoned)
    assert [path.suffix for path in (tmp_path / "openvino").iterdir()] == [".lock"]
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in running if str(tmp_path).encode() in command]


async def test_load_model_that_does_not_convert_runs_on_torch_and_says_so(
    load: Any, model: ModelDescription, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = tmp_path / "openvino" / conversion_key(model, "hidden", tmp_path)
    refused.mkdir(parents=True)
    reason = f"model {model.name} cannot be converted for OpenVINO (it is odd); use runtime torch"
    (refused / "manifest.json").write_text(json.dumps({"files": {}, "refusal": reason}))
    encoder = await load(TextEncoder, model.folder, cache_dir=tmp_path)
    assert encoder.info.runtime == "torch"
    assert "it is odd" in caplog.text
    with pytest.raises(ConversionFailed, match="it is odd"):
        await load(TextEncoder, model.folder, cache_dir=tmp_path, runtime="openvino")


def test_converted_cache_that_cannot_be_written_is_named(model: ModelDescription, tmp_path: Path) -> None:
    (tmp_path / "openvino").write_text("a file where the folder should be")
    with pytest.raises(ConversionFailed, match="cannot be written"):
        converted(model, "hidden", tmp_path)


def test_converted_child_that_fails_says_why(tiny_models: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_models.transformer(), folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConversionFailed, match=r"ended with status 1: .*model\.safetensors is damaged"):
        converted(describe(resolve(str(folder))), "hidden", tmp_path)


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (ValueError("this architecture does not support sdpa attention"), True),
        (openvino.frontend.OpConversionFailure("no conversion rule for aten::odd"), True),
        (RuntimeError("unable to mmap 90868376 bytes from file: Cannot allocate memory (12)"), False),
        (MemoryError("Cannot allocate memory (os error 12)"), False),
        (RuntimeError("basic_ios::clear: iostream error"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_convert_failure_only_a_verdict_on_the_model_is_kept(
    model: ModelDescription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, is_kept: bool
) -> None:
    monkeypatch.setattr(convert, "_load", Mock(side_effect=error))
    arguments = ["--model", str(model.transformer_folder), "--output-kind", "hidden", "--into", str(tmp_path)]
    if is_kept:
        assert convert.main(arguments) == REFUSED_STATUS
    else:
        with pytest.raises(SystemExit, match=re.escape(str(error))):
            convert.main(arguments)
    assert (tmp_path / "refusal.json").exists() == is_kept
