"""The five processes as a person runs them, each of which a test can kill and start again."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
from contract.qdrant_under_test import command
from ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

MODELS = pathlib.Path(__file__).resolve().parents[2] / ".data"
"""Where the models are kept: converted once, not once per stack."""

SERVICES = ("qdrant_edge", "embed", "rerank", "generate", "gateway")

_END_SECONDS = 600
"""For a process to end in, on a machine that others use up, or hold still."""


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Polls until the condition holds, or fails with what was waited for."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s there was still no {what}"
        time.sleep(0.05)


class Stack:
    """The five processes on free ports with a data folder of their own.

    Args:
        folder: For their data and logs; what is in `folder/data` already is used.
        environ: Variables that go before the stack's own.
        python: The interpreter of the environment that has the services; this one's if nothing is said.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None, python: str = sys.executable) -> None:
        self.folder = folder
        self._python = python
        folder.mkdir(parents=True, exist_ok=True)
        qdrant, qdrant_http, embed, rerank, generate, self.grpc_port, self.http_port, reranks = free_ports(8)
        self._qdrant_port, self._qdrant_http_port = qdrant, qdrant_http
        local = "127.0.0.1:{}".format
        self.environ = os.environ | {
            "TRIVIUM_DATA_DIR": str(folder / "data"),
            "TRIVIUM_QDRANT_EDGE_LISTEN": local(qdrant),
            "TRIVIUM_QDRANT_EDGE_HTTP_LISTEN": local(qdrant_http),
            "TRIVIUM_EMBED_LISTEN": local(embed),
            "TRIVIUM_EMBED_METRICS_PORT": "0",
            "TRIVIUM_RERANK_LISTEN": local(rerank),
            "TRIVIUM_RERANK_METRICS_PORT": str(reranks),
            "TRIVIUM_GENERATE_LISTEN": local(generate),
            "TRIVIUM_GENERATE_METRICS_PORT": "0",
            "TRIVIUM_GENERATE_EMBED_TARGET": local(embed),
            "TRIVIUM_GATEWAY_GRPC_LISTEN": local(self.grpc_port),
            "TRIVIUM_GATEWAY_HTTP_LISTEN": local(self.http_port),
            "TRIVIUM_GATEWAY_EMBED_TARGET": local(embed),
            "TRIVIUM_GATEWAY_RERANK_TARGET": local(rerank),
            "TRIVIUM_GATEWAY_GENERATE_TARGET": local(generate),
            "TRIVIUM_GATEWAY_QDRANT_URL": f"http://{local(qdrant_http)}",
            "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT": str(qdrant),
            "TRIVIUM_GATEWAY_CACHE": "off",  # what is asked again goes all the way again
        }
        self.environ |= environ or {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.rerank_metrics = f"http://{local(reranks)}/metrics"
        self.http = httpx.Client(base_url=f"http://{local(self.http_port)}", timeout=60)

    def start(self, *services: str) -> None:
        """Starts some services, or all."""
        for service in services or SERVICES:
            with open(self.folder / f"{service}.log", "ab") as log:
                arguments: Sequence[str] = [self._python, "-m", f"trivium_{service}"]
                environ = self.environ | ({"TRIVIUM_DATA_DIR": str(MODELS)} if service in ("embed", "rerank") else {})
                if service == "qdrant_edge":  # or the server that the tests are to run on
                    arguments, environ = command(
                        grpc_port=self._qdrant_port, http_port=self._qdrant_http_port, data=self.folder / "data",
                        environ=environ, python=self._python,
                    )  # fmt: skip
                self._processes[service] = subprocess.Popen(arguments, env=environ, stdout=log, stderr=log)

    def end(self, *services: str, by: signal.Signals = signal.SIGKILL) -> None:
        """Ends some services, or all, and waits until they are gone."""
        chosen = [self._processes.pop(service) for service in services or list(self._processes)]
        for process in chosen:
            process.send_signal(by)
        for process in chosen:
            process.wait(timeout=_END_SECONDS)

    def signal(self, service: str, number: signal.Signals) -> None:
        """Sends a signal to a service."""
        self._processes[service].send_signal(number)

    def running(self) -> set[str]:
        """The services whose processes live."""
        return {service for service, process in self._processes.items() if process.poll() is None}

    def pid(self, service: str) -> int:
        """The process of a service."""
        return self._processes[service].pid

    def memory_bytes(self, service: str) -> int:
        """What a service holds of the machine's memory (Linux only)."""
        pages = pathlib.Path(f"/proc/{self.pid(service)}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def log(self, service: str) -> str:
        """What a service has logged."""
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def listening_addresses(self) -> set[tuple[str, int]]:
        """Host and port of every TCP socket that the processes listen on (Linux only)."""
        inodes = set()
        for process in self._processes.values():
            for descriptor in os.scandir(f"/proc/{process.pid}/fd"):
                with contextlib.suppress(FileNotFoundError):
                    inodes.add(os.readlink(descriptor.path))
        addresses = set()
        for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:  # 0A: listening
                    host, _, port = fields[1].rpartition(":")
                    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
                    addresses.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
        return addresses

    def stages(self) -> dict[str, bool]:
        """Which stages the gateway sees as working; empty while it cannot be asked."""
        try:
            body = self.http.get("/readyz").json()
        except httpx.TransportError:
            return {}
        return {stage["stage"]: stage["ready"] for stage in body["stages"]}

    def wait_ready(self) -> None:
        """Waits until every stage works."""

        def ready() -> bool:
            missing = set(SERVICES) - self.running()
            assert not missing, f"{missing} ended: {[self.log(service)[-2000:] for service in missing]}"
            stages = self.stages()
            return len(stages) == 4 and all(stages.values())

        wait_until(ready, "ready stack", 180)

    def wait_stage(self, stage: str, ready: bool) -> None:
        """Waits until the gateway sees a stage as working, or as not."""
        wait_until(lambda: self.stages().get(stage) is ready, f"stage {stage} with ready={ready}")

    def ingest(self, *documents: dict[str, Any], collection: str = "default") -> list[dict[str, Any]]:
        """Ingests over HTTP and returns each document's result."""
        response = self.http.post("/v1/documents", json={"documents": list(documents), "collection": collection})
        response.raise_for_status()
        results: list[dict[str, Any]] = response.json()["documents"]
        return results

    def empty(self) -> None:
        """Deletes all collections."""
        for entry in self.http.get("/v1/collections").json()["collections"]:
            self.http.delete(f"/v1/collections/{entry['name']}").raise_for_status()

    def answer(self, question: str, **options: Any) -> dict[str, Any]:
        """Asks over HTTP."""
        response = self.http.post("/v1/answer", json={"question": question, **options})
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body


@contextlib.contextmanager
def ready(stack: Stack) -> Iterator[Stack]:
    """Starts a stack, waits until every stage works, and ends it."""
    stack.start()
    try:
        stack.wait_ready()
        yield stack
    finally:
        stack.end()
        stack.http.close()


def stacks_in(folder: Callable[[], Path]) -> Iterator[Callable[..., Stack]]:
    """What a fixture yields that makes stacks, and ends them after its test.

    Args:
        folder: Where the next one has its data and logs.
    """
    stacks: list[Stack] = []

    def make(**environ: str) -> Stack:
        stacks.append(Stack(folder(), environ))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.end()
        stack.http.close()
