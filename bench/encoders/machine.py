"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_PACKAGES = ("openvino", "torch", "sentence-transformers", "transformers", "grpcio")


def cores() -> int:
    """Cores that this process may use: its affinity, or less if its control group is held to less."""
    allowed = len(os.sched_getaffinity(0))
    for quota_file, period_file in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        quota_path = Path("/sys/fs/cgroup") / quota_file
        if not quota_path.exists():
            continue
        words = quota_path.read_text().split()
        period = words[1] if period_file is None else (Path("/sys/fs/cgroup") / period_file).read_text()
        if words[0] not in ("max", "-1"):
            allowed = min(allowed, max(1, int(words[0]) // int(period)))
    return allowed


def description() -> dict[str, str]:
    """The machine and what it runs."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    info = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in _TELLING_FLAGS if flag in info.get("flags", "").split()]
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    processor = info.get("model name", platform.machine())
    return {
        "processor": f"{cores()} cores of {processor} ({', '.join(flags) or 'no vector instructions that tell'})",
        "memory": f"{int(memory.split()[1]) / (1 << 20):.0f} GiB",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "ours": ", ".join(f"{package} {version(package)}" for package in _PACKAGES),
    }
