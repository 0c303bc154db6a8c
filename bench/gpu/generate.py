"""vLLM with a model of 7 billion parameters: alone, behind trivium_generate, and behind its own server.

python generate.py cuda|cpu FILE
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).parents[1] / "generate"

# Three engines share the card, and take turns: a third of its memory each, less what the driver and CUDA graphs take.
ENGINE_ARGS = {"gpu_memory_utilization": 0.28, "enforce_eager": False}
ON_GPU = ["--rounds", "2", "--single", "20", "--answers", "128", "--streams", "64", "--tokens", "128"]
DRY = ["--rounds", "1", "--single", "1", "--answers", "2", "--streams", "2", "--tokens", "8"]
_WRITING = """
import pathlib, sys, run, tiny_model
tiny_model.write(pathlib.Path(sys.argv[1]), run.CORPUS, tiny_model.LLAMA_7B, "cuda")
"""


def main(device: str, file: Path) -> None:
    """Writes the model in a process of its own, which leaves the card empty; then measures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory() as folder:
        numbers = Path(folder) / "numbers.json"
        if device == "cuda":
            model = Path(folder) / "model"
            subprocess.run([sys.executable, "-c", _WRITING, str(model)], cwd=BENCH, check=True)
            options = [*ON_GPU, "--model", str(model), "--engine-args", json.dumps(ENGINE_ARGS)]
        else:
            options = DRY
        command = [sys.executable, str(BENCH / "run.py"), *options, "--json", str(numbers)]
        ran = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            table, _ = ran.communicate()
        finally:
            ran.terminate()
        if ran.returncode:
            sys.exit(f"bench/generate/run.py ended with {ran.returncode}")
        file.write_text(json.dumps({"table": table, **json.loads(numbers.read_text())}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
