"""Restarts at random moments, under writers that do what the gateway does: nothing acknowledged is lost.

TRIVIUM_TEST_RESTARTS sets how often each run restarts; from 10 on, 200 collections are tried too.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from typing import TYPE_CHECKING

import grpc
import pytest
from qdrant_client import AsyncQdrantClient, models
from trivium_qdrant_edge.child_process import QdrantEdgeProcess

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

RESTARTS = int(os.environ.get("TRIVIUM_TEST_RESTARTS", "2"))
COLLECTIONS = [1, 50, *([200] if RESTARTS >= 10 else [])]
WRITERS = 4

pytestmark = pytest.mark.timeout(300 + 60 * RESTARTS)
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class Restarted:
    """Writes to and reads from a service that is restarted, and remembers what was acknowledged.

    Args:
        names: The collections' names.
    """

    def __init__(self, names: list[str]) -> None:
        self.acknowledged: dict[str, set[int]] = {name: set() for name in names}
        self.silent: list[str] = []
        self.refused_while_opening = 0
        self._ids = itertools.count()
        self._random = random.Random(len(names))

    async def create(self, client: AsyncQdrantClient, name: str) -> None:
        vectors = {"dense": models.VectorParams(size=4, distance=models.Distance.DOT)}
        await client.create_collection(name, vectors_config=vectors)

    async def work(self, client: AsyncQdrantClient) -> None:
        """Writes and reads until cancelled."""
        while True:
            name = self._random.choice(list(self.acknowledged))
            await self._attempt(self._write(client, name), name)
            await self._attempt(self._read(client, name), name)
            await asyncio.sleep(0)

    async def _attempt(self, call: Awaitable[None], name: str) -> None:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            self.refused_while_opening += f"`{name}` is being opened" in (error.details() or "")
            if error.code() not in RETRIED:
                self.silent.append(f"{name}: {error.code()} {error.details()}")

    async def _write(self, client: AsyncQdrantClient, name: str) -> None:
        ids = [next(self._ids) for _ in range(3)]
        points = [models.PointStruct(id=number, vector={"dense": [1.0, 0.0, 0.0, 1.0]}) for number in ids]
        try:
            await client.upsert(name, points)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:  # whoever believes it makes the collection anew
                await self.create(client, name)
            raise
        self.acknowledged[name].update(ids)

    async def _read(self, client: AsyncQdrantClient, name: str) -> None:
        expected = set(itertools.islice(self.acknowledged[name], 5))
        found = {record.id for record in await client.retrieve(name, list(expected))}
        if not expected <= found:
            self.silent.append(f"{name}: {expected - found} not found")
        if not await client.collection_exists(name):
            self.silent.append(f"{name}: does not exist")


def connect(process: QdrantEdgeProcess) -> AsyncQdrantClient:
    return AsyncQdrantClient(
        host="127.0.0.1", port=process.http_port, grpc_port=process.grpc_port, prefer_grpc=True,
        check_compatibility=False, timeout=10,
    )  # fmt: skip


@pytest.mark.parametrize("count", COLLECTIONS)
async def test_service_restarted_at_random_moments_loses_nothing_and_says_nothing_wrong(
    count: int, tmp_path: Path
) -> None:
    names = [f"docs{number}" for number in range(count)]
    restarted = Restarted(names)
    with QdrantEdgeProcess(tmp_path) as process:
        client = connect(process)
        for name in names:
            await restarted.create(client, name)
        await client.close()

    moments = random.Random(count)
    for restart in range(RESTARTS):
        process = await asyncio.to_thread(QdrantEdgeProcess, tmp_path, wait_until_ready=False)
        client = connect(process)
        workers = [asyncio.create_task(restarted.work(client)) for _ in range(WRITERS)]
        if moments.random() < 0.5:
            await asyncio.to_thread(process.wait_until_ready)
        await asyncio.sleep(moments.random())  # the moment of the end
        if restart % 2:
            process.kill()
        else:
            assert await asyncio.to_thread(process.stop, 120) == 0
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await client.close()

    with QdrantEdgeProcess(tmp_path) as process:
        client = connect(process)
        lost = {}
        for name, acknowledged in restarted.acknowledged.items():
            records, _ = await client.scroll(name, limit=10_000)
            lost[name] = acknowledged - {int(str(record.id)) for record in records}
        await client.close()
    assert restarted.silent == []
    assert not any(lost.values()), lost
    assert not list((tmp_path / "qdrant").glob("set-aside/*"))
    assert sum(map(len, restarted.acknowledged.values())) > 0
