"""Conformance: what Trivium expects of a Qdrant server, run against every server it may meet.

The tests know only Qdrant's API: `AsyncQdrantClient` and its gRPC stubs. They run against `qdrant_edge`, and against
the server that TRIVIUM_TEST_QDRANT gives (`contract/qdrant_under_test.py`), if it does; `-k on_server` for that alone.
Every test works in collections of its own, whose names begin with `conformance_`, and deletes them.
"""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest
from contract.qdrant_under_test import QdrantServer, command, given, running_server
from ports import free_ports
from qdrant_client import AsyncQdrantClient, models
from trivium_qdrant_edge.child_process import QdrantEdgeProcess
from trivium_qdrant_edge.health_servicer import TITLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

DIMENSION = 4
BM25_OPTIONS = {"tokenizer": "multilingual"}
ON_EDGE, ON_SERVER = "on_qdrant_edge", "on_server"
_START_SECONDS = 60.0


@pytest.fixture(scope="session", params=[ON_EDGE, *([ON_SERVER] if given() else [])])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QdrantServer]:
    """The server under test."""
    if request.param == ON_EDGE:
        with QdrantEdgeProcess(tmp_path_factory.mktemp("qdrant_edge")) as child:
            yield QdrantServer(host="127.0.0.1", http_port=child.http_port, grpc_port=child.grpc_port)
    elif (running := running_server()) is not None:
        yield running
    else:
        yield from _started(tmp_path_factory.mktemp("server"))


def _started(folder: Path) -> Iterator[QdrantServer]:
    http_port, grpc_port = free_ports(2)
    server = QdrantServer("127.0.0.1", http_port, grpc_port)
    arguments, environ = command(
        grpc_port=server.grpc_port, http_port=server.http_port, data=folder, environ=os.environ
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, env=environ, stdout=log, stderr=log)
    try:
        end = time.monotonic() + _START_SECONDS
        while not _is_ready(server.url):
            running = process.poll() is None and time.monotonic() < end
            assert running, (folder / "log").read_text(errors="replace")
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@pytest.fixture
async def is_edge(client: AsyncQdrantClient) -> bool:
    """Whether the server under test is the embedded engine, where it differs on purpose."""
    return (await client.info()).title == TITLE


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


@pytest.fixture
async def on_one_shard(client: AsyncQdrantClient, collection: str) -> None:
    """Skips what a collection of several shards answers otherwise."""
    shards = (await client.get_collection(collection)).config.params.shard_number
    if shards not in (None, 1):
        pytest.skip(f"holds on one shard only, and collections here have {shards}")
