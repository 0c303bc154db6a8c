"""Puts the service together."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from trivium.embed.v1 import embed_service_pb2
from trivium.embed.v1.embed_service_pb2_grpc import add_EmbedServiceServicer_to_server
from trivium_encoders import EncoderOptions
from trivium_serving.admission import Admission
from trivium_serving.server import GrpcServer, serve_until_signal

from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.embedder import Embedder
from trivium_embed.limits import Limits
from trivium_embed.metrics import EmbedMetrics
from trivium_embed.servicer import EmbedServicer
from trivium_embed.settings import EmbedSettings
from trivium_embed.vector_cache import VectorCache

FULL_NAME = embed_service_pb2.DESCRIPTOR.services_by_name["EmbedService"].full_name

_HEALTH_INTERVAL_SECONDS = 0.05


class EmbedApp:
    """The service, ready to be started.

    Args:
        settings: What was set.
        registry: Where the metrics are registered.
    """

    def __init__(self, settings: EmbedSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self.embedder = Embedder(
            _backend_loader(settings, registry),
            limits=Limits(settings.max_texts, settings.max_text_characters, settings.max_call_bytes),
            admission=Admission(
                service="embed",
                registry=registry,
                max_requests=settings.max_in_flight_requests,
                max_tokens=settings.max_in_flight_tokens,
            ),
            metrics=EmbedMetrics(registry),
            cache=VectorCache(max_bytes=settings.cache_bytes, registry=registry),
        )
        self.server = GrpcServer(service="embed", listen=settings.listen, full_names=(FULL_NAME,), registry=registry)
        servicer = EmbedServicer(self.embedder, stream_in_flight=settings.stream_in_flight)
        add_EmbedServiceServicer_to_server(servicer, self.server.grpc)
        self._health_task: asyncio.Task[None] | None = None

    async def warm_up(self) -> None:
        """Loads the model; from then on health checks say whether it can compute."""
        await self.embedder.load()
        self._health_task = asyncio.create_task(self._report_health())

    async def close(self) -> None:
        """Frees the model."""
        if self._health_task is not None:
            self._health_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._health_task
        await self.embedder.close()

    async def serve(self) -> int:
        """Serves until SIGTERM or SIGINT, and returns the process's exit status."""
        return await serve_until_signal(
            self.server,
            metrics_port=self._settings.metrics_port,
            warm_up=self.warm_up,
            close=self.close,
            drain_seconds=self._settings.drain_seconds,
        )

    async def _report_health(self) -> None:
        """Keeps the health service true to the backend, which may lose a worker and get another."""
        while True:
            if self.server.health.is_serving() != self.embedder.healthy:
                await self.server.health.set_server(self.embedder.healthy)
            await asyncio.sleep(_HEALTH_INTERVAL_SECONDS)


def _backend_loader(settings: EmbedSettings, registry: CollectorRegistry) -> Callable[[], Awaitable[EmbeddingBackend]]:
    options = EncoderOptions(
        model=settings.model,
        runtime=settings.runtime,
        precision=settings.precision,
        workers=settings.workers,
        budget_tokens=settings.budget_tokens,
        cache_dir=settings.data_dir / "cache",
        max_length=settings.max_length,
    )

    async def load_local() -> EmbeddingBackend:
        from trivium_embed.backends.local import LocalBackend

        return await LocalBackend.load(options, registry)

    return {"local": load_local}[settings.backend]
