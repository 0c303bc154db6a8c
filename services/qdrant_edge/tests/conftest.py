"""Processes and databases for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from qdrant_client import AsyncQdrantClient
from trivium_qdrant_edge.child_process import QdrantEdgeProcess
from trivium_qdrant_edge.database import Database
from trivium_qdrant_edge.schema import CollectionSchema, DenseSchema, OptimizerSchema, SparseSchema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


@pytest.fixture
def schema() -> CollectionSchema:
    """A dense vector `dense` of dimension 4 and a sparse one `bm25`, worth an index from 1 kB on."""
    return CollectionSchema(
        dense={"dense": DenseSchema(size=4, distance="Cosine")},
        sparse={"bm25": SparseSchema(idf=True)},
        optimizers=OptimizerSchema(indexing_threshold=1),
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., QdrantEdgeProcess]]:
    """Starts the service on one data folder, again and again if need be; what still runs ends with the test."""
    started: list[QdrantEdgeProcess] = []

    def start(**settings: object) -> QdrantEdgeProcess:
        environment = {f"TRIVIUM_QDRANT_EDGE_{name.upper()}": str(value) for name, value in settings.items()}
        started.append(QdrantEdgeProcess(tmp_path / "data", environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[QdrantEdgeProcess], AsyncQdrantClient]]:
    """Makes clients of processes."""
    clients: list[AsyncQdrantClient] = []

    def connect(process: QdrantEdgeProcess) -> AsyncQdrantClient:
        clients.append(
            AsyncQdrantClient(
                host="127.0.0.1",
                port=process.http_port,
                grpc_port=process.grpc_port,
                prefer_grpc=True,
                check_compatibility=False,
                timeout=30,
            )
        )
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
async def database(tmp_path: Path, schema: CollectionSchema) -> AsyncIterator[Database]:
    """An open database in this process, with one collection, `docs`."""
    database = Database(tmp_path / "qdrant", max_collections=8)
    await database.open()
    await database.create("docs", schema)
    yield database
    await database.close()
