"""Puts the service together."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry
from trivium.embed.v1 import embed_service_pb2
from trivium.embed.v1.embed_service_pb2_grpc import add_EmbedServiceServicer_to_server
from trivium_encoders import CodeForm, Role
from trivium_model_apis.settings import api_calls
from trivium_model_service.app import ModelApp
from trivium_model_service.result_cache import CacheMetrics
from trivium_serving.admission import Admission
from trivium_serving.metrics import DiskMetrics

from trivium_embed.backends.api import ApiBackend, ApiOptions
from trivium_embed.backends.base import EmbeddingBackend
from trivium_embed.embedder import Embedder
from trivium_embed.limits import Limits
from trivium_embed.metrics import EmbedMetrics
from trivium_embed.servicer import EmbedServicer
from trivium_embed.settings import DEFAULT_MODEL, EmbedSettings

FULL_NAME = embed_service_pb2.DESCRIPTOR.services_by_name["EmbedService"].full_name


class EmbedApp(ModelApp):
    """The service, ready to be started.

    Args:
        settings: What was set.
        registry: Where the metrics are registered.
    """

    def __init__(self, settings: EmbedSettings, registry: CollectorRegistry) -> None:
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
            cache_bytes=settings.cache_bytes,
            cache_metrics=CacheMetrics("embed", registry, [role.value for role in Role]),
            dimension=settings.dimension,
            least_dimension=settings.least_dimension,
            express_tokens=settings.express_tokens,
            codes=None if settings.token_codes == "off" else CodeForm(int(settings.token_codes)),
            sparse_terms=settings.sparse_terms,
        )
        DiskMetrics("embed", settings.data_dir, registry)
        super().__init__(self.embedder, settings.listen, service="embed", full_name=FULL_NAME, registry=registry)
        servicer = EmbedServicer(self.embedder, stream_in_flight=settings.stream_in_flight)
        add_EmbedServiceServicer_to_server(servicer, self.server.grpc)


def _backend_loader(settings: EmbedSettings, registry: CollectorRegistry) -> Callable[[], Awaitable[EmbeddingBackend]]:
    options = settings.encoder_options(settings.model, express_tokens=settings.express_tokens)
    api_options = ApiOptions(
        model="" if settings.model == DEFAULT_MODEL else settings.model,
        url=settings.api_url,
        key=settings.api_key,
        dimension=settings.dimension,
        max_tokens=settings.max_length,
        batch_texts=settings.api_batch_texts,
        batch_tokens=settings.api_batch_tokens,
    )

    async def load_local() -> EmbeddingBackend:
        from trivium_embed.backends.local import LocalBackend

        return await LocalBackend.load(options, registry)

    async def load_openai() -> EmbeddingBackend:
        from trivium_embed.backends.openai import URL, OpenAIProvider

        calls = api_calls(settings, service="embed", provider="OpenAI", url=URL, registry=registry)
        return await ApiBackend.load(OpenAIProvider(api_options), calls, api_options)

    async def load_cohere() -> EmbeddingBackend:
        from trivium_embed.backends.cohere import URL, CohereProvider

        calls = api_calls(settings, service="embed", provider="Cohere", url=URL, registry=registry)
        return await ApiBackend.load(CohereProvider(api_options), calls, api_options)

    load = {"local": load_local, "openai": load_openai, "cohere": load_cohere}[settings.backend]

    async def load_both() -> EmbeddingBackend:
        from trivium_embed.backends.sparse import SparseBeside

        # Only its own modules can run it, whatever runs the other.
        beside = replace(settings.encoder_options(settings.sparse_model), runtime="auto", precision="auto")
        return await SparseBeside.load(await load(), beside, registry)

    return load_both if settings.sparse_model else load
