"""Models that are converted before a service starts: found, read only, and made no second time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from trivium_encoders import TextEncoder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def _prepare(into: Path, model: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trivium_encoders.prepare", "--into", str(into), "--model", str(model)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


async def test_model_prepared_before_is_read_and_nothing_converted(
    load: Any, tiny_models: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model, prepared, cache = tiny_models.transformer(), tmp_path / "prepared", tmp_path / "cache"
    assert _prepare(prepared, model).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in prepared.rglob("*")}
    caplog.set_level("INFO")

    encoder = await load(TextEncoder, model, cache_dir=cache, prepared_dir=prepared)

    assert encoder.info.runtime == "openvino"
    assert not (cache / "openvino").exists()
    assert "converting model" not in caplog.text
    assert {path: path.stat().st_mtime_ns for path in prepared.rglob("*")} == before


async def test_model_that_was_not_prepared_or_is_damaged_there_is_converted_into_the_cache(
    load: Any, tiny_models: Any, cache_dir: Path, tmp_path: Path
) -> None:
    model, prepared = tiny_models.transformer(), tmp_path / "prepared"
    (prepared / "openvino").mkdir(parents=True)
    await load(TextEncoder, model, prepared_dir=prepared)  # into the cache that runs share
    shutil.copytree(cache_dir / "openvino", prepared / "openvino", dirs_exist_ok=True)
    for weights in prepared.rglob("model.bin"):
        os.truncate(weights, 10)

    encoder = await load(TextEncoder, model, prepared_dir=prepared)

    assert encoder.info.runtime == "openvino"
    assert all(path.stat().st_size == 10 for path in prepared.rglob("model.bin"))


def test_prepare_model_that_is_nowhere_ends_with_a_line_that_says_so(tmp_path: Path) -> None:
    done = _prepare(tmp_path, tmp_path / "nowhere")

    assert done.returncode == 1
    assert done.stderr.startswith("prepare: ")
    assert "Traceback" not in done.stderr
