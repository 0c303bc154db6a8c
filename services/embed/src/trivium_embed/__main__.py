"""Runs the service: `python -m trivium_embed`."""

from prometheus_client import CollectorRegistry
from trivium_encoders import end_process
from trivium_model_service.app import run
from trivium_serving.starting import prepare_process

from trivium_embed.app import EmbedApp
from trivium_embed.settings import EmbedSettings


def main() -> int:
    """Reads the settings, serves, and returns the exit status."""
    settings = prepare_process(
        EmbedSettings,
        service="embed",
        description="Maps texts to vectors, over gRPC (trivium.embed.v1.EmbedService).",
    )
    return run(lambda: EmbedApp(settings, CollectorRegistry()), settings)


if __name__ == "__main__":
    end_process(main())
