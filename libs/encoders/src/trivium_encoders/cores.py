"""What this process may use of the machine."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_core_count(cgroup: Path = _CGROUP) -> int:
    """Cores that this process may keep busy: its scheduling affinity, cut by the cgroup's CPU quota. At least 1."""
    affinity = len(os.sched_getaffinity(0))
    return max(1, min(affinity, math.ceil(_quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """The CPU quota in cores, from cgroup v2 or v1; infinite when there is none."""
    v2 = _read(cgroup / "cpu.max").split()
    if len(v2) == 2 and v2[0] != "max":
        return int(v2[0]) / int(v2[1])
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        return int(quota) / int(period)
    return float(os.cpu_count() or 1)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def multiplies_bf16() -> bool:
    """Whether the CPU has instructions for bfloat16 products (AVX512-BF16 or AMX)."""
    flags = next((line for line in _read(Path("/proc/cpuinfo")).splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def multiplies_int8() -> bool:
    """Whether the CPU has instructions for int8 products that cannot overflow (VNNI or AMX)."""
    flags = next((line for line in _read(Path("/proc/cpuinfo")).splitlines() if line.startswith("flags")), "").split()
    return not {"avx512_vnni", "avx_vnni", "amx_int8"}.isdisjoint(flags)


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is visible; asked of the driver, because asking torch costs its import."""
    return os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1") and any(Path("/proc/driver/nvidia/gpus").glob("*"))
