"""Runs the answer writing service: `python -m trivium_generate`."""

from __future__ import annotations

import asyncio
import sys

from trivium_serving.logs import configure_logging
from trivium_serving.server import serve_until_signal
from trivium_serving.settings import load_settings
from trivium_serving.tls import TlsError
from trivium_serving.tracing import configure_tracing

from trivium_generate.app import App
from trivium_generate.settings import GenerateSettings


def main() -> None:
    """Runs the service until SIGTERM or SIGINT."""
    settings = load_settings(
        GenerateSettings,
        prefix="TRIVIUM_GENERATE_",
        program="trivium-generate",
        description="Writes cited answers to questions from numbered passages.",
    )
    try:
        configure_logging("generate")
        configure_tracing("generate")
        status = asyncio.run(_serve(settings))
    except (ValueError, TlsError) as error:
        print(f"trivium-generate: {error}", file=sys.stderr)
        status = 2
    raise SystemExit(status)


async def _serve(settings: GenerateSettings) -> int:
    app = App(settings)
    return await serve_until_signal(
        app.server,
        metrics_port=settings.metrics_port,
        warm_up=app.warm_up,
        close=app.close,
        drain_seconds=settings.drain_seconds,
    )


if __name__ == "__main__":
    main()
