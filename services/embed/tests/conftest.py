"""The whole service inside the test's process, with its real model, behind a real port."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from trivium_embed.app import FULL_NAME, EmbedApp
from trivium_embed.settings import EmbedSettings
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    # Generated for type checkers alone.
    from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceAsyncStub

# Shared by every run, so that the model is converted once per clone.
DATA_DIR = Path(__file__).resolve().parents[3] / ".data"


@dataclass(frozen=True, slots=True)
class EmbedService:
    """A running service and a caller of it."""

    app: EmbedApp
    registry: CollectorRegistry
    stub: "EmbedServiceAsyncStub"
    health_stub: Any  # the published types know no methods of it

    async def is_serving(self) -> bool:
        """What a health check says."""
        answer = await self.health_stub.Check(health_pb2.HealthCheckRequest(service=FULL_NAME))
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value now."""
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, f"there is no metric {name} with {labels}"
        return value


ServeEmbed = Callable[..., AbstractAsyncContextManager[EmbedService]]


@asynccontextmanager
async def _serve(*, warm: bool = True, **settings: object) -> AsyncIterator[EmbedService]:
    registry = CollectorRegistry()
    app = EmbedApp(EmbedSettings(listen="127.0.0.1:0", data_dir=DATA_DIR, **settings), registry)  # type: ignore[arg-type]
    port = await app.server.start()
    try:
        if warm:
            await app.warm_up()
            await app.server.health.set_server(True)
        async with open_channel(f"127.0.0.1:{port}") as channel:
            yield EmbedService(app, registry, EmbedServiceStub(channel), health_pb2_grpc.HealthStub(channel))
    finally:
        await app.server.stop(0)
        await app.close()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where the converted model is."""
    return DATA_DIR


@pytest.fixture(scope="session")
def serve_embed() -> ServeEmbed:
    """Starts a service with the settings given; `warm=False` leaves it loading."""
    return _serve


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embed_service() -> AsyncIterator[EmbedService]:
    """A service with the default settings, shared by the tests of a module."""
    async with _serve() as service:
        yield service
