"""The server as services use it, over real connections. The health service's own RPCs stand in for a service's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ports import free_port
from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc
from trivium_serving.channels import open_channel, outgoing_metadata
from trivium_serving.errors import Overloaded
from trivium_serving.request_context import begin_request, request_id, set_tenant, tenant
from trivium_serving.rpc_errors import error_from_rpc
from trivium_serving.server import GrpcServer, ListenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

RERANK = "trivium.rerank.v1.RerankService"


class ScriptedServicer(rerank_service_pb2_grpc.RerankServiceServicer):
    """Runs whatever the test gives it."""

    def __init__(self) -> None:
        self.behave: Callable[[], Awaitable[None]] | None = None

    async def Rerank(self, request: Any, context: Any) -> rerank_service_pb2.RerankResponse:
        if self.behave is not None:
            await self.behave()
        return rerank_service_pb2.RerankResponse(token_count=len(request.texts))

    async def GetModel(self, request: Any, context: Any) -> rerank_service_pb2.GetModelResponse:
        return rerank_service_pb2.GetModelResponse()


class Running:
    """A server under test and a stub for it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.server = GrpcServer(
            service="rerank",
            listen="127.0.0.1:0",
            full_names=(RERANK,),
            registry=self.registry,
            max_message_bytes=1 << 20,
        )
        self.servicer = ScriptedServicer()
        rerank_service_pb2_grpc.add_RerankServiceServicer_to_server(self.servicer, self.server.grpc)

    async def start(self) -> None:
        self.port = await self.server.start()
        self.channel = open_channel(f"127.0.0.1:{self.port}")
        self.stub = rerank_service_pb2_grpc.RerankServiceStub(self.channel)

    async def call(self, **options: Any) -> rerank_service_pb2.RerankResponse:
        return await self.stub.Rerank(rerank_service_pb2.RerankRequest(query="q", texts=["a"]), timeout=5, **options)

    async def health(self, name: str) -> str:
        stub: Any = health_pb2_grpc.HealthStub(self.channel)
        response = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)

    def requests(self, code: str) -> float | None:
        return self.registry.get_sample_value("trivium_rerank_requests_total", {"method": "Rerank", "code": code})


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = Running()
    await running.start()
    yield running
    await running.channel.close()
    await running.server.stop(0)


async def test_server_call_that_succeeds_is_counted(running: Running) -> None:
    assert running.requests("OK") == 0

    assert (await running.call()).token_count == 1

    assert running.requests("OK") == 1


async def test_server_handler_raising_domain_error_answers_its_status(running: Running) -> None:
    async def refuse() -> None:
        raise Overloaded("busy", retry_after_seconds=0.5)

    running.servicer.behave = refuse
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call()

    error = error_from_rpc(caught.value)
    assert isinstance(error, Overloaded)
    assert error.retry_after_seconds == 0.5
    assert dict(caught.value.trailing_metadata() or ())["grpc-retry-pushback-ms"] == "500"
    assert running.requests("RESOURCE_EXHAUSTED") == 1


