"""Puts the service together."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2
from trivium.rerank.v1.rerank_service_pb2_grpc import add_RerankServiceServicer_to_server
from trivium_encoders import EncoderOptions
from trivium_serving.admission import Admission
from trivium_serving.api_calls import ApiBudget, ApiCalls
from trivium_serving.errors import FailedPrecondition
from trivium_serving.server import GrpcServer, serve_until_signal

from trivium_rerank.backends.base import RerankBackend
from trivium_rerank.limits import Limits
from trivium_rerank.metrics import RerankMetrics
from trivium_rerank.reranker import Reranker
from trivium_rerank.servicer import RerankServicer
from trivium_rerank.settings import RerankSettings

FULL_NAME = rerank_service_pb2.DESCRIPTOR.services_by_name["RerankService"].full_name

_KEY_VARIABLE = "TRIVIUM_RERANK_API_KEY"


class RerankApp:
    """The service, ready to be started.

    Args:
        settings: What was set.
        registry: Where the metrics are registered.
    """

    def __init__(self, settings: RerankSettings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self.reranker = Reranker(
            _backend_loader(settings, registry),
            limits=Limits(
                max_texts=settings.max_texts,
                max_query_characters=settings.max_query_characters,
                max_text_characters=settings.max_text_characters,
                max_call_bytes=settings.max_call_bytes,
            ),
            admission=Admission(
                service="rerank",
                registry=registry,
                max_requests=settings.max_in_flight_requests,
                max_tokens=settings.max_in_flight_tokens,
            ),
            metrics=RerankMetrics(registry),
        )
        self.server = GrpcServer(service="rerank", listen=settings.listen, full_names=(FULL_NAME,), registry=registry)
        add_RerankServiceServicer_to_server(RerankServicer(self.reranker), self.server.grpc)
        self._health_task: asyncio.Task[None] | None = None

    async def warm_up(self) -> None:
        """Loads the model; from then on health checks say whether it can compute."""
        await self.reranker.load()
        self._health_task = asyncio.create_task(self.server.health.follow(lambda: self.reranker.healthy))

    async def close(self) -> None:
        """Frees the model."""
        if self._health_task is not None:
            self._health_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._health_task
        await self.reranker.close()

    async def serve(self) -> int:
        """Serves until SIGTERM or SIGINT, and returns the process's exit status."""
        return await serve_until_signal(
            self.server,
            metrics_port=self._settings.metrics_port,
            warm_up=self.warm_up,
            close=self.close,
            drain_seconds=self._settings.drain_seconds,
        )


def _backend_loader(settings: RerankSettings, registry: CollectorRegistry) -> Callable[[], Awaitable[RerankBackend]]:
    def options(default_model: str) -> EncoderOptions:
        return EncoderOptions(
            model=settings.model or default_model,
            runtime=settings.runtime,
            precision=settings.precision,
            workers=settings.workers,
            budget_tokens=settings.budget_tokens,
            cache_dir=settings.data_dir / "cache",
            max_length=settings.max_length,
        )

    async def load_late_interaction() -> RerankBackend:
        from trivium_rerank.backends.late_interaction import DEFAULT_MODEL, LateInteractionBackend

        return await LateInteractionBackend.load(options(DEFAULT_MODEL), registry, settings.cache_bytes)

    async def load_cross_encoder() -> RerankBackend:
        from trivium_rerank.backends.cross_encoder import DEFAULT_MODEL, CrossEncoderBackend

        return await CrossEncoderBackend.load(options(DEFAULT_MODEL), registry)

    async def load_cohere() -> RerankBackend:
        from trivium_rerank.backends.cohere import DEFAULT_MODEL, URL, CohereBackend

        calls = _api_calls(settings, f"Cohere ({settings.api_url or URL})", registry)
        return CohereBackend(
            calls,
            model=settings.model or DEFAULT_MODEL,
            url=settings.api_url or URL,
            key=settings.api_key,
            max_tokens=settings.max_length,
        )

    return {
        "late-interaction": load_late_interaction,
        "cross-encoder": load_cross_encoder,
        "cohere": load_cohere,
    }[settings.backend]


def _api_calls(settings: RerankSettings, api: str, registry: CollectorRegistry) -> ApiCalls:
    """What calls an API within the budget that is set.

    Raises:
        FailedPrecondition: There is no key (API_KEY_MISSING).
    """
    if not settings.api_key and not settings.api_url:
        raise FailedPrecondition(
            f"{api} needs a key. Set {_KEY_VARIABLE}, or TRIVIUM_RERANK_API_URL to a server that needs none.",
            reason="API_KEY_MISSING",
        )
    budget = ApiBudget(
        attempts=settings.api_attempts,
        timeout_seconds=settings.api_timeout_seconds,
        concurrency=settings.api_concurrency,
        requests_per_minute=settings.api_requests_per_minute,
        tokens_per_minute=settings.api_tokens_per_minute,
    )
    return ApiCalls(service="rerank", api=api, key_variable=_KEY_VARIABLE, budget=budget, registry=registry)
