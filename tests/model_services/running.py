"""A whole service inside the test's process, with its real model, behind a real port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from trivium_serving.channels import open_channel
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from trivium_model_service.app import ModelApp
    from trivium_serving.errors import TriviumError

# Shared by every run, so that the model is converted once per clone.
DATA_DIR = Path(__file__).resolve().parents[2] / ".data"


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service and a caller of it."""

    app: Any
    registry: CollectorRegistry
    stub: Any
    health_stub: Any
    full_name: str
    port: int

    async def is_serving(self) -> bool:
        """What a health check says."""
        answer = await self.health_stub.Check(health_pb2.HealthCheckRequest(service=self.full_name))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value now."""
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no metric {name} with {labels}"
        return value


Serve = Callable[..., AbstractAsyncContextManager[RunningService]]


def server_of(app_of: Callable[..., ModelApp], settings_of: Callable[..., Any], stub_of: Any, full_name: str) -> Serve:
    """What starts a service with the settings given; `warm=False` leaves it loading."""

    @asynccontextmanager
    async def serve(*, warm: bool = True, **settings: object) -> AsyncIterator[RunningService]:
        registry = CollectorRegistry()
        app = app_of(settings_of(listen="127.0.0.1:0", data_dir=DATA_DIR, **settings), registry)
        port = await app.server.start()
        try:
            if warm:
                await app.warm_up()
                await app.server.health.set_server(True)
            async with open_channel(f"127.0.0.1:{port}") as channel:
                health = health_pb2_grpc.HealthStub(channel)
                yield RunningService(app, registry, stub_of(channel), health, full_name, port)
        finally:
            await app.server.stop(0)
            await app.close()

    return serve


async def failure_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, TriviumError]:
    """The code and the domain error of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code(), error_from_rpc(failure.value)
