"""A service around one model: what is the same for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trivium_serving.server import GrpcServer, serve_until_signal

if TYPE_CHECKING:
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
    def listen(self) -> str:
        """Address to serve on, `HOST:PORT`."""

    @property
    def metrics_port(self) -> int:
        """Port for Prometheus; 0 for none."""

    @property
    def drain_seconds(self) -> float:
        """Time that running calls have to end."""


class ModelApp:
    """A model and its gRPC server, ready to be started.

    Args:
        model: What is served.
        settings: How it is served.
        service: The service's short name.
        full_name: Its gRPC service.
        registry: Where the metrics are registered.
    """

    def __init__(
        self, model: Model, settings: ServerSettings, *, service: str, full_name: str, registry: CollectorRegistry
    ) -> None:
        self._model = model
        self._settings = settings
        self.server = GrpcServer(service=service, listen=settings.listen, full_names=(full_name,), registry=registry)
        self.server.background.declare("health")

    async def warm_up(self) -> None:
        """Loads the model; from then on health checks say whether it can compute."""
        await self._model.load()
        self.server.background.start("health", lambda: self.server.health.follow(lambda: self._model.healthy))

    async def close(self) -> None:
        """Frees the model."""
        await self.server.background.close()
        await self._model.close()

    async def serve(self) -> int:
        """Serves until SIGTERM or SIGINT, and returns the process's exit status."""
        return await serve_until_signal(
            self.server,
            metrics_port=self._settings.metrics_port,
            warm_up=self.warm_up,
            close=self.close,
            drain_seconds=self._settings.drain_seconds,
        )
