"""Runs the service: `python -m trivium_embed`."""

import asyncio
import sys

from prometheus_client import CollectorRegistry
from trivium_encoders import end_process
from trivium_serving.logs import configure_logging
from trivium_serving.settings import load_settings
from trivium_serving.tracing import configure_tracing

from trivium_embed.app import EmbedApp
from trivium_embed.settings import EmbedSettings


def main() -> int:
    """Reads the settings, serves, and returns the exit status."""
    settings = load_settings(
        EmbedSettings,
        prefix="TRIVIUM_EMBED_",
        program="trivium-embed",
        description="Maps texts to vectors, over gRPC (trivium.embed.v1.EmbedService).",
    )
    try:
        configure_logging("embed")
        configure_tracing("embed")
    except ValueError as error:
        sys.exit(f"trivium-embed: {error}")

    async def serve() -> int:
        return await EmbedApp(settings, CollectorRegistry()).serve()

    return asyncio.run(serve())


if __name__ == "__main__":
    end_process(main())
