"""Where language models are: servers on this machine, and APIs."""

import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import urlsplit, urlunsplit

_ASK_SECONDS = 5.0


class ProviderError(Exception):
    """A language model cannot be chosen; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What gives a language model.

    Attributes:
        name: As people call it.
        backend: The generation service's backend for it.
        url: Where it is unless said otherwise; empty for the provider's own address.
        key_variable: The variable in which people keep its key; empty if it asks for none.
        start: How to have it run, where it runs on this machine.
    """

    name: str
    backend: str
    url: str = ""
    key_variable: str = ""
    start: str = ""

    @property
    def is_local(self) -> bool:
        return bool(self.url)


PROVIDERS = {
    one.name: one
    for one in (
        Provider("ollama", "openai", "http://localhost:11434/v1", start="`ollama serve`, and `ollama pull MODEL`"),
        # Its own port is the gateway's.
        Provider("llama.cpp", "openai", "http://localhost:8081/v1", start="`llama-server --port 8081 -m FILE`"),
        Provider("vllm", "openai", "http://localhost:8000/v1", start="`vllm serve MODEL`"),
        Provider("openai", "openai", key_variable="OPENAI_API_KEY"),
        Provider("anthropic", "anthropic", key_variable="ANTHROPIC_API_KEY"),
    )
}
"""By name."""

SETTINGS = tuple(f"TRIVIUM_GENERATE_{name}" for name in ("BACKEND", "MODEL", "API_URL", "API_KEY", "CONTEXT_TOKENS"))
"""What a choice sets, or takes away."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A language model that was chosen.

    Attributes:
        provider: Where it is.
        model: Its name there.
        url: The address there; empty for the provider's own.
        key: The key for it; empty if none is needed.
        context_tokens: Longest prompt and answer together; 0 for what the provider says.
    """

    provider: Provider
    model: str
    url: str = ""
    key: str = ""
    context_tokens: int = 0

    def settings(self) -> dict[str, str | None]:
        """The settings of the generation service that choose it; None for those that must not be set."""
        values = (self.provider.backend, self.model, self.url, self.key, str(self.context_tokens or ""))
        return {name: value or None for name, value in zip(SETTINGS, values, strict=True)}


def served_models(provider: Provider, url: str) -> list[str]:
    """The models that a server on this machine has.

    Raises:
        ProviderError: If none answers there.
    """
    key = os.environ.get("TRIVIUM_GENERATE_API_KEY", "")
    request = urllib.request.Request(
        f"{url.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ASK_SECONDS) as answer:
            return [str(model["id"]) for model in json.load(answer)["data"]]
    except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
        why = f"answers {error.code}" if isinstance(error, urllib.error.HTTPError) else "does not answer"
        raise ProviderError(
            f"{provider.name} {why} at {url}: start it with {provider.start}, or say with --url where it is"
        ) from None


def seen_from_container(url: str) -> str:
    """An address of this machine as a container of docker-compose.yml reaches it; any other as it is."""
    parts = urlsplit(url)
    if parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        return url
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"host.docker.internal{port}"))
