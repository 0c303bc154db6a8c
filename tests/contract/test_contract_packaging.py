"""Each service installs alone, with nothing that it does not need."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_gateway_installed_alone_runs_without_torch(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    setup = [str(ROOT / "scripts" / "setup"), "gateway"]
    subprocess.run(setup, check=True, env={**os.environ, "TRIVIUM_VENV": str(venv)})

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # From another folder, so that nothing is imported from the checkout by accident.
        return subprocess.run([venv / "bin" / "python", *arguments], cwd=tmp_path, capture_output=True, text=True)

    assert run("-m", "trivium_gateway", "--help").returncode == 0
    for absent in ("torch", "transformers", "openvino", "vllm", "qdrant_edge", "trivium_encoders"):
        assert run("-c", f"import {absent}").returncode != 0, f"the gateway's environment has {absent}"
