"""Qdrant and the embed service as real processes, and the storing half of a gateway in front of them."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from contract.qdrant_under_test import command
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, settings
from ports import free_ports
from prometheus_client import CollectorRegistry
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.domain.readers import whole
from trivium_gateway.ingestion.formats import ocr
from trivium_gateway.ingestion.ingester import Ingester
from trivium_gateway.ingestion.room import StorageRoom
from trivium_gateway.ingestion.sweeping import Sweeper
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import DocumentResult, Documents, NewDocument
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.originals import Originals
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.library.totals import Totals
from trivium_gateway.metering.metrics import MeterMetrics
from trivium_gateway.metering.quotas import Quotas
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.models.embed_answers import EmbeddedDocuments
from trivium_gateway.models.late_chunks import ChunkedText
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.request.admission import QuestionAdmission
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_serving.channels import open_channel

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # other work on the machine decides nothing

WHOLE = whole("default")
"""Whoever reads all of the tenant that needs no key."""

_START_SECONDS = 120.0

# Shared by every run, so that the model is converted once per clone.
_MODEL_DATA_DIR = Path(__file__).resolve().parents[3] / ".data"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the processes listen."""

    embed_target: str
    qdrant_url: str
    qdrant_grpc_port: int


class CountedEmbed(EmbedClient):
    """The real client, which also counts what it embeds."""

    def __init__(self, channel: grpc.aio.Channel, target: str) -> None:
        super().__init__(channel)
        self.target = target
        self.embedded = 0

    async def embed_documents(
        self,
        texts: Sequence[str] | Sequence[ChunkedText],
        *,
        expected_fingerprint: str,
        learned: str = "",
        timeout_seconds: float,
    ) -> EmbeddedDocuments:
        self.embedded += len(texts)
        return await super().embed_documents(
            texts, expected_fingerprint=expected_fingerprint, learned=learned, timeout_seconds=timeout_seconds
        )


@dataclass(frozen=True, slots=True)
class Storage:
    """The storing half of one gateway."""

    connection: QdrantConnection
    embed: CountedEmbed
    collections: Collections
    chunks: ChunkStore
    documents: Documents
    ingester: Ingester
    chunk_search: ChunkSearch
    sweeper: Sweeper
    registry: CollectorRegistry

    async def ingest(
        self, *documents: NewDocument, collection: ResolvedCollection | None = None, tenant: str = "default"
    ) -> list[DocumentResult]:
        """Ingest into a collection, `default` if none is given."""
        where = collection or await self.collections.resolve("", tenant=tenant)
        return await self.ingester.ingest(where, documents, max_documents=1000, reader=whole(tenant))


OpenStorage = Callable[..., AbstractAsyncContextManager[Storage]]


@contextlib.contextmanager
def _process(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(arguments, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


async def _wait_for_qdrant(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    async with httpx.AsyncClient(base_url=url) as client:
        while True:
            assert process.poll() is None, f"{url} ended; see {log}"
            assert time.monotonic() < deadline, f"{url} does not become ready; see {log}"
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/readyz")).is_success:
                    return
            await asyncio.sleep(0.05)


async def _wait_for_health(target: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    async with open_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while True:
            assert process.poll() is None, f"{target} ended; see {log}"
            assert time.monotonic() < deadline, f"{target} does not become ready; see {log}"
            with contextlib.suppress(Exception):
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Start Qdrant and `trivium_embed` once for all tests."""
    folder = tmp_path_factory.mktemp("storage")
    qdrant, qdrant_http, embed = free_ports(3)
    qdrant_command = command(grpc_port=qdrant, http_port=qdrant_http, data=folder, environ=os.environ)
    embed_command = (sys.executable, "-m", "trivium_embed", "--listen", f"127.0.0.1:{embed}", "--metrics-port", "0")
    embed_environ = os.environ | {"TRIVIUM_DATA_DIR": str(_MODEL_DATA_DIR)}
    qdrant_log, embed_log = folder / "qdrant.log", folder / "embed.log"
    with (
        _process(*qdrant_command, qdrant_log) as qdrant_process,
        _process(embed_command, embed_environ, embed_log) as embed_process,
    ):
        asyncio.run(_wait_for_qdrant(f"http://127.0.0.1:{qdrant_http}", qdrant_process, qdrant_log))
        asyncio.run(_wait_for_health(f"127.0.0.1:{embed}", embed_process, embed_log))
        yield Addresses(f"127.0.0.1:{embed}", f"http://127.0.0.1:{qdrant_http}", qdrant)


@pytest.fixture(scope="session")
def open_storage(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> OpenStorage:
    """Open the storing half of a gateway, before what stands before Qdrant if need be; opened twice, it is two."""

    @asynccontextmanager
    async def opened(*, grpc_port: int | None = None, **changes: object) -> AsyncIterator[Storage]:
        limits = replace(GatewayLimits(), **changes)  # type: ignore[arg-type]
        connection = QdrantConnection(addresses.qdrant_url, grpc_port or addresses.qdrant_grpc_port)
        async with open_channel(addresses.embed_target) as channel:
            embed = CountedEmbed(channel, addresses.embed_target)
            collections = Collections(connection, embed, limits)
            chunks, locks, registry = ChunkStore(connection), KeyedLocks(), CollectorRegistry()
            admission = QuestionAdmission(256, QuestionMetrics(registry))
            room = StorageRoom(Quotas(None, MeterMetrics(registry)), Totals(connection).count)
            originals = Originals(tmp_path_factory.mktemp("files"), 1 << 24)
            ingester = Ingester(collections, chunks, embed, locks, limits, registry, admission, room, originals)
            documents = Documents(chunks, locks, originals, limits)
            chunk_search, sweeper = ChunkSearch(connection), Sweeper(collections, chunks)
            yield Storage(connection, embed, collections, chunks, documents, ingester, chunk_search, sweeper, registry)
            await ingester.close()
        await connection.close()

    return opened


@pytest_asyncio.fixture
async def storage(open_storage: OpenStorage) -> AsyncIterator[Storage]:
    """The storing half of a gateway before an empty Qdrant."""
    async with open_storage() as opened:
        qdrant = QdrantCollections(opened.connection)
        for physical in await qdrant.names():
            await qdrant.delete(physical)
        yield opened


@pytest.fixture
def without_ocr(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if the extra for text recognition were not installed."""
    monkeypatch.setattr(ocr, "_EXTRA_PACKAGES", ("no_such_package",))
    ocr.ocr_is_installed.cache_clear()
    yield
    ocr.ocr_is_installed.cache_clear()


@pytest.fixture
def cache_redis(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of the test's own to remember results in, and its process; it is waited for on a busy machine, too."""
    monkeypatch.setattr("trivium_gateway.caching.redis_store._ANSWER_SECONDS", 60.0)
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    path = tmp_path_factory.mktemp("redis") / "socket"
    flags = ("--port", "0", "--unixsocket", str(path), "--save", "")
    bounds = ("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru")
    process = subprocess.Popen(["redis-server", *flags, *bounds], stdout=subprocess.DEVNULL, cwd=path.parent)
    while not path.exists():
        assert process.poll() is None, "Redis has ended"
        time.sleep(0.01)
    yield f"unix://{path}", process
    process.kill()
    process.wait()