async def test_server_handler_breaking_hides_the_cause(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    async def break_down() -> None:
        raise RuntimeError("the secret cause")

    running.servicer.behave = break_down
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call()

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")
    assert "the secret cause" in caplog.text


async def test_server_handler_awaiting_cancelled_future_answers_at_once(running: Running) -> None:
    async def await_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    running.servicer.behave = await_cancelled
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call()

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_server_client_leaving_cancels_the_handler(running: Running) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    running.servicer.behave = hang
    call = running.stub.Rerank(rerank_service_pb2.RerankRequest(query="q", texts=["a"]))
    await entered.wait()
    call.cancel()

    await asyncio.wait_for(cancelled.wait(), 5)


async def test_server_tasks_that_have_not_ended_are_counted(running: Running) -> None:
    def tasks() -> float | None:
        return running.registry.get_sample_value("trivium_rerank_tasks")

    before, end = tasks(), asyncio.Event()
    assert before is not None
    waiting = [asyncio.create_task(end.wait()) for _ in range(3)]
    assert tasks() == before + 3
    end.set()
    await asyncio.gather(*waiting)
    assert tasks() == before


async def test_server_message_over_the_limit_is_refused(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.stub.Rerank(rerank_service_pb2.RerankRequest(query="q" * (2 << 20)), timeout=5)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_server_request_id_travels_with_the_call(running: Running) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.append(request_id())

    running.servicer.behave = look
    begin_request("caller-1")
    await running.call(metadata=outgoing_metadata())
    await running.call(metadata=(("x-request-id", "bad id!"),))

    assert seen[0] == "caller-1"
    assert len(seen[1]) == 32


async def test_server_tenant_travels_with_the_call_to_services_of_our_own_alone(running: Running) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.append(tenant())

    running.servicer.behave = look
    set_tenant("legal")
    await running.call(metadata=outgoing_metadata())
    await running.call()

    assert seen == ["legal", ""]


async def test_server_health_follows_what_is_set(running: Running) -> None:
    assert await running.health(RERANK) == "NOT_SERVING"

    await running.server.health.set_server(True)
    await running.server.health.set("model", False)

    assert await running.health("") == "SERVING"
    assert await running.health(RERANK) == "SERVING"
    assert await running.health("model") == "NOT_SERVING"


async def test_server_with_a_watch_open_stops_at_once(running: Running) -> None:
    await running.server.health.set_server(True)
    stub: Any = health_pb2_grpc.HealthStub(running.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=RERANK))
    responses = aiter(watch)
    seen = [(await anext(responses)).status]

    start = time.monotonic()
    await running.server.stop(30)
    seen += [response.status async for response in responses]

    assert time.monotonic() - start < 10
    assert seen == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]


async def test_server_port_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        server = GrpcServer(service="rerank", listen=listen, full_names=(RERANK,), registry=CollectorRegistry())
        with pytest.raises(ListenError, match="TRIVIUM_RERANK_LISTEN"):
            await server.start()
        await server.stop(0)


PROGRAM = """
import asyncio, gc, sys
from prometheus_client import CollectorRegistry, Gauge
from trivium.rerank.v1 import rerank_service_pb2
from trivium_serving.logs import configure_logging
from trivium_serving.server import GrpcServer, serve_until_signal

async def main():
    server = GrpcServer(service="rerank", listen="127.0.0.1:%(port)s", registry=CollectorRegistry(),
                        full_names=("trivium.rerank.v1.RerankService",))
    Gauge("vllm:waiting", "A name with a colon.", registry=server.registry).set(1)
    async def warm_up(): %(warm_up)s
    async def close(): print("closed,", "frozen" if gc.get_freeze_count() > 10_000 else "not frozen", flush=True)
    return await serve_until_signal(
        server, metrics_port=%(metrics_port)s, warm_up=warm_up, close=close, drain_seconds=1
    )

configure_logging("rerank")
sys.exit(asyncio.run(main()))
"""


async def _start(tmp_path: Path, **values: Any) -> asyncio.subprocess.Process:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM % {"port": 0, "metrics_port": 0, "warm_up": "pass", **values})
    return await asyncio.create_subprocess_exec(
        sys.executable, str(program), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def _wait_for_line(process: asyncio.subprocess.Process, text: str) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        if text in line.decode():
            return
    raise AssertionError(f"the process ended before it said {text!r}")


async def test_service_on_sigterm_drains_and_exits_zero(tmp_path: Path) -> None:
    metrics_port = free_port()
    process = await _start(tmp_path, metrics_port=metrics_port)
    await _wait_for_line(process, "ready")
    accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,*/*;q=0.1"}  # as Prometheus asks
    async with httpx.AsyncClient() as client:
        metrics = (await client.get(f"http://127.0.0.1:{metrics_port}/metrics", headers=accept)).text
    assert "\ntrivium_rerank_requests_total" in metrics
    assert "\nvllm:waiting 1.0" in metrics

    os.kill(process.pid, signal.SIGTERM)
    output, _ = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 0
    assert output == b"closed, frozen\n"  # the heap: the garbage collector holds nothing up


async def test_service_whose_warm_up_fails_exits_one_with_the_reason(tmp_path: Path) -> None:
    process = await _start(tmp_path, warm_up="raise ValueError('no such model')")

    _, log = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 1
    assert b"cannot start: no such model" in log
    assert b"Traceback" not in log


async def test_service_whose_metrics_port_is_taken_exits_one_with_the_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await _start(tmp_path, metrics_port=taken.getsockname()[1])
        _, log = await asyncio.wait_for(process.communicate(), 10)

    assert process.returncode == 1
    assert b"TRIVIUM_RERANK_METRICS_PORT" in log
