"""The service as a process: `python -m trivium_embed`."""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ports import free_port
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from trivium_serving.channels import open_channel

READY_SECONDS = 120  # a first run converts the model


async def start(*flags: str) -> Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "trivium_embed", *flags, stderr=PIPE)


async def end(process: Process) -> tuple[int, str]:
    """Waits for the process to end, and returns its status and what it logged."""
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


@asynccontextmanager
async def running(data_dir: Path, *flags: str) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    """A process that serves, and a channel to it."""
    port = free_port()
    process = await start("--listen", f"127.0.0.1:{port}", "--data-dir", str(data_dir), *flags)
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_SECONDS)
            while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
                pass
            watch.cancel()
            yield process, channel
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_embed_process_sigterm_finishes_the_running_call_and_exits_zero(data_dir: Path) -> None:
    metrics_port = free_port()
    async with running(data_dir, "--metrics-port", str(metrics_port)) as (process, channel):
        stub = EmbedServiceStub(channel)
        call = stub.Embed(pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(40)]))
        await until_busy(metrics_port)
        process.send_signal(signal.SIGTERM)

        response = await call
        assert len(response.token_counts) == 40
        status, log = await end(process)
        assert status == 0, log


async def test_embed_process_sigterm_with_a_call_beyond_the_drain_exits_in_time(data_dir: Path) -> None:
    metrics_port = free_port()
    flags = ("--metrics-port", str(metrics_port), "--drain-seconds", "0.2")
    async with running(data_dir, *flags) as (process, channel):
        call = EmbedServiceStub(channel).Embed(
            pb.EmbedRequest(texts=[f"{item} " + "word " * 200 for item in range(2000)])
        )
        await until_busy(metrics_port)
        process.send_signal(signal.SIGTERM)

        async with asyncio.timeout(10):
            status, log = await end(process)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert status == 0, log


async def test_embed_process_sigterm_during_the_first_conversion_exits_at_once(tmp_path: Path) -> None:
    process = await start("--listen", "127.0.0.1:0", "--metrics-port", "0", "--data-dir", str(tmp_path))
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"converting model" not in await process.stderr.readline():
            pass
    process.send_signal(signal.SIGTERM)

    async with asyncio.timeout(5):  # the conversion takes longer
        status, log = await end(process)
    assert status == 0, log
    assert "Traceback" not in log
    assert [path.suffix for path in (tmp_path / "cache" / "openvino").iterdir()] == [".lock"]


async def test_embed_process_with_a_prepared_model_serves_without_a_conversion(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(data_dir, "--metrics-port", "0"):  # so that there is a converted one
        pass
    monkeypatch.setenv("TRIVIUM_PREPARED_DIR", str(data_dir / "cache"))
    async with running(tmp_path, "--metrics-port", "0") as (process, channel):
        response = await EmbedServiceStub(channel).Embed(pb.EmbedRequest(texts=["one"]))
        assert len(response.token_counts) == 1
        process.send_signal(signal.SIGTERM)
        await end(process)
    assert not (tmp_path / "cache" / "openvino").exists()


async def test_embed_process_taken_port_exits_one_and_says_so(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        status, log = await end(await start("--listen", address, "--data-dir", str(data_dir), "--metrics-port", "0"))

    assert status == 1
    assert address in log
    assert "Traceback" not in log


async def test_embed_process_unknown_model_exits_one_and_names_it(tmp_path: Path) -> None:
    flags = ("--listen", "127.0.0.1:0", "--metrics-port", "0", "--data-dir", str(tmp_path))
    status, log = await end(await start(*flags, "--model", str(tmp_path / "nowhere")))

    assert status == 1
    assert str(tmp_path / "nowhere") in log
    assert "Traceback" not in log


async def test_embed_process_bad_setting_exits_two_and_names_it() -> None:
    status, log = await end(await start("--max-texts", "0"))

    assert status == 2
    assert "--max-texts" in log


async def until_busy(metrics_port: int) -> None:
    """Waits until the process has begun to work on a call."""

    def in_flight() -> float:
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("trivium_embed_in_flight_requests "))

    async with asyncio.timeout(10):
        while await asyncio.to_thread(in_flight) == 0:
            pass
