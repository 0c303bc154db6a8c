"""Runs the service: `python -m trivium_rerank`."""

import asyncio
import sys

from prometheus_client import CollectorRegistry
from trivium_encoders import end_process
from trivium_serving.logs import configure_logging
from trivium_serving.settings import load_settings
from trivium_serving.tracing import configure_tracing

from trivium_rerank.app import RerankApp
from trivium_rerank.settings import RerankSettings


def main() -> int:
    """Reads the settings, serves, and returns the exit status."""
    settings = load_settings(
        RerankSettings,
        prefix="TRIVIUM_RERANK_",
        program="trivium-rerank",
        description="Orders passages by how well they answer a query, over gRPC (trivium.rerank.v1.RerankService).",
    )
    try:
        configure_logging("rerank")
        configure_tracing("rerank")
    except ValueError as error:
        sys.exit(f"trivium-rerank: {error}")

    async def serve() -> int:
        return await RerankApp(settings, CollectorRegistry()).serve()

    return asyncio.run(serve())


if __name__ == "__main__":
    end_process(main())
