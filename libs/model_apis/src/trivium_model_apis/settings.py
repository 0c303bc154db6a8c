"""The settings that every service has for the model API it may call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trivium_serving.errors import FailedPrecondition

from trivium_model_apis.calls import ApiBudget, ApiCalls

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class ApiSettings(Protocol):
    """A service's settings, as far as they are about its model API."""

    @property
    def api_url(self) -> str:
        """Address of the API; empty for the provider's own."""

    @property
    def api_key(self) -> str:
        """Key; may be empty if there is an address."""

    @property
    def api_attempts(self) -> int:
        """Most attempts of a request."""

    @property
    def api_timeout_seconds(self) -> float:
        """Longest time of one attempt."""

    @property
    def api_concurrency(self) -> int:
        """Most requests at the same time."""

    @property
    def api_requests_per_minute(self) -> int:
        """Most requests in a minute; 0 for no bound."""

    @property
    def api_tokens_per_minute(self) -> int:
        """Most tokens (estimated) in a minute; 0 for no bound."""


def api_calls(settings: ApiSettings, *, service: str, provider: str, url: str, registry: CollectorRegistry) -> ApiCalls:
    """What calls a provider's API within the budget that is set.

    Args:
        settings: The service's settings, `TRIVIUM_<SERVICE>_...`.
        service: Its short name.
        provider: The provider's name, for messages.
        url: The provider's own address.
        registry: Where the metrics are registered.

    Raises:
        FailedPrecondition: There is no key (API_KEY_MISSING).
    """
    prefix = f"TRIVIUM_{service.upper()}_"
    if not settings.api_key and not settings.api_url:
        raise FailedPrecondition(
            f"{provider} needs a key. Set {prefix}API_KEY, or {prefix}API_URL to a server that needs none.",
            reason="API_KEY_MISSING",
        )
    return ApiCalls(
        service=service,
        api=f"The model API ({provider})",
        address=settings.api_url or url,
        settings_prefix=prefix,
        budget=ApiBudget(
            attempts=settings.api_attempts,
            timeout_seconds=settings.api_timeout_seconds,
            concurrency=settings.api_concurrency,
            requests_per_minute=settings.api_requests_per_minute,
            tokens_per_minute=settings.api_tokens_per_minute,
        ),
        registry=registry,
    )
