"""What goes with each call to Qdrant, and what a Qdrant without capacity says."""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc.aio import Metadata
from qdrant_client import grpc as qdrant
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.errors import qdrant_error
from trivium_qdrant_edge.room import read_only
from trivium_serving.errors import Overloaded, Unavailable
from trivium_serving.rpc_errors import to_rpc_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _BusyQdrant(grpc.GenericRpcHandler):
    """Tells its version, and has no capacity for anything else."""

    def __init__(self) -> None:
        self.keys: list[tuple[str, Any]] = []
        self.trailing: tuple[tuple[str, str], ...] = ()

    def service(self, handler_call_details: Any) -> Any:
        async def handle(request: bytes, context: Any) -> bytes:
            self.keys.append((handler_call_details.method, dict(context.invocation_metadata()).get("api-key")))
            if handler_call_details.method != "/qdrant.Qdrant/HealthCheck":
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", self.trailing)
            return qdrant.HealthCheckReply(version="1.19.1").SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)


@asynccontextmanager
async def _connected(engine: _BusyQdrant, host: str, api_key: str = "") -> AsyncIterator[QdrantConnection]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((engine,))
    port = server.add_insecure_port(f"{host}:0")
    await server.start()
    connection = QdrantConnection(f"http://{host}:6333", port, api_key)
    try:
        yield connection
    finally:
        await connection.close()
        await server.stop(None)


async def _list(connection: QdrantConnection) -> None:
    await connection.call(connection.collections.List, qdrant.ListCollectionsRequest(), timeout_seconds=10)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_key_goes_with_each_call(host: str) -> None:
    engine = _BusyQdrant()
    async with _connected(engine, host, "a-key") as connection:
        assert await connection.version(timeout_seconds=10) == "1.19.1"
        with pytest.raises(Overloaded):
            await _list(connection)

    assert engine.keys == [("/qdrant.Qdrant/HealthCheck", "a-key"), ("/qdrant.Collections/List", "a-key")]


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("", 1.0), ("soon", 1.0)])
async def test_qdrant_without_capacity_says_when_to_come_again(told: str, seconds: float) -> None:
    engine = _BusyQdrant()
    engine.trailing = (("retry-after", told),) if told else ()
    async with _connected(engine, "127.0.0.1") as connection:
        with pytest.raises(Overloaded) as caught:
            await _list(connection)

    assert caught.value.retry_after_seconds == seconds
    assert "too many" in caught.value.cause
    assert engine.keys == [("/qdrant.Collections/List", None)]


def test_gateway_builds_no_models_of_qdrants_rest_api() -> None:
    code = "import sys, trivium_gateway.app; print('qdrant_client.http' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout == "False\n"


def test_engine_whose_folder_is_read_only_is_told_by_name_and_without_its_path() -> None:
    engine = read_only(Path("/somewhere/qdrant"))
    status = to_rpc_status(engine, "trivium.qdrant_edge.v1")
    trailing = Metadata(("grpc-status-details-bin", status.SerializeToString()))
    failed = grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, Metadata(), trailing, str(engine))

    error = qdrant_error(failed, "127.0.0.1:6334")

    assert isinstance(error, Unavailable)  # so that jobs wait
    assert error.reason == "STORAGE_READ_ONLY"
    assert "/somewhere" not in str(error)
