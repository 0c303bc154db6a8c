"""Conformance: what Trivium expects of a Qdrant server, run against every server it may meet.

The tests know only Qdrant's API: `AsyncQdrantClient` and its gRPC stubs. They run against `qdrant_edge`, which this
module starts, and also against the server named by QDRANT_URL, if that is set:

    pytest tests/contract/qdrant                                                  the embedded engine
    QDRANT_URL=http://127.0.0.1:6333 pytest tests/contract/qdrant                 both
    QDRANT_URL=http://127.0.0.1:6333 pytest tests/contract/qdrant -k on_server    the server alone

QDRANT_GRPC_PORT (default 6334) and QDRANT_API_KEY say how to reach it. Every test works in collections of its own,
whose names begin with `conformance_`, and deletes them.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from qdrant_client import AsyncQdrantClient, models
from trivium_qdrant_edge.child_process import QdrantEdgeProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

DIMENSION = 4
BM25_OPTIONS = {"tokenizer": "multilingual"}


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """How to reach a server."""

    host: str
    http_port: int
    grpc_port: int
    https: bool = False
    api_key: str | None = None

    @property
    def url(self) -> str:
        """Base of its HTTP endpoints."""
        return f"{'https' if self.https else 'http'}://{self.host}:{self.http_port}"


@pytest.fixture(scope="session", params=["on_qdrant_edge", *(["on_server"] if os.environ.get("QDRANT_URL") else [])])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """The server under test."""
    if request.param == "on_server":
        url = urlsplit(os.environ["QDRANT_URL"])
        yield QdrantServer(
            host=url.hostname or "127.0.0.1",
            http_port=url.port or 6333,
            grpc_port=int(os.environ.get("QDRANT_GRPC_PORT", "6334")),
            https=url.scheme == "https",
            api_key=os.environ.get("QDRANT_API_KEY"),
        )
        return
    with QdrantEdgeProcess(tmp_path_factory.mktemp("qdrant_edge")) as child:
        yield QdrantServer(host="127.0.0.1", http_port=child.http_port, grpc_port=child.grpc_port)


@pytest.fixture
async def client(server: QdrantServer) -> AsyncIterator[AsyncQdrantClient]:
    """A client of the server under test."""
    client = AsyncQdrantClient(
        host=server.host,
        port=server.http_port,
        grpc_port=server.grpc_port,
        https=server.https,
        api_key=server.api_key,
        prefer_grpc=True,
        check_compatibility=False,
        timeout=30,
    )
    yield client
    await client.close()


@pytest.fixture
async def new_name(client: AsyncQdrantClient) -> AsyncIterator[Callable[[], str]]:
    """Makes names for collections, which are deleted with the test."""
    names: list[str] = []

    def make() -> str:
        names.append(f"conformance_{uuid.uuid4().hex[:12]}")
        return names[-1]

    yield make
    for name in names:
        await client.delete_collection(name)


@pytest.fixture
def new_collection(client: AsyncQdrantClient, new_name: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    """Makes collections as the gateway does: a dense vector `dense` and a sparse one `bm25` with IDF."""

    async def make() -> str:
        name = new_name()
        await client.create_collection(
            name,
            vectors_config={"dense": models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)},
            sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
        return name

    return make


@pytest.fixture
async def collection(new_collection: Callable[[], Awaitable[str]]) -> str:
    """One such collection, empty."""
    return await new_collection()
