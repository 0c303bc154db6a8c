"""Runs in every process that vLLM starts, as one of its general plugins (see the entry points in pyproject.toml)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

_THREAD_NAME = "end with parent"


def end_with_parent() -> None:
    """Makes an engine process end when the service is gone.

    vLLM's own engine process outlives a parent that was killed, and goes on to hold the memory that the service needs
    when it is started again. Does nothing in the service itself. vLLM may call it more than once per process.
    """
    parent = multiprocessing.parent_process()
    if parent is None or any(thread.name == _THREAD_NAME for thread in threading.enumerate()):
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name=_THREAD_NAME, daemon=True).start()
