"""A service around one model: what is the same for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from trivium_serving.server import GrpcServer, serve_until_signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry


class Model(Protocol):
    """What is served."""

    @property
    def healthy(self) -> bool:
        """Whether it can compute now; cheap."""

    async def load(self) -> None:
        """Makes it ready."""

    async def close(self) -> None:
        """Frees it; may be called when it is not loaded."""


class ServerSettings(Protocol):
    """A service's settings, as far as they are about its server."""

    @property
    def metrics_port(self) -> int:
        """Port for Prometheus; 0 for none."""

    @property
    def drain_seconds(self) -> float:
        """Time that running calls have to end."""


class ServiceApp(Protocol):
    """A service that was put together."""

    @property
    def server(self) -> GrpcServer:
        """Its server, with its servicers added."""

    async def warm_up(self) -> None:
        """Makes it ready."""

    async def close(self) -> None:
        """Releases what it holds."""


def run(build: Callable[[], ServiceApp], settings: ServerSettings) -> int:
    """Serves until SIGTERM or SIGINT.

    Args:
        build: Puts the service together, inside the event loop that it then runs in.
        settings: How it is served.

    Returns:
        The process's exit status.
    """

    async def serve() -> int:
        app = build()
        return await serve_until_signal(
            app.server,
            metrics_port=settings.metrics_port,
            warm_up=app.warm_up,
            close=app.close,
            drain_seconds=settings.drain_seconds,
        )

    return asyncio.run(serve())


class ModelApp:
    """A model and its gRPC server, ready to be started.

    Args:
        model: What is served.
        listen: Address to serve on, `HOST:PORT`.
        service: The service's short name.
        full_name: Its gRPC service.
        registry: Where the metrics are registered.
    """

    def __init__(self, model: Model, listen: str, *, service: str, full_name: str, registry: CollectorRegistry) -> None:
        self._model = model
        self.server = GrpcServer(service=service, listen=listen, full_names=(full_name,), registry=registry)
        self.server.background.declare("health")

    async def warm_up(self) -> None:
        """Loads the model; from then on health checks say whether it can compute."""
        await self._model.load()
        self.server.background.start("health", lambda: self.server.health.follow(lambda: self._model.healthy))

    async def close(self) -> None:
        """Frees the model."""
        await self.server.background.close()
        await self._model.close()
