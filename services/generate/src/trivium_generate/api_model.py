"""Makes the language model that is behind an API from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivium_model_apis.settings import api_calls
from trivium_serving.errors import FailedPrecondition

from trivium_generate.backends.chat_api import ChatApiModel
from trivium_generate.backends.chat_provider import ApiOptions
from trivium_generate.prompts import load_prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from trivium_generate.backends.chat_provider import ChatProvider
    from trivium_generate.settings import GenerateSettings


def api_model(settings: GenerateSettings, fields: dict[str, Any], registry: CollectorRegistry) -> ChatApiModel:
    """The model; nothing is sent to the API yet.

    Args:
        settings: What was set; the backend is one of an API.
        fields: Further fields of each request.
        registry: Where the metrics are registered.

    Raises:
        ValueError: Settings are missing or contradict each other; says which.
    """
    provider, url, connect = _provider(settings.backend)
    try:
        calls = api_calls(settings, service="generate", provider=provider, url=url, registry=registry)
    except FailedPrecondition as error:
        raise ValueError(error.message) from error
    if settings.api_version and (settings.backend != "openai" or not settings.api_url):
        raise ValueError(
            "TRIVIUM_GENERATE_API_VERSION is for Azure: it needs backend openai and TRIVIUM_GENERATE_API_URL, for "
            "example https://my-resource.openai.azure.com"
        )
    options = ApiOptions(
        model=settings.model,
        url=settings.api_url,
        key=settings.api_key,
        version=settings.api_version,
        fields=fields,
        context_tokens=settings.context_tokens,
        default_max_tokens=settings.default_max_tokens,
    )
    return ChatApiModel(
        lambda: connect(options),
        backend=settings.backend,
        calls=calls,
        options=options,
        prompts=load_prompts(settings.prompts_dir),
        timeout_seconds=settings.api_timeout_seconds,
    )


def _provider(backend: str) -> tuple[str, str, Callable[[ApiOptions], ChatProvider]]:
    """A provider's name, its own address and its client; only the wanted one's SDK is imported."""
    if backend == "openai":
        from trivium_generate.backends import openai

        return "OpenAI", openai.URL, openai.OpenAIChat
    from trivium_generate.backends import anthropic

    return "Anthropic", anthropic.URL, anthropic.AnthropicChat
