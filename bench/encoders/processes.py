"""The services and the peers, each in a process group of its own that can be stopped while another is measured."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PEERS = Path(__file__).parent / "peers"
START_SECONDS = 180.0


def _stats(folder: Path, pattern: str) -> Iterator[tuple[int, list[str]]]:
    """Ids of processes or threads, and what their `stat` says from the state on (proc_pid_stat(5), field 3)."""
    for path in folder.glob(pattern):
        try:
            yield int(path.parent.name), path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile


class Group:
    """A process and its children."""

    def __init__(self, command: list[str], environ: Mapping[str, str], **pipes: Any) -> None:
        self.process = subprocess.Popen(command, env=os.environ | environ, process_group=0, text=True, **pipes)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Lets it run for the duration of the block; it stands still before and after."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            self.pause()

    def pause(self) -> None:
        """Takes the processor from it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def stop(self) -> None:
        """Ends it and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            os.killpg(self.process.pid, signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)
        with contextlib.suppress(ProcessLookupError):  # nothing of the group is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def memory_bytes(self) -> int:
        """Resident memory of the process and its children, shared pages counted for each."""
        pages = 0
        for _, fields in _stats(Path("/proc"), "[0-9]*/stat"):
            if int(fields[2]) == self.process.pid:
                pages += int(fields[21])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> tuple[float, float]:
        """Processor time of the first thread, which runs the event loop, and of all others together."""
        first, others = 0, 0
        for thread, fields in _stats(Path(f"/proc/{self.process.pid}/task"), "*/stat"):
            ticks = int(fields[11]) + int(fields[12])
            if thread == self.process.pid:
                first += ticks
            else:
                others += ticks
        per_second = os.sysconf("SC_CLK_TCK")
        return first / per_second, others / per_second


class Peer(Group):
    """A script of the folder peers, in an environment of its own; paused unless it is asked something.

    Args:
        python: The environment's interpreter.
        script: The script's name.
        arguments: Its arguments.
        environ: More environment variables.
    """

    def __init__(
        self, python: str, script: str, arguments: list[str], environ: Mapping[str, str] | None = None
    ) -> None:
        command = [python, str(PEERS / script), *arguments]
        super().__init__(command, environ or {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.name = script
        try:
            self.versions: dict[str, str] = self._answer()["versions"]
        except BaseException:
            self.stop()
            raise
        self.pause()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Has it do something."""
        with self.running():
            assert self.process.stdin
            self.process.stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
            self.process.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended; its log is above")
        answered: dict[str, Any] = json.loads(line)
        return answered


class Service(Group):
    """A running service of ours, on a free port, with its default settings but for those given.

    Args:
        module: `trivium_embed` or `trivium_rerank`.
        data_dir: Where converted models are kept.
        environ: More settings.
    """

    def __init__(self, module: str, data_dir: Path, environ: Mapping[str, str] | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.target, self._module = f"127.0.0.1:{port}", module
        command = [sys.executable, "-m", module, "--listen", self.target, "--metrics-port", "0"]
        settings = {"TRIVIUM_DATA_DIR": str(data_dir), "TRIVIUM_LOG_LEVEL": "warning"}
        start = time.perf_counter()
        super().__init__(command, settings | dict(environ or {}))
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - start

    def _wait_until_healthy(self) -> None:
        # The channel's own pause between attempts to connect is a second; this one is not part of the measurement.
        options = [(f"grpc.{name}_reconnect_backoff_ms", 20) for name in ("initial", "min", "max")]
        give_up = time.monotonic() + START_SECONDS
        with grpc.insecure_channel(self.target, options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while True:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    sys.exit(f"{self._module} did not start; its log is above")
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.RpcError:
                    pass
                time.sleep(0.01)
