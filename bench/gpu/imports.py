"""Whether everything that the GPU images run can be imported, each module in the interpreter that would run it.

python imports.py cuda|cpu FILE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ENCODERS = (
    "torch", "transformers", "sentence_transformers", "grpc", "trivium_embed.__main__", "trivium_rerank.__main__",
    "trivium_embed.backends.local", "trivium_rerank.backends.cross_encoder", "trivium_encoders.runtimes.torch",
    "trivium_encoders.runtimes.packing", "trivium_encoders.runtimes.device_pooling",
)  # fmt: skip
GENERATE = ("torch", "vllm", "grpc", "trivium_generate.__main__", "trivium_generate.backends.vllm")
_ASKED = """
import importlib, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        found[name] = str(getattr(module, "__version__", ""))
    except BaseException as error:
        found[name] = f"failed: {type(error).__name__}: {error}"
if "torch" in sys.modules:
    found["CUDA"] = str(sys.modules["torch"].cuda.is_available())
print(json.dumps(found))
"""


def imported(python: str, names: tuple[str, ...]) -> dict[str, str]:
    """Version by name, empty where there is none; what starts with `failed` did."""
    run = subprocess.run([python, "-c", _ASKED, *names], capture_output=True, text=True, check=False)
    if run.returncode:
        return {python: f"failed: {run.stderr.strip().splitlines()[-1:]}"}
    found: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return found


def main(device: str, file: Path) -> None:
    """Imports all."""
    rows, failed = [], []
    for image, python, names in (
        ("embed-gpu, rerank-gpu", os.environ.get("PYTHON", sys.executable), ENCODERS),
        ("generate-gpu", os.environ.get("VLLM_PYTHON", sys.executable), GENERATE),
    ):
        found = imported(python, names)
        bad = [f"{name} {said}" for name, said in found.items() if said.startswith("failed")]
        if device == "cuda" and found.get("CUDA") != "True":
            bad.append("torch sees no GPU")
        versions = ", ".join(f"{name} {said}" for name, said in found.items() if said and name not in bad)
        rows.append((image, "; ".join(bad) or f"{len(names)} modules: {versions}", "all"))
        failed += [f"{image}: {what}" for what in bad]
    file.write_text(json.dumps({"rows": rows} | ({"error": "; ".join(failed)} if failed else {})))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
