"""What `bench/gpu/run` does on a machine with a GPU, tried without one: the same code on the CPU, with tiny models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it in this environment."""
    environ = os.environ | {"PYTHON": sys.executable, "VLLM_PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = [str(ROOT / "bench" / "gpu" / "run"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=880)


@pytest.mark.timeout(900)  # a minute on a machine that does nothing else
def test_dry_run_measures_the_card_and_the_encoders(tmp_path: Path) -> None:
    ran = run("--dry-run", "--only", "card,encoders", "--json", str(tmp_path / "gpu.json"))

    assert ran.returncode == 0, ran.stderr
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["card"]["matrix_flops"] > 0
    assert parts["card"]["copied_bytes"] > 0
    numbers = parts["encoders"]["a tiny model"]
    assert numbers["forward_flops"] > 0
    assert numbers["cosines_served"][1] > 0.999
    assert len(numbers["served_over_bare"]) == len(numbers["served_over_sentence-transformers"]) == 1
    assert numbers["rerank_fp32"][0] > 0
    assert "| a tiny model: served |" in ran.stdout


def test_part_that_fails_leaves_the_others_their_turn_and_is_named(tmp_path: Path) -> None:
    ran = run("--dry-run", "--only", "imports,card", "--json", str(tmp_path / "gpu.json"))

    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert ran.returncode == 1
    assert "vllm failed: ModuleNotFoundError" in parts["imports"]["error"]  # it has an environment of its own
    assert any("modules: torch" in row[1] for row in parts["imports"]["rows"] if row[0] == "embed-gpu, rerank-gpu")
    assert "error" not in parts["card"]
    assert "**Failed**: generate-gpu" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"), [((), "there is no GPU here; --dry-run"), (("--only", "embed"), "there is no part embed")]
)
def test_what_cannot_be_measured_is_refused_with_what_can(arguments: tuple[str, ...], said: str) -> None:
    ran = run(*arguments)

    assert ran.returncode == 2
    assert said in ran.stderr
