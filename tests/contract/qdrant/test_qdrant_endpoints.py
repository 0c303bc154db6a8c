"""What a server says of itself, over gRPC and HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from qdrant_client.common.version_check import is_compatible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from contract.qdrant_under_test import QdrantServer
    from qdrant_client import AsyncQdrantClient


@pytest.fixture
async def http(server: QdrantServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the server's HTTP endpoints."""
    headers = {"api-key": server.api_key} if server.api_key else {}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=10) as client:
        yield client


async def test_health_check_names_a_version_that_the_client_accepts(client: AsyncQdrantClient) -> None:
    about = await client.info()

    assert about.title
    assert is_compatible("1.20.0", about.version)


async def test_root_names_the_same_version(http: httpx.AsyncClient) -> None:
    about = (await http.get("/")).json()

    assert about["title"]
    assert is_compatible("1.20.0", about["version"])


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
async def test_probe_of_a_serving_server_is_positive(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 200


async def test_metrics_count_the_collections(http: httpx.AsyncClient, collection: str) -> None:
    lines = (await http.get("/metrics")).text.splitlines()

    assert any(line.startswith("app_info{") and 'version="1.' in line for line in lines)
    (total,) = [float(line.split()[1]) for line in lines if line.startswith("collections_total ")]
    assert total >= 1


async def test_path_that_does_not_exist_is_not_found(http: httpx.AsyncClient) -> None:
    assert (await http.get("/no-such-path")).status_code == 404
