"""The health probe of containers, as the process it is, against a real server."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2_grpc
from trivium_serving.server import GrpcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[tuple[GrpcServer, str]]:
    server = GrpcServer(
        service="rerank",
        listen="127.0.0.1:0",
        full_names=("trivium.rerank.v1.RerankService",),
        registry=CollectorRegistry(),
    )
    servicer: Any = type("Unused", (), {"Rerank": None, "GetModel": None})
    rerank_service_pb2_grpc.add_RerankServiceServicer_to_server(servicer, server.grpc)
    yield server, f"127.0.0.1:{await server.start()}"
    await server.stop(0)


async def _probe(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trivium_serving.probe", *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode().strip()


async def test_probe_of_a_server_that_serves_exits_with_0(server: tuple[GrpcServer, str]) -> None:
    serving, target = server
    await serving.health.set_server(True)

    assert await _probe(target) == (0, "")


async def test_probe_of_a_server_that_does_not_serve_exits_with_1(server: tuple[GrpcServer, str]) -> None:
    serving, target = server
    await serving.health.set_server(False)

    assert await _probe(target) == (1, f"{target}: NOT_SERVING")


async def test_probe_of_an_unknown_name_says_so(server: tuple[GrpcServer, str]) -> None:
    status, problem = await _probe(server[1], "no.such.Service")

    assert status == 1
    assert "NOT_FOUND" in problem


async def test_probe_without_a_server_exits_with_1() -> None:
    status, problem = await _probe("127.0.0.1:1")

    assert status == 1
    assert "UNAVAILABLE" in problem
