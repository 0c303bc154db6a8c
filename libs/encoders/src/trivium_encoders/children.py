"""Slow work on models in a child process, so that the parent never imports torch and the work can be stopped."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from trivium_encoders.errors import ConversionFailed, EncoderClosed

REFUSED_STATUS = 3
"""How a child ends that finds the work cannot be done faithfully; `refusal.json` then says why."""

_TIMEOUT_SECONDS = 1800
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


def run_child(module: str, arguments: Sequence[str], *, doing: str, into: Path, abandoned: threading.Event) -> str:
    """Runs a module of this package as a process, and kills it at once when the work is abandoned.

    Args:
        module: Its name, as in `trivium_encoders.convert`.
        arguments: Its command line.
        doing: What it does, for messages; as in `converting all-MiniLM-L6-v2`.
        into: The folder that it writes to.
        abandoned: Set when nobody waits for it any more.

    Returns:
        Why it refused, or nothing.

    Raises:
        ConversionFailed: It failed, or took too long.
        EncoderClosed: It was abandoned.
    """
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--into", str(into)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            errors = _wait(process, doing, deadline, abandoned)
        finally:
            process.kill()
    if process.returncode == REFUSED_STATUS:
        return str(json.loads((into / "refusal.json").read_text())["reason"])
    if process.returncode != 0:
        last = next((line for line in reversed(errors.splitlines()) if line.strip()), "it said nothing")
        raise ConversionFailed(f"{doing} ended with status {process.returncode}: {last.strip()}")
    return ""


def _wait(process: "subprocess.Popen[str]", doing: str, deadline: float, abandoned: threading.Event) -> str:
    """What the process wrote to its standard error, once it has ended."""
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)[1]
        except subprocess.TimeoutExpired:
            if abandoned.is_set():
                raise EncoderClosed(f"the load was abandoned while {doing}") from None
            if time.monotonic() > deadline:
                raise ConversionFailed(f"{doing} took more than {_TIMEOUT_SECONDS} s; use runtime torch") from None


def refuse(into: Path, reason: str) -> int:
    """Called in a child: leaves the reason for the parent, and returns the exit status."""
    (into / "refusal.json").write_text(json.dumps({"reason": reason}))
    return REFUSED_STATUS


def die_with_parent() -> None:
    """Called in a child: has the system kill it when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
