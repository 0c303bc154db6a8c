"""The connection to Qdrant when it takes bytes and sends none, and a Qdrant whose volume is full."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import pytest_asyncio
from faults.bad_link import BadLink
from faults.opening_qdrant import OpeningQdrant
from qdrant_client import grpc as qdrant
from trivium_gateway.library.documents import NewDocument
from trivium_serving.errors import StorageFull

from .conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .conftest import Addresses, OpenStorage, Storage


@pytest_asyncio.fixture
async def proxy(addresses: Addresses) -> AsyncIterator[BadLink]:
    async with BadLink(addresses.qdrant_grpc_port).serving() as serving:
        yield serving


async def test_searches_over_a_connection_that_fell_silent_are_answered_over_a_new_one(
    storage: Storage, open_storage: OpenStorage, proxy: BadLink
) -> None:
    await storage.ingest(NewDocument(id="a", text="The ferry leaves at nine."))
    async with open_storage(grpc_port=proxy.port) as gateway:
        collection = await gateway.collections.resolve("", tenant="default")

        async def search() -> None:
            found = await gateway.chunk_search.search(
                collection, vector=None, text="ferry", limit=1, timeout_seconds=60, reader=WHOLE
            )
            assert [one.chunk.document_id for one in found.candidates] == ["a"]

        await search()
        before = proxy.connections  # one; on a busy machine another may have been looked at
        proxy.silence()
        started = time.monotonic()
        await asyncio.gather(*(search() for _ in range(20)))
        # Far below the deadline, and below what gRPC needs to notice by itself.
        assert time.monotonic() - started < 10
        assert proxy.connections > before
        await search()


async def test_new_connection_that_is_silent_too_is_followed_by_another(
    storage: Storage, open_storage: OpenStorage, proxy: BadLink
) -> None:
    async with open_storage(grpc_port=proxy.port) as gateway:
        await gateway.collections.list(reader=WHOLE)
        proxy.silence(also_next=1)
        assert await gateway.collections.list(reader=WHOLE) == await storage.collections.list(reader=WHOLE)
        assert proxy.connections > 2


async def test_ingestion_over_a_connection_that_fell_silent_fails_no_document(
    storage: Storage, open_storage: OpenStorage, proxy: BadLink
) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    async with open_storage(grpc_port=proxy.port) as gateway:
        upsert = gateway.chunks.upsert

        async def silence_once(collection: Any, points: Any) -> None:
            gateway.chunks.upsert = upsert  # type: ignore[method-assign]
            proxy.silence()
            await upsert(collection, points)

        gateway.chunks.upsert = silence_once  # type: ignore[method-assign]
        results = await gateway.ingest(
            *(NewDocument(id=f"{number}", text="Ferry. " * 400) for number in range(5)), collection=collection
        )
        assert [result.error for result in results] == [None] * 5
        assert proxy.connections > 1
    assert len((await storage.documents.list(collection, page_size=10, reader=WHOLE))[0]) == 5


async def test_connection_of_a_qdrant_that_is_only_slow_is_kept(
    storage: Storage, open_storage: OpenStorage, addresses: Addresses
) -> None:
    engine = OpeningQdrant(f"127.0.0.1:{addresses.qdrant_grpc_port}")
    async with engine.serving() as slow, open_storage(grpc_port=slow.port) as gateway:
        slow.delay_seconds["/qdrant.Points/Scroll"] = 1.0
        await gateway.chunks.read_document(await storage.collections.resolve("", tenant="default"), "a", WHOLE)
        assert slow.calls.count("/qdrant.Points/Scroll") == 1
        assert "/qdrant.Qdrant/HealthCheck" in slow.calls


async def test_full_volume_of_a_qdrant_server_is_told_and_not_repeated(
    storage: Storage, open_storage: OpenStorage, addresses: Addresses
) -> None:
    collection = await storage.collections.resolve("", tenant="default")
    async with OpeningQdrant(f"127.0.0.1:{addresses.qdrant_grpc_port}").serving() as full:
        full.failures["/qdrant.Points/Upsert"] = (
            grpc.StatusCode.INTERNAL,
            "Service internal error: No space left on device: WAL buffer size exceeds available disk space",
        )
        async with open_storage(grpc_port=full.port) as gateway:
            (result,) = await gateway.ingest(NewDocument(id="a", text="One."), collection=collection)
            assert isinstance(result.error, StorageFull)
            assert result.error.reason == "STORAGE_FULL"
            assert full.calls.count("/qdrant.Points/Upsert") == 1
            found = await gateway.chunk_search.search(
                collection, vector=None, text="one", limit=1, timeout_seconds=60, reader=WHOLE
            )
            assert found.candidates == []


async def test_call_that_is_cancelled_leaves_no_call_behind(
    storage: Storage, open_storage: OpenStorage, proxy: BadLink
) -> None:
    async with open_storage(grpc_port=proxy.port) as gateway:
        await gateway.collections.list(reader=WHOLE)
        proxy.silence()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.connection.call(
                    gateway.connection.collections.List, qdrant.ListCollectionsRequest(), timeout_seconds=60
                )
        assert await gateway.collections.list(reader=WHOLE) == []
    assert await storage.collections.list(reader=WHOLE) == []
