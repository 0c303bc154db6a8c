"""Runs the service as a child process and waits until it serves: for tests, and for tools that need a database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_POLL_SECONDS = 0.02
_PORT_LINES = {
    "grpc_port": re.compile(r"listening on \S*:(\d+), warming up"),
    "http_port": re.compile(r"HTTP on port (\d+)"),
}
_READY_LINE = re.compile(r" ready$", re.MULTILINE)


class ChildFailed(RuntimeError):
    """The service ended, or did not get ready in time; the text is its log."""


class QdrantEdgeProcess:
    """The service on free ports of 127.0.0.1. Use it as a context manager, or call `stop` or `kill`.

    Args:
        data_dir: Its TRIVIUM_DATA_DIR.
        environment: Further variables for it.
        start_seconds: How long it may take to get ready.
        wait_until_ready: Whether to wait until everything is open; else only until it listens.

    Raises:
        ChildFailed: It did not get ready.
    """

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        start_seconds: float = 60.0,
        wait_until_ready: bool = True,
    ) -> None:
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115  # lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trivium_qdrant_edge", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TRIVIUM_LOG_FORMAT": "text", "TRIVIUM_DATA_DIR": str(data_dir), **(environment or {})},
        )
        try:
            self._wait_for(_READY_LINE if wait_until_ready else _PORT_LINES["grpc_port"], start_seconds)
        except BaseException:
            self.kill()
            raise
        self.grpc_port = self._port("grpc_port")
        self.http_port = self._port("http_port")

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def log(self) -> str:
        """What it has logged."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def stop(self, seconds: float = 30.0) -> int:
        """Ends it with SIGTERM.

        Returns:
            Its exit status.
        """
        self._process.terminate()
        return self._process.wait(seconds)

    def kill(self) -> None:
        """Ends it with SIGKILL, as a crash would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
            self.kill()
        self._log.close()

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Waits until everything is open.

        Raises:
            ChildFailed: It is not in time.
        """
        self._wait_for(_READY_LINE, seconds)

    def _wait_for(self, line: re.Pattern[str], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not line.search(self.log()):
            if self._process.poll() is not None:
                raise ChildFailed(f"it ended with status {self._process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"it is not ready yet:\n{self.log()}")
            time.sleep(_POLL_SECONDS)

    def _port(self, which: str) -> int:
        match = _PORT_LINES[which].search(self.log())
        if match is None:
            raise ChildFailed(f"it did not say its {which}:\n{self.log()}")
        return int(match[1])
