"""The service as a process: `python -m trivium_rerank`."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from grpc_health.v1 import health_pb2, health_pb2_grpc
from ports import free_port
from trivium.rerank.v1 import rerank_service_pb2 as pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_serving.channels import open_channel

READY_SECONDS = 120  # a first run converts the model


async def test_rerank_process_sigterm_finishes_the_running_call_and_exits_zero(data_dir: Path) -> None:
    address, metrics_port = f"127.0.0.1:{free_port()}", free_port()
    flags = ("--listen", address, "--metrics-port", str(metrics_port), "--data-dir", str(data_dir))
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "trivium_rerank", *flags, stderr=PIPE)
    try:
        async with open_channel(address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            watch = health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=READY_SECONDS)
            while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
                pass
            texts = [f"{number} " + "word " * 200 for number in range(40)]
            call = RerankServiceStub(channel).Rerank(pb.RerankRequest(query="words", texts=texts))
            await until_busy(metrics_port)
            process.send_signal(signal.SIGTERM)

            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
            watch.cancel()
            assert len((await call).rankings) == 40
            _, log = await process.communicate()
            assert process.returncode == 0, log.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_rerank_process_model_of_another_family_exits_one_and_names_it(data_dir: Path) -> None:
    model = "sentence-transformers/all-MiniLM-L6-v2"
    flags = ("--listen", "127.0.0.1:0", "--metrics-port", "0", "--data-dir", str(data_dir))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trivium_rerank", *flags, "--backend", "cross-encoder", "--model", model), stderr=PIPE
    )
    _, log = await process.communicate()

    assert process.returncode == 1
    assert model in log.decode()
    assert "Traceback" not in log.decode()


async def until_busy(metrics_port: int) -> None:
    """Waits until the process has begun to work on a call."""

    def in_flight() -> float:
        with urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("trivium_rerank_in_flight_requests "))

    async with asyncio.timeout(10):
        while await asyncio.to_thread(in_flight) == 0:
            pass
