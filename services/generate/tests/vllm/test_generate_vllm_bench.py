"""What `bench/gpu/run` measures of vLLM on a GPU, tried on the CPU with a tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[4] / "bench" / "gpu" / "run"


@pytest.mark.timeout(900)  # two minutes on a machine that does nothing else
def test_dry_run_measures_vllm_alone_behind_the_service_and_behind_its_own_server(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHON": sys.executable, "VLLM_PYTHON": sys.executable}
    command = [str(RUN), "--dry-run", "--only", "generate", "--json", str(tmp_path / "gpu.json")]

    ran = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=880)

    assert ran.returncode == 0, ran.stderr
    part = json.loads((tmp_path / "gpu.json").read_text())["parts"]["generate"]
    assert len(part["rounds"][0]) == 3
    assert all(system["tokens_per_s"] > 0 for system in part["rounds"][0].values())
    assert "Over AsyncLLM, called directly: first token" in ran.stdout
