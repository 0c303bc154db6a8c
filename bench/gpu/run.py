"""All that needs a GPU, checked and measured in under ten minutes, without a network; one file of JSON and a table.

    bench/gpu/run                    on a machine with one NVIDIA GPU
    bench/gpu/run --dry-run          the same code on the CPU with tiny models; its numbers mean nothing

Parts, each in a process of its own with a limit of time, so that one that fails leaves the others their turn:

    card      what the card does at most: products of matrices, copies
    imports   whether everything that the GPU images run can be imported
    encoders  embed and rerank on the card, against plain sentence-transformers and the bare forward pass there
    generate  vLLM with a model of 7 billion parameters: alone, behind trivium_generate, and behind its own server

The models have the shapes of published ones and random weights, so that nothing has to be fetched. Exits with 0 if
every part ran, with 1 if one failed, with 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BENCH = HERE.parent
PARTS = {"card": 60, "imports": 60, "encoders": 240, "generate": 330}
"""Seconds that each may take on a GPU; together they may take `TOTAL_SECONDS`."""
TOTAL_SECONDS = 590
_DRY_TIMES = 4  # a laptop that does something else beside it


def main() -> None:
    """Measures, prints a table, writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, with tiny models")
    parser.add_argument("--only", help=f"parts, separated by commas (default: {','.join(PARTS)})")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}")
    device = "cpu" if arguments.dry_run else "cuda"
    if device == "cuda" and not _has_gpu():
        parser.error("there is no GPU here; --dry-run tries the script itself on the CPU")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("gpu: ended by SIGTERM"))
    results: dict[str, Any] = {"dry_run": arguments.dry_run, "driver": _driver(), "parts": {}}
    with tempfile.TemporaryDirectory() as folder:
        times = _DRY_TIMES if arguments.dry_run else 1
        give_up = time.monotonic() + times * TOTAL_SECONDS
        for name in chosen:
            part = _part(name, device, Path(folder), min(times * PARTS[name], give_up - time.monotonic()))
            results["parts"][name] = part
            if arguments.json:  # after each part, so that what was measured lasts
                arguments.json.write_text(json.dumps(results, indent=1))
    print(table(results))
    sys.exit(any("error" in part for part in results["parts"].values()))


def table(results: dict[str, Any]) -> str:
    """All parts as Markdown."""
    lines = [f"- GPU: {results['driver'] or 'none'}{'; a dry run on the CPU' if results['dry_run'] else ''}"]
    for name, part in results["parts"].items():
        lines += ["", f"## {name}: {part['seconds']:.0f} s", ""]
        if "error" in part:
            lines.append(f"**Failed**: {part['error']}")
        if "rows" in part:
            lines += ["| | | aim |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in part["rows"])]
        if "table" in part:
            lines.append(part["table"])
    return "\n".join(lines)


def _part(name: str, device: str, folder: Path, seconds: float) -> dict[str, Any]:
    """What a part wrote, and how long it took; or why it wrote nothing."""
    print(f"gpu: {name}, at most {max(0, seconds):.0f} s", file=sys.stderr, flush=True)
    written = folder / f"{name}.json"
    python = os.environ.get("VLLM_PYTHON" if name == "generate" else "PYTHON", sys.executable)
    begin = time.monotonic()
    error = _ended([python, str(HERE / f"{name}.py"), device, str(written)], seconds)
    part: dict[str, Any] = json.loads(written.read_text()) if written.exists() else {}
    if error and "error" not in part:
        part["error"] = error
    return part | {"seconds": time.monotonic() - begin}


def _ended(command: list[str], seconds: float) -> str:
    """Runs a command with everything that it starts; why it failed, or nothing."""
    process = subprocess.Popen(command, start_new_session=True, stdout=sys.stderr)
    try:
        code = process.wait(max(0.1, seconds))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # it ends what it has started
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return f"not done after {seconds:.0f} s"
    return f"ended with {code}; its log is above" if code else ""


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _driver() -> str:
    """Card, memory and driver, as nvidia-smi says it; nothing where there is none."""
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    main()
