"""The machine: Python, processor, memory, disk, clock."""

import contextlib
import math
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning

LEAST_PYTHON = (3, 11)
_GIB = 1 << 30
# Five processes with the default models take about 1.2 GB, their first start 0.7 GB more.
_LEAST_MEMORY_BYTES = 1_500_000_000
_GOOD_MEMORY_BYTES = 2_500_000_000
_LEAST_DISK_BYTES = 1 * _GIB
_GOOD_DISK_BYTES = 5 * _GIB
_CGROUP = Path("/sys/fs/cgroup")
_NO_LIMIT_BYTES = 1 << 60  # cgroup v1 writes a number of this size for no limit


def judge_python(version: tuple[int, int], implementation: str) -> Finding:
    """Whether this Python can run Trivium."""
    name = f"{implementation} {version[0]}.{version[1]}"
    if version < LEAST_PYTHON:
        return problem("Python", name, f"install Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer")
    if implementation != "CPython":
        return warning("Python", name, "use CPython: the packages that Trivium needs are made for it")
    return ok("Python", name)


def python() -> Finding:
    return judge_python(sys.version_info[:2], platform.python_implementation())


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory, in bytes.

    Attributes:
        total_bytes: What the machine has.
        available_bytes: What of it could be had now.
        limit_bytes: What the cgroup leaves to its processes; None for no limit.
        used_bytes: What they take of that.
    """

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = None
    used_bytes: int = 0

    @property
    def usable_bytes(self) -> int:
        """What could be had now."""
        if self.limit_bytes is None:
            return self.available_bytes
        return max(0, min(self.available_bytes, self.limit_bytes - self.used_bytes))


def judge_memory(found: Memory, *, stack_runs: bool) -> Finding:
    """Whether the five processes fit, if they do not run already."""
    bound = f", the cgroup's limit is {_size(found.limit_bytes)}" if found.limit_bytes is not None else ""
    text = f"{_size(found.usable_bytes)} available of {_size(found.total_bytes)}{bound}"
    if stack_runs or found.usable_bytes >= _GOOD_MEMORY_BYTES:
        return ok("memory", text)
    advice = (
        f"the stack takes {_size(_LEAST_MEMORY_BYTES)} with the default models, more for its first start; end other "
        "programs, raise the limit, or leave out a service with `trivium up --without`"
    )
    return (problem if found.usable_bytes < _LEAST_MEMORY_BYTES else warning)("memory", text, advice)


def find_memory(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = _CGROUP) -> Memory | None:
    """Reads Linux's files; None where there are none."""
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        total, available = (int(rows[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        return None
    limit, used = None, 0
    for limit_name, used_name in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):
            written = int((cgroup / limit_name).read_text())  # "max" is no number
            if written < _NO_LIMIT_BYTES:
                limit, used = written, int((cgroup / used_name).read_text())
                break
    return Memory(total, available, limit, used)


def memory(*, stack_runs: bool) -> Finding:
    found = find_memory()
    if found is None:
        return skipped("memory", f"not known on {platform.system()}")
    return judge_memory(found, stack_runs=stack_runs)


def judge_cores(usable: float, machine: int) -> Finding:
    """How many cores the models get.

    Args:
        usable: Cores that this process may keep busy.
        machine: Cores of the machine.
    """
    bound = f" of {machine}, by the cgroup's quota or the affinity" if usable < machine else ""
    text = f"{usable:g} usable{bound}"
    if usable < 1:
        return warning("cores", text, "raise the quota: with less than one core, questions take seconds")
    return ok("cores", text)


def find_cores(cgroup: Path = _CGROUP) -> tuple[float, int]:
    """Cores that may be used, and that there are."""
    there = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    quota = math.inf
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        written, period = (cgroup / "cpu.max").read_text().split()
        quota = int(written) / int(period)
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        written = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
        if int(written) > 0:
            quota = int(written) / int((cgroup / "cpu/cpu.cfs_period_us").read_text())
    return min(affinity, quota), there


def cores() -> Finding:
    return judge_cores(*find_cores())


def judge_processor(architecture: str, flags: frozenset[str]) -> Finding:
    """Which precision the encoders choose.

    Args:
        architecture: As the system calls it.
        flags: The processor's features, as Linux names them.
    """
    if not flags:
        return skipped("processor", f"{architecture}; its features are not known")
    good = [
        name
        for name, any_of in (
            ("AVX2", {"avx2"}),
            ("AVX-512", {"avx512f"}),
            ("VNNI", {"avx512_vnni", "avx_vnni"}),
            ("AVX512-BF16", {"avx512_bf16"}),
            ("AMX", {"amx_bf16", "amx_int8"}),
        )
        if flags & any_of
    ]
    has_bf16 = bool(flags & {"avx512_bf16", "amx_bf16"})
    has_int8 = bool(flags & {"avx512_vnni", "avx_vnni", "amx_int8"})
    text = f"{architecture} with {', '.join(good) or 'no vector instructions that help'}: encoders choose "
    text += "bf16" if has_bf16 else "fp32"
    text += "; int8 can be had" if has_int8 else "; int8 is refused"
    if architecture == "x86_64" and "avx2" not in flags:
        return warning("processor", text, "models run many times slower here than on a processor with AVX2")
    return ok("processor", text)


def processor() -> Finding:
    flags: frozenset[str] = frozenset()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                flags = frozenset(line.partition(":")[2].split())
                break
    return judge_processor(platform.machine(), flags)


def judge_disk(folder: Path, free_bytes: int, *, writable: bool) -> Finding:
    """Whether data and models find room."""
    text = f"{_size(free_bytes)} free for {folder}"
    if not writable:
        return problem("disk", f"{folder} cannot be written", "name another folder with TRIVIUM_DATA_DIR or --data-dir")
    if free_bytes < _LEAST_DISK_BYTES:
        return problem("disk", text, "make room, or name a folder on another disk with TRIVIUM_DATA_DIR")
    if free_bytes < _GOOD_DISK_BYTES:
        return warning("disk", text, "a million pieces take about 2 GB, models of the hub several; make room in time")
    return ok("disk", text)


def disk(environment: dict[str, str]) -> Finding:
    folder = Path(environment.get("TRIVIUM_DATA_DIR") or ".data").absolute()
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), Path("/"))
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return problem("disk", f"{there}: {error.strerror}", "name another folder with TRIVIUM_DATA_DIR")
    return judge_disk(folder, free, writable=there.is_dir() and os.access(there, os.W_OK))


def judge_clock(now: float, installed: float) -> Finding:
    """Whether the clock can be right: it must be later than the time at which Trivium was installed.

    Args:
        now: Seconds since 1970.
        installed: When a file of Trivium was written.
    """
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    if now < installed - 86_400:
        return problem("clock", f"{shown} is before Trivium was installed", "set the clock: certificates depend on it")
    return ok("clock", shown)


def clock() -> Finding:
    return judge_clock(time.time(), Path(__file__).stat().st_mtime)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
