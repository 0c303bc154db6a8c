"""Puts the service together."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from prometheus_client import CollectorRegistry
from trivium.rerank.v1 import rerank_service_pb2
from trivium.rerank.v1.rerank_service_pb2_grpc import add_RerankServiceServicer_to_server
from trivium_encoders import CodeForm
from trivium_model_apis.settings import api_calls
from trivium_model_service.app import ModelApp
from trivium_serving.admission import Admission
from trivium_serving.metrics import DiskMetrics

from trivium_rerank.backends.base import RerankBackend
from trivium_rerank.limits import Limits
from trivium_rerank.metrics import RerankMetrics
from trivium_rerank.reranker import Reranker
from trivium_rerank.servicer import RerankServicer
from trivium_rerank.settings import RerankSettings

_FIRST_CACHE_BYTES = 8 << 20

FULL_NAME = rerank_service_pb2.DESCRIPTOR.services_by_name["RerankService"].full_name


class RerankApp(ModelApp):
    """The service, ready to be started.

    Args:
        settings: What was set.
        registry: Where the metrics are registered.
    """

    def __init__(self, settings: RerankSettings, registry: CollectorRegistry) -> None:
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
        DiskMetrics("rerank", settings.data_dir, registry)
        super().__init__(self.reranker, settings.listen, service="rerank", full_name=FULL_NAME, registry=registry)
        add_RerankServiceServicer_to_server(RerankServicer(self.reranker), self.server.grpc)


def _backend_loader(settings: RerankSettings, registry: CollectorRegistry) -> Callable[[], Awaitable[RerankBackend]]:
    async def load_late_interaction() -> RerankBackend:
        from trivium_rerank.backends.late_interaction import DEFAULT_MODEL, LateInteractionBackend

        return await LateInteractionBackend.load(
            settings.encoder_options(settings.model or DEFAULT_MODEL),
            registry,
            form=None if settings.token_codes == "auto" else CodeForm(int(settings.token_codes)),
            cache_bytes=settings.cache_bytes,
        )

    async def load_cross_encoder() -> RerankBackend:
        from trivium_rerank.backends.cascade import CascadeBackend
        from trivium_rerank.backends.cross_encoder import DEFAULT_MODEL, CrossEncoderBackend
        from trivium_rerank.backends.late_interaction import LateInteractionBackend

        judge = await CrossEncoderBackend.load(
            settings.encoder_options(settings.model or DEFAULT_MODEL), registry, settings.cache_bytes
        )
        if not settings.first_model:
            return judge
        first = await LateInteractionBackend.load(
            # It reads queries alone, in a model that is small, and its metrics would stand beside the judge's.
            replace(settings.encoder_options(settings.first_model), precision="auto", workers=1, max_length=0),
            CollectorRegistry(),
            form=CodeForm.SIGNS,
            cache_bytes=_FIRST_CACHE_BYTES,
        )
        return CascadeBackend(first, judge)

    async def load_cohere() -> RerankBackend:
        from trivium_rerank.backends.cohere import DEFAULT_MODEL, URL, CohereBackend

        calls = api_calls(settings, service="rerank", provider="Cohere", url=URL, registry=registry)
        return CohereBackend(
            calls,
            model=settings.model or DEFAULT_MODEL,
            url=settings.api_url,
            key=settings.api_key,
            max_tokens=settings.max_length,
        )

    return {
        "late-interaction": load_late_interaction,
        "cross-encoder": load_cross_encoder,
        "cohere": load_cohere,
    }[settings.backend]
