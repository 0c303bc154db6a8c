"""What decides how questions are answered, for those who read traces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trivium_gateway.settings import GatewaySettings

__all__ = ["answering_settings"]


def answering_settings(settings: GatewaySettings) -> dict[str, Any]:
    """Those settings, by their names."""
    names = (
        "rewrite",
        "refusal",
        "section_characters",
        "request_timeout_seconds",
        "rewrite_timeout_seconds",
        "embed_timeout_seconds",
        "search_timeout_seconds",
        "rerank_timeout_seconds",
        "support_timeout_seconds",
        "generate_begin_timeout_seconds",
        "generate_timeout_seconds",
    )
    return {name: getattr(settings, name) for name in names}
