"""Runs the service: `python -m trivium_rerank`."""

from prometheus_client import CollectorRegistry
from trivium_encoders import end_process
from trivium_model_service.app import run
from trivium_serving.starting import prepare_process

from trivium_rerank.app import RerankApp
from trivium_rerank.settings import RerankSettings


def main() -> int:
    """Reads the settings, serves, and returns the exit status."""
    settings = prepare_process(
        RerankSettings,
        service="rerank",
        description="Orders passages by how well they answer a query, over gRPC (trivium.rerank.v1.RerankService).",
    )
    return run(lambda: RerankApp(settings, CollectorRegistry()), settings)


if __name__ == "__main__":
    end_process(main())
