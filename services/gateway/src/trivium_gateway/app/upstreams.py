"""The services that the gateway calls, and how it looks whether they are there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trivium_serving.addresses import named_targets
from trivium_serving.channels import ejected_replicas, open_channel
from trivium_serving.pulse import Pulse, health_of

from trivium_gateway.health.probes import SearchProbe, embed_probe, generate_probe, rerank_probe, support_probe
from trivium_gateway.health.readiness import SEARCH
from trivium_gateway.models import embed, generate, rerank
from trivium_gateway.models.health import ServiceHealth
from trivium_gateway.qdrant.connection import QdrantConnection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trivium_serving.background import Background

    from trivium_gateway.app.caches import Caches
    from trivium_gateway.health.metrics import StageMetrics
    from trivium_gateway.health.readiness import StageProbe
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.search import ChunkSearch
    from trivium_gateway.settings import GatewaySettings


class Upstreams:
    """The model services and Qdrant, each over a connection of its own. Create it inside the event loop.

    Attributes:
        embed: The first embed service, which knows the further ones.
        rerank: The rerank service.
        support: The one that judges citations; None if there is none.
        generate: The generate service.
        qdrant: Qdrant.
        addresses: Where each stage's service is.
        pulses: Whether each stage's service has answered anything lately.

    Args:
        settings: Where they are.
        metrics: Counts the silences of each.
        caches: What is remembered of what they made.
    """

    def __init__(self, settings: GatewaySettings, metrics: StageMetrics, caches: Caches) -> None:
        further = {f"embed.{name}": target for name, target in named_targets(settings.embed_targets).items()}
        self._channels = {
            "embed": open_channel(settings.embed_target),
            **{stage: open_channel(target) for stage, target in further.items()},
            "rerank": open_channel(settings.rerank_target),
            "generate": open_channel(settings.generate_target),
        }
        if settings.support_target:
            self._channels["support"] = open_channel(settings.support_target)
        self._model_channel = open_channel(settings.generate_target, health=generate.MODEL_HEALTH_NAME)
        others = [
            embed.EmbedClient(self._channels[one], name=one.removeprefix("embed."), remembered=caches.queries)
            for one in further
        ]
        self.embed = embed.EmbedClient(self._channels["embed"], further=others, remembered=caches.queries)
        self.rerank = rerank.RerankClient(self._channels["rerank"])
        judge = self._channels.get("support")
        self.support = rerank.RerankClient(judge, "support") if judge else None
        self.generate = generate.GenerateClient(self._channels["generate"], self._model_channel, caches.written)
        self.qdrant = QdrantConnection(
            settings.qdrant_url,
            settings.qdrant_grpc_port,
            settings.qdrant_api_key,
            settings.qdrant_tls_ca,
            settings.qdrant_compression,
        )
        self.addresses: Mapping[str, str] = {
            "embed": settings.embed_target,
            **further,
            SEARCH: self.qdrant.address,
            "rerank": settings.rerank_target,
            "generate": settings.generate_target,
            **({"support": settings.support_target} if settings.support_target else {}),
        }
        for stage in (*further, *(["support"] if self.support else [])):
            metrics.expect(stage)
        for stage, channel in self._channels.items():
            metrics.follow_replicas(stage, partial(ejected_replicas, channel))
        self.pulses = {
            stage: Pulse(f"The {stage} service", health_of(channel), partial(metrics.count_silence, stage))
            for stage, channel in self._channels.items()
        }
        self.pulses[SEARCH] = Pulse("Qdrant", self.qdrant.ask, partial(metrics.count_silence, SEARCH))

    def probes(
        self, collections: Collections, chunk_search: ChunkSearch, *, quotes_engine: bool
    ) -> Sequence[StageProbe]:
        """What looks at each stage.

        Args:
            collections: Where to find one to try a search in.
            chunk_search: Searches.
            quotes_engine: Whether to tell what the engine of the language model says.
        """
        return (
            *(embed_probe(self._health(one.stage, embed.FULL_NAME), one) for one in self.embed.every),
            SearchProbe(self.qdrant, collections, chunk_search),
            rerank_probe(self._health("rerank", rerank.FULL_NAME), self.rerank, self.embed),
            generate_probe(self._health("generate", generate.FULL_NAME), self.generate, quotes_engine=quotes_engine),
            *([support_probe(self._health("support", rerank.FULL_NAME), self.support)] if self.support else []),
        )

    def watch(self, background: Background) -> None:
        """Feels the pulse of each from now on."""
        for stage, pulse in self.pulses.items():
            background.start(f"pulse.{stage}", pulse.watch)

    async def close(self) -> None:
        """Closes the connections."""
        await self.qdrant.close()
        for channel in (*self._channels.values(), self._model_channel):
            await channel.close()

    def _health(self, service: str, full_name: str) -> ServiceHealth:
        return ServiceHealth(service, self._channels[service], full_name)
