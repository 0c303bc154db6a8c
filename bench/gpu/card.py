"""What the card does at most: products of large matrices in bf16, and copies within its memory.

python card.py cuda|cpu FILE
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 5


def matrix_flops(device: str) -> float:
    """Operations a second in a product of square matrices of random bf16, large enough to fill the card."""
    side, times = (8192, 20) if device == "cuda" else (256, 2)
    one, other = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    return 2 * side**3 * times / _seconds(lambda: one @ other, times, device)


def copied_bytes(device: str) -> float:
    """Bytes a second that are read and written in a copy within the card's memory."""
    count, times = (1 << 31, 10) if device == "cuda" else (1 << 22, 2)
    source = torch.empty(count, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * count * times / _seconds(lambda: target.copy_(source), times, device)


def _seconds(work: Callable[[], object], times: int, device: str) -> float:
    """The median, over some rounds, of how long it takes to do it that many times."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    took = []
    for _ in range(_ROUNDS + 1):
        wait()
        begin = time.perf_counter()
        for _ in range(times):
            work()
        wait()
        took.append(time.perf_counter() - begin)
    return statistics.median(took[1:])


def main(device: str, file: Path) -> None:
    """Measures both."""
    flops, copied = matrix_flops(device), copied_bytes(device)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    rows = [
        ("device", f"{name}, torch {torch.__version__}", ""),
        ("product of matrices, bf16", f"{flops / 1e12:.3g} TFLOP/s", ""),
        ("copy, read and written", f"{copied / 1e9:.3g} GB/s", ""),
    ]
    file.write_text(json.dumps({"rows": rows, "matrix_flops": flops, "copied_bytes": copied}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
