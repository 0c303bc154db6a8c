"""The whole service inside the test's process, with its real model, behind a real port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from model_services.running import DATA_DIR, RunningService, Serve, server_of
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_rerank.app import FULL_NAME, RerankApp
from trivium_rerank.settings import RerankSettings

_serve = server_of(RerankApp, RerankSettings, RerankServiceStub, FULL_NAME)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where the converted model is."""
    return DATA_DIR


@pytest.fixture(scope="session")
def serve_rerank() -> Serve:
    """Starts a service with the settings given; `warm=False` leaves it loading."""
    return _serve


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rerank_service() -> AsyncIterator[RunningService]:
    """A service with the default settings, shared by the tests of a module."""
    async with _serve() as service:
        yield service
