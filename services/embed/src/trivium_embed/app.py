"""Puts the service together."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from trivium.embed.v1 import embed_service_pb2
from trivium.embed.v1.embed_service_pb2_grpc import add_EmbedServiceServicer_to_server
from trivium_encoders import EncoderOptions
from trivium_serving.admission import Admission
from trivium_serving.api_calls import ApiBudget, ApiCalls
from trivium_serving.errors import FailedPrecondition
from trivium_serving.server import GrpcServer, serve_until_signal

from trivium_embed.backends.api import ApiBackend, ApiOptions
from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.embedder import Embedder
from trivium_embed.limits import Limits
from trivium_embed.metrics import EmbedMetrics
from trivium_embed.servicer import EmbedServicer
from trivium_embed.settings import DEFAULT_MODEL, EmbedSettings
from trivium_embed.vector_cache import VectorCache

FULL_NAME = embed_service_pb2.DESCRIPTOR.services_by_name["EmbedService"].full_name

_KEY_VARIABLE = "TRIVIUM_EMBED_API_KEY"


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
            dimension=settings.dimension,
            least_dimension=settings.least_dimension,
        )
        self.server = GrpcServer(service="embed", listen=settings.listen, full_names=(FULL_NAME,), registry=registry)
        servicer = EmbedServicer(self.embedder, stream_in_flight=settings.stream_in_flight)
        add_EmbedServiceServicer_to_server(servicer, self.server.grpc)
        self._health_task: asyncio.Task[None] | None = None

    async def warm_up(self) -> None:
        """Loads the model; from then on health checks say whether it can compute."""
        await self.embedder.load()
        self._health_task = asyncio.create_task(self.server.health.follow(lambda: self.embedder.healthy))

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

    async def load_openai() -> EmbeddingBackend:
        from trivium_embed.backends.openai import URL, OpenAIProvider

        options, calls = _api(settings, "OpenAI", URL, registry)
        return await ApiBackend.load(OpenAIProvider(options), calls, options)

    async def load_cohere() -> EmbeddingBackend:
        from trivium_embed.backends.cohere import URL, CohereProvider

        options, calls = _api(settings, "Cohere", URL, registry)
        return await ApiBackend.load(CohereProvider(options), calls, options)

    return {"local": load_local, "openai": load_openai, "cohere": load_cohere}[settings.backend]


def _api(settings: EmbedSettings, provider: str, url: str, registry: CollectorRegistry) -> tuple[ApiOptions, ApiCalls]:
    """What a backend needs to call an API.

    Raises:
        FailedPrecondition: There is no key (API_KEY_MISSING).
    """
    if not settings.api_key and not settings.api_url:
        raise FailedPrecondition(
            f"{provider} needs a key. Set {_KEY_VARIABLE}, or TRIVIUM_EMBED_API_URL to a server that needs none.",
            reason="API_KEY_MISSING",
        )
    options = ApiOptions(
        model="" if settings.model == DEFAULT_MODEL else settings.model,
        url=settings.api_url,
        key=settings.api_key,
        dimension=settings.dimension,
        max_tokens=settings.max_length,
        batch_texts=settings.api_batch_texts,
        batch_tokens=settings.api_batch_tokens,
    )
    budget = ApiBudget(
        attempts=settings.api_attempts,
        timeout_seconds=settings.api_timeout_seconds,
        concurrency=settings.api_concurrency,
        requests_per_minute=settings.api_requests_per_minute,
        tokens_per_minute=settings.api_tokens_per_minute,
    )
    calls = ApiCalls(
        service="embed",
        api=f"{provider} ({settings.api_url or url})",
        key_variable=_KEY_VARIABLE,
        budget=budget,
        registry=registry,
    )
    return options, calls
