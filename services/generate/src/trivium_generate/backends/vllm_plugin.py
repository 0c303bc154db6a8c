"""Runs in every process that vLLM starts, as one of its general plugins (see the entry points in pyproject.toml)."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

from trivium_generate.backends.vllm_status import STATUS_FILE_VARIABLE, StatusHandler

_THREAD_NAME = "end with parent"


def join_service() -> None:
    """Ties an engine process to the service that started it. vLLM may call it more than once per process.

    Does nothing in the service itself.
    """
    parent = multiprocessing.parent_process()
    if parent is None or any(thread.name == _THREAD_NAME for thread in threading.enumerate()):
        return
    _end_with(parent.sentinel)
    if path := os.environ.get(STATUS_FILE_VARIABLE):
        logging.getLogger("vllm").addHandler(StatusHandler(path))


def _end_with(sentinel: int) -> None:
    """Makes this process end when the service is gone.

    vLLM's own engine process outlives a parent that was killed, and goes on to hold the memory that the service needs
    when it is started again.
    """

    def watch() -> None:
        wait([sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name=_THREAD_NAME, daemon=True).start()
