"""Puts the service together from its settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_serving.admission import Admission
from trivium_serving.server import GrpcServer

from trivium_generate.answer import AnswerRequest, Passage
from trivium_generate.answering import Answerer
from trivium_generate.clients import EmbedClient
from trivium_generate.extractive.answering import ExtractiveAnswerer
from trivium_generate.limits import Limits
from trivium_generate.metrics import GenerateMetrics
from trivium_generate.prompts import load_prompts
from trivium_generate.rewriting import Rewriter
from trivium_generate.servicer import MODEL_HEALTH_NAME, SERVICE_NAME, GenerateServicer
from trivium_generate.supervision import SupervisedModel

if TYPE_CHECKING:
    from trivium_generate.backends.base import LanguageModel
    from trivium_generate.settings import GenerateSettings

# Our own limits must be the ones that people see.
_MAX_MESSAGE_BYTES = 64 << 20
_UNBOUNDED = 1 << 62
_WARM_UP = AnswerRequest(
    question="What does the service do?",
    passages=(Passage("The service writes answers. It cites the passages that it read."),),
)


class App:
    """The service, ready to be started.

    Args:
        settings: How to run.

    Raises:
        ValueError: Settings contradict each other.
    """

    def __init__(self, settings: GenerateSettings) -> None:
        self.registry = CollectorRegistry()
        self.server = GrpcServer(
            service="generate",
            listen=settings.listen,
            full_names=(SERVICE_NAME,),
            registry=self.registry,
            max_message_bytes=_MAX_MESSAGE_BYTES,
        )
        self.server.background.declare("model", "pulse.embed")
        self._metrics = GenerateMetrics(self.registry, tuple({"extractive", settings.backend}))
        self._embed = (
            EmbedClient(settings.embed_target, settings.embed_timeout_seconds) if settings.embed_target else None
        )
        model = _language_model(settings, self.registry)
        self.model = self._supervised(model, settings) if model is not None else None
        self.extractive_places = Admission(
            service="generate_extractive",
            registry=self.registry,
            max_requests=settings.max_extractive_requests,
            max_tokens=_UNBOUNDED,
        )
        self._answerer = Answerer(
            extractive=ExtractiveAnswerer(self._embed, settings.extractive_candidates),
            model=self.model,
            limits=_limits(settings),
            metrics=self._metrics,
            extractive_places=self.extractive_places,
            model_places=Admission(
                service="generate_model",
                registry=self.registry,
                max_requests=settings.max_model_requests,
                max_tokens=settings.max_model_tokens,
            ),
        )
        prompts = load_prompts(settings.prompts_dir) if self.model is not None else {}
        rewriter = Rewriter(self._answerer, self.model, prompts, _limits(settings))
        servicer = GenerateServicer(self._answerer, rewriter, self.model)
        generate_service_pb2_grpc.add_GenerateServiceServicer_to_server(servicer, self.server.grpc)

    async def warm_up(self) -> None:
        """Makes extractive answers ready, and lets the language model load on in the background."""
        if self._embed is not None:
            self.server.background.start("pulse.embed", self._embed.pulse.watch)
        if self.model is not None:
            await self.model.start()
        else:
            await self.server.health.set(MODEL_HEALTH_NAME, False)
        await self._answerer.warm_up(_WARM_UP)

    async def close(self) -> None:
        """Releases the model and the connections."""
        await self.server.background.close()
        if self.model is not None:
            await self.model.close()
        if self._embed is not None:
            await self._embed.close()

    def _supervised(self, model: LanguageModel, settings: GenerateSettings) -> SupervisedModel:
        async def tell_health(ready: bool) -> None:
            await self.server.health.set(MODEL_HEALTH_NAME, ready)

        return SupervisedModel(
            model,
            background=self.server.background,
            observer=self._metrics,
            on_change=tell_health,
            first_pause_seconds=settings.restart_pause_seconds,
            longest_pause_seconds=settings.restart_longest_pause_seconds,
        )


def _language_model(settings: GenerateSettings, registry: CollectorRegistry) -> LanguageModel | None:
    """The language model that the settings name; its module is imported only if it is wanted."""
    if settings.backend == "extractive":
        return None
    if not settings.model:
        what = "a folder or a name on the hub" if settings.backend == "vllm" else "its name there"
        raise ValueError(f"backend {settings.backend} needs a model: set TRIVIUM_GENERATE_MODEL to {what}")
    if settings.backend != "vllm":
        from trivium_generate.api_model import api_model

        example = '{"reasoning_effort": "low"}'
        fields = _json_object("TRIVIUM_GENERATE_API_FIELDS", settings.api_fields, example)
        return api_model(settings, fields, registry)
    from trivium_generate.backends.vllm import VllmModel
    from trivium_generate.backends.vllm_metrics import EngineMetrics

    registry.register(EngineMetrics())
    return VllmModel(
        model=settings.model,
        engine_args=_json_object("TRIVIUM_GENERATE_ENGINE_ARGS", settings.engine_args, '{"max_model_len": 8192}'),
        adapters=_adapters(settings.adapters),
        prompts=load_prompts(settings.prompts_dir),
        default_max_tokens=settings.default_max_tokens,
        tool_parser=settings.tool_parser,
    )


def _adapters(text: str) -> dict[str, str]:
    variable, example = "TRIVIUM_GENERATE_ADAPTERS", '{"legal": "/models/legal-lora"}'
    adapters = _json_object(variable, text, example)
    if not all(name and isinstance(path, str) and path for name, path in adapters.items()):
        raise ValueError(
            f"{variable} must name a folder, or a name on the hub, for each adapter, for example {example}"
        )
    return adapters


def _json_object(variable: str, text: str, example: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{variable} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{variable} must be a JSON object, for example {example}")
    return value


def _limits(settings: GenerateSettings) -> Limits:
    return Limits(
        question_chars=settings.limit_question_chars,
        passages=settings.limit_passages,
        passage_chars=settings.limit_passage_chars,
        passages_chars=settings.limit_passages_chars,
        turns=settings.limit_history_turns,
        turn_chars=settings.limit_history_chars,
        answer_tokens=settings.limit_max_tokens,
    )
