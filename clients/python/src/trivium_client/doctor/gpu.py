"""NVIDIA GPUs: whether the driver shows one, and whether what is installed can use it."""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from trivium_client.doctor.findings import Finding, ok, skipped, warning
from trivium_client.doctor.installation import distribution_version

_TIMEOUT_SECONDS = 1.5
_QUERY = "--query-gpu=name,memory.total,driver_version,compute_cap"


@dataclass(frozen=True, slots=True)
class Gpus:
    """What there is.

    Attributes:
        driver_count: GPUs that the kernel's driver shows.
        described: What nvidia-smi says of each: name, memory, driver, compute capability.
        hidden: Whether CUDA_VISIBLE_DEVICES hides them.
        torch_version: Of the installed PyTorch; empty if there is none.
    """

    driver_count: int
    described: tuple[str, ...]
    hidden: bool
    torch_version: str


def judge_gpus(found: Gpus) -> Finding:
    """Whether the encoders use the GPU that there is."""
    if not found.driver_count and not found.described:
        return ok("GPU", "none: encoders run on the processor")
    text = "; ".join(found.described) or f"{found.driver_count} shown by the driver"
    if found.hidden:
        return warning("GPU", f"{text}, hidden", "unset CUDA_VISIBLE_DEVICES if Trivium is to use it")
    if not found.described:
        return warning("GPU", f"{text}, but nvidia-smi does not answer", "install the driver's tools, or repair it")
    if not found.torch_version:
        return ok("GPU", f"{text}; no PyTorch is installed here that could use it")
    if found.torch_version.endswith("+cpu"):
        return warning(
            "GPU",
            f"{text}, but PyTorch {found.torch_version} is built without CUDA",
            "install a build of PyTorch with CUDA; until then encoders run on the processor",
        )
    return ok("GPU", f"{text}; PyTorch {found.torch_version}")


def find_gpus(environment: dict[str, str]) -> Gpus:
    """Asks driver and nvidia-smi; nothing of CUDA is loaded."""
    drivers = Path("/proc/driver/nvidia/gpus")
    described: tuple[str, ...] = ()
    program = shutil.which("nvidia-smi")
    if program is not None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(
                [program, _QUERY, "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_SECONDS,
                check=True,
            )
            described = tuple(line.strip() for line in told.stdout.splitlines() if line.strip())
    return Gpus(
        len(list(drivers.glob("*"))) if drivers.is_dir() else 0,
        described,
        environment.get("CUDA_VISIBLE_DEVICES") in ("", "-1"),
        distribution_version("torch"),
    )


def gpu(environment: dict[str, str]) -> Finding:
    if os.name != "posix":
        return skipped("GPU", "not known on this system")
    return judge_gpus(find_gpus(environment))
