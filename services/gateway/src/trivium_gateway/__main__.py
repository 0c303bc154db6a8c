"""Starts the gateway: `python -m trivium_gateway`, or `trivium-gateway`."""

from __future__ import annotations

import asyncio
import sys

from trivium_serving.starting import prepare_process, refuse_to_start

from trivium_gateway.settings import GatewaySettings


def main() -> None:
    """Reads the settings and serves until SIGTERM or SIGINT."""
    settings = prepare_process(
        GatewaySettings,
        service="gateway",
        description="Answers questions from documents: retrieval, orchestration and ingestion over gRPC and HTTP.",
    )
    # Not above: what they import takes a second, which --help need not wait for.
    from trivium_gateway.app import check_access, run
    from trivium_gateway.surfaces.http.origins import OriginPolicy

    try:
        OriginPolicy.of(settings.allowed_origins, settings.allowed_hosts)
        check_access(settings)
    except ValueError as error:
        refuse_to_start("gateway", error)
    sys.exit(asyncio.run(run(settings)))


if __name__ == "__main__":
    main()
