"""How many cores this process may keep busy."""

import math
import os
from pathlib import Path

__all__ = ["usable_core_count"]

_CGROUP = Path("/sys/fs/cgroup")


def usable_core_count(cgroup: Path = _CGROUP) -> int:
    """Count the cores of the scheduling affinity, cut by the cgroup's quota (v2, or v1). At least 1."""
    affinity = len(os.sched_getaffinity(0))
    quota, period = [*_read(cgroup / "cpu.max").split(), "", ""][:2]
    if not quota:
        quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if not (quota.isdigit() and period.isdigit() and int(period)):  # `max` and -1 say that there is none
        return affinity
    return max(1, min(affinity, math.ceil(int(quota) / int(period))))


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
