"""Starts the gateway: `python -m trivium_gateway`, or `trivium-gateway`."""

from __future__ import annotations

import asyncio
import sys

from trivium_serving.logs import configure_logging
from trivium_serving.settings import load_settings
from trivium_serving.tracing import configure_tracing

from trivium_gateway.settings import GatewaySettings


def main() -> None:
    """Reads the settings and serves until SIGTERM or SIGINT."""
    settings = load_settings(
        GatewaySettings,
        prefix="TRIVIUM_GATEWAY_",
        program="trivium-gateway",
        description="Answers questions from documents: retrieval, orchestration and ingestion over gRPC and HTTP.",
    )
    try:
        configure_logging("gateway")
        configure_tracing("gateway")
    except ValueError as error:
        sys.exit(f"trivium-gateway: {error}")
    # Not above: what they import takes a second, which --help need not wait for.
    from trivium_gateway.app import run
    from trivium_gateway.surfaces.http.origins import OriginPolicy

    try:
        OriginPolicy.of(settings.allowed_origins, settings.allowed_hosts)
    except ValueError as error:
        print(f"trivium-gateway: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(asyncio.run(run(settings)))


if __name__ == "__main__":
    main()
