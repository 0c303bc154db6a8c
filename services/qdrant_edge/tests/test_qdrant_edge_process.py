"""The process: settings, start, endpoints, index building, end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from qdrant_client import models
from tls.certificates import authority, issued
from trivium_qdrant_edge.http_endpoints import HttpEndpoints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qdrant_client import AsyncQdrantClient
    from trivium_qdrant_edge.child_process import QdrantEdgeProcess

    Start = Callable[..., QdrantEdgeProcess]
    Connect = Callable[[QdrantEdgeProcess], AsyncQdrantClient]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trivium_qdrant_edge", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def samples(process: QdrantEdgeProcess) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = httpx.get(f"http://127.0.0.1:{process.http_port}/metrics").text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_help_names_every_setting_and_its_variable() -> None:
    result = run("--help")

    assert result.returncode == 0
    for name in ("LISTEN", "HTTP_LISTEN", "MAX_POINTS_PER_CALL", "OPTIMIZE_FROM_POINTS"):
        assert f"TRIVIUM_QDRANT_EDGE_{name}" in result.stdout
    assert "TRIVIUM_DATA_DIR" in result.stdout


def test_process_builds_no_models_of_qdrants_rest_api() -> None:
    code = "import sys, trivium_qdrant_edge.__main__; print('qdrant_client.http' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout == "False\n"


def test_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        grpc_taken = run(f"--listen={address}", "--http-listen=127.0.0.1:0", f"--data-dir={tmp_path}")
        http_taken = run("--listen=127.0.0.1:0", f"--http-listen={address}", f"--data-dir={tmp_path}")

    assert (grpc_taken.returncode, http_taken.returncode) == (1, 1)
    assert "TRIVIUM_QDRANT_EDGE_LISTEN" in grpc_taken.stderr
    assert "TRIVIUM_QDRANT_EDGE_HTTP_LISTEN" in http_taken.stderr
    assert "Traceback" not in grpc_taken.stderr + http_taken.stderr


def test_readiness_is_refused_until_everything_is_open() -> None:
    endpoints = HttpEndpoints("127.0.0.1:0", CollectorRegistry())
    endpoints.start()
    url = f"http://127.0.0.1:{endpoints.port}"

    before = httpx.get(f"{url}/readyz").status_code, httpx.get(f"{url}/livez").status_code
    endpoints.ready = True
    after = httpx.get(f"{url}/readyz").status_code
    endpoints.stop()

    assert (before, after) == ((503, 200), 200)


def test_http_callers_who_leave_are_not_worth_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    endpoints = HttpEndpoints("127.0.0.1:0", CollectorRegistry())
    endpoints.start()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", endpoints.port)) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # to leave with a reset
            caller.sendall(b"GET /metrics HTTP/1.1\r\n")
    httpx.get(f"http://127.0.0.1:{endpoints.port}/livez").raise_for_status()
    endpoints.stop()

    assert capfd.readouterr().err == ""


def test_http_is_encrypted_where_there_is_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority(tmp_path)
    own = issued(trusted, tmp_path)
    monkeypatch.setenv("TRIVIUM_TLS_CERT", str(own.certificate))
    monkeypatch.setenv("TRIVIUM_TLS_KEY", str(own.key))
    endpoints = HttpEndpoints("127.0.0.1:0", CollectorRegistry())
    endpoints.start()
    context = ssl.create_default_context(cafile=str(trusted.certificate))

    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{endpoints.port}/livez")
    with socket.create_connection(("127.0.0.1", endpoints.port)):  # who says nothing holds nobody up
        answer = httpx.get(f"https://127.0.0.1:{endpoints.port}/livez", verify=context)
    endpoints.stop()

    assert answer.status_code == 200


async def test_process_describes_itself_over_grpc_and_http(start: Start, connect: Connect) -> None:
    process = start()
    client = connect(process)
    await client.create_collection("docs", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    await client.upsert("docs", [models.PointStruct(id=number, vector=[1.0, 0.0]) for number in range(3)])
    with pytest.raises(grpc.aio.AioRpcError):
        await client.get_collection("missing")

    async with grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc_port}") as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", "qdrant.Points", "qdrant.Collections"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        async for listed in stub.ServerReflectionInfo(iter([ask])):
            names = {service.name for service in listed.list_services_response.service}
            assert {"qdrant.Points", "qdrant.Collections", "qdrant.Qdrant", "grpc.health.v1.Health"} <= names

    metrics = await asyncio.to_thread(samples, process)
    assert metrics["collections_total", ()] == 1
    assert metrics["collection_points", (("id", "docs"),)] == 3
    assert any(name == "app_info" for name, _ in metrics)
    requests = "trivium_qdrant_edge_requests_total"
    assert metrics[requests, (("code", "OK"), ("method", "Points/Upsert"))] == 1
    assert metrics[requests, (("code", "NOT_FOUND"), ("method", "Collections/Get"))] == 1
    assert metrics[requests, (("code", "OK"), ("method", "Points/Query"))] == 0
    assert metrics["trivium_qdrant_edge_optimizations_total", (("outcome", "done"),)] == 0


async def test_process_counts_calls_of_points_as_a_qdrant_server_does(start: Start, connect: Connect) -> None:
    process = start()
    client = connect(process)
    await client.create_collection("docs", vectors_config=models.VectorParams(size=2, distance=models.Distance.COSINE))
    await client.upsert("docs", [models.PointStruct(id=1, vector=[1.0, 0.0])])
    with pytest.raises(grpc.aio.AioRpcError):
        await client.count("missing")

    metrics = await asyncio.to_thread(samples, process)
    assert {labels: value for (name, labels), value in metrics.items() if name == "grpc_responses_total"} == {
        (("endpoint", "/qdrant.Points/Upsert"), ("status", "0")): 1,
        (("endpoint", "/qdrant.Points/Count"), ("status", "5")): 1,
    }
    timed = (("endpoint", "/qdrant.Points/Upsert"), ("status", "0"))
    assert metrics["grpc_responses_duration_seconds_count", timed] == 1
    assert metrics["memory_resident_bytes", ()] > 1 << 20
    assert metrics["collection_running_optimizations", (("id", "docs"),)] == 0


async def test_index_is_built_in_the_background_and_everything_stays_right(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    process = start(optimize_from_points=1500, optimize_quiet_seconds=0.5, flush_interval_seconds=0.2)
    client = connect(process)
    await client.create_collection(
        "docs",
        vectors_config={"dense": models.VectorParams(size=32, distance=models.Distance.EUCLID)},
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=10),
        hnsw_config=models.HnswConfigDiff(full_scan_threshold=10),
    )
    await client.create_payload_index("docs", "number", models.PayloadSchemaType.INTEGER)
    expected: dict[int, list[float]] = {}

    async def write(numbers: range, offset: float) -> None:
        vectors = {number: [float((number * step) % 97) + offset for step in range(1, 33)] for number in numbers}
        points: list[models.PointStruct] = [
            models.PointStruct(id=number, vector={"dense": vector}, payload={"number": number})
            for number, vector in vectors.items()
        ]
        await client.upsert("docs", points)
        expected.update(vectors)

    for first in range(0, 2000, 500):
        await write(range(first, first + 500), 0.0)
    slowest_health_check = 0.0
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{process.grpc_port}")
    health: Any = health_pb2_grpc.HealthStub(channel)
    written_meanwhile = 0
    deadline = time.monotonic() + 120
    while "optimized collection docs" not in process.log():
        assert time.monotonic() < deadline, process.log()
        begun = time.monotonic()
        await health.Check(health_pb2.HealthCheckRequest())
        slowest_health_check = max(slowest_health_check, time.monotonic() - begun)
        if "0.optimized" in generations(tmp_path):  # new, changed and deleted points
            await write(range(5000 + written_meanwhile, 5005 + written_meanwhile), 0.0)
            await write(range(written_meanwhile % 1000, written_meanwhile % 1000 + 5), 0.5)
            await client.delete("docs", [1000 + written_meanwhile % 500])
            expected.pop(1000 + written_meanwhile % 500, None)
            written_meanwhile += 5
    await write(range(9000, 9010), 0.0)

    assert ": done" in process.log()
    assert slowest_health_check < 2.0
    assert (await client.get_collection("docs")).indexed_vectors_count >= 1500  # type: ignore[operator]
    await check_everything(client, expected)
    process.kill()
    client = connect(start(optimize_from_points=0))
    await check_everything(client, expected)
    assert generations(tmp_path) == ["1"]
    await channel.close()


def generations(data: Path) -> list[str]:
    return [path.name for path in data.glob("data/qdrant/collections/*/*") if path.is_dir()]


async def check_everything(client: AsyncQdrantClient, expected: dict[int, list[float]]) -> None:
    """Every point is there as it was last written, and the index finds it."""
    records, _ = await client.scroll("docs", limit=10_000, with_vectors=True)
    found = {record.id: record.vector["dense"] for record in records if isinstance(record.vector, dict)}
    assert found == expected
    for number in [*list(expected)[::200], 9000]:
        response = await client.query_points("docs", query=expected[number], using="dense", limit=1)
        assert response.points[0].score == pytest.approx(0.0, abs=1e-3)
