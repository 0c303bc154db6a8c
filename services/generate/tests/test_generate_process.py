"""The service as a process: how it starts, refuses to, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the service with flags and environment."""
    started: list[subprocess.Popen[str]] = []

    def start(*flags: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "trivium_generate", "--metrics-port", "0", *flags],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_process_serves_until_sigterm(start: Callable[..., subprocess.Popen[str]], free_port: int) -> None:
    process = start("--listen", f"127.0.0.1:{free_port}", "--embed-target", "")
    async with open_channel(f"127.0.0.1:{free_port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        async for response in health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60):  # type: ignore[attr-defined]
            if response.status == health_pb2.HealthCheckResponse.SERVING:
                break
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "warning" not in log
    assert "error" not in log


def test_process_on_a_port_that_is_taken_says_so(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        _, log = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "TRIVIUM_GENERATE_LISTEN" in log


@pytest.mark.parametrize(
    ("flags", "environment", "problem"),
    [
        (["--backend", "oracle"], {}, "--backend: 'oracle' is none of extractive, vllm"),
        (["--backend", "vllm"], {}, "TRIVIUM_GENERATE_MODEL"),
        (["--backend", "vllm", "--model", "m"], {"TRIVIUM_GENERATE_ENGINE_ARGS": "{"}, "is not JSON"),
        (["--backend", "vllm", "--model", "m", "--engine-args", "[1]"], {}, "must be a JSON object"),
        (["--backend", "vllm", "--model", "m", "--prompts-dir", "/missing"], {}, "/missing does not exist"),
        ([], {"TRIVIUM_GENERATE_LIMIT_PASSAGES": "0"}, "TRIVIUM_GENERATE_LIMIT_PASSAGES"),
    ],
)
def test_process_with_a_setting_that_cannot_be_ends_with_one_line(
    start: Callable[..., subprocess.Popen[str]], flags: list[str], environment: dict[str, str], problem: str
) -> None:
    process = start("--listen", "127.0.0.1:0", *flags, **environment)
    _, log = process.communicate(timeout=30)
    assert process.returncode == 2
    assert problem in log
    assert log.count("\n") == 1
